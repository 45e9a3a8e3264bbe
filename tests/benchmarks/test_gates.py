"""How often noise gets past the gates: noise is noise, and every log that was judged is counted."""

import numpy as np
import pytest

from benchmarks import gates as module
from benchmarks.gates import LABELS, log, measure
from studyml.evaluation.gates import GateResult


def test_noise_follows_from_nothing_and_the_guides_labels_from_the_estimate() -> None:
    def follows(name: str) -> float:
        frame = log(LABELS[name], 600, 1)
        return float(np.corrcoef(frame["estimated_base_time"], frame["actual_duration"])[0, 1])

    assert follows("the guide's") > 0.3
    assert abs(follows("noise, normal")) < 0.15
    assert abs(follows("noise, lognormal")) < 0.15


def test_what_passed_what_would_under_a_stricter_limit_and_what_could_not_be_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def result(good: bool, bound: float) -> list[GateResult]:
        return [GateResult("finite", True, "", 0.0), GateResult("beats_median", good, "", 0.99, bound, 1.03)]

    answers = iter([result(True, 0.98), result(True, 1.01), result(False, 1.2), None])
    monkeypatch.setattr(module, "gates", lambda *_: next(answers))

    found = measure("noise, normal", 100, 4)

    assert (found["logs"], found["passed"], found["passed_under_1"]) == (4, 2, 1)
