"""From a network's output to hours and their intervals."""

import itertools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from studyml.errors import ArtifactError
from studyml.interval import Interval
from studyml.scoring.predictor import BLOCK_ROWS, Output, open_network, predict, run_network


class Echo:
    """A network whose output is its first input; it remembers how many rows it was given at a time."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def get_inputs(self) -> list[Any]:
        return [type("Input", (), {"name": "x"})]

    def run(self, _: None, feed: dict[str, Any]) -> list[Any]:
        self.rows.append(len(feed["x"]))
        return [feed["x"][:, :1]]


def flat(coverage: float, lower: float, upper: float) -> Interval:
    """The same ratios whatever is predicted."""
    return Interval(coverage, (1.0,), (lower,), (upper,))


def column(values: Any) -> Any:
    return np.asarray(values, np.float32).reshape(-1, 1)


@given(
    raw=arrays(np.float32, st.integers(0, 30), elements=st.floats(-1e6, 1e6, width=32)),
    ratios=st.lists(st.floats(0.01, 5), min_size=4, max_size=4),
)
def test_hours_lie_between_six_minutes_and_a_day_inside_both_intervals(raw: Any, ratios: list[float]) -> None:
    found = predict(Echo(), column(raw), Output((flat(0.8, *ratios[:2]), flat(0.9, *ratios[2:]))))
    ends = (found.lower_90, found.lower, found.hours, found.upper, found.upper_90)

    assert ((found.hours >= 0.1) & (found.hours <= 24)).all()
    for inner, outer in itertools.pairwise(ends):
        assert inner is not None
        assert outer is not None
        assert (inner <= outer).all()
    assert found.lower_90 is not None
    assert found.upper_90 is not None
    assert ((found.lower_90 > 0) & (found.upper_90 <= 24)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_a_number_stops_the_scoring(value: float) -> None:
    with pytest.raises(ArtifactError, match="the network returned 1 predictions that are not numbers"):
        predict(Echo(), column([1.0, value]), Output())


def test_a_version_without_labels_has_no_interval() -> None:
    found = predict(Echo(), column([2.0]), Output())

    assert found.hours.tolist() == [2.0]
    assert (found.lower, found.upper, found.lower_90, found.upper_90) == (None, None, None, None)


def test_output_rules_survive_json() -> None:
    rules = Output((flat(0.8, 0.5, 2.0), Interval(0.9, (1.0, 3.0), (0.3, 0.4), (2.5, 2.25))), 0.2, 12.0)

    assert Output.from_json(json.loads(json.dumps(asdict(rules)))) == rules


def test_a_version_of_before_the_wider_interval_serves_the_one_it_has() -> None:
    stored = {"lower_ratio": 0.5, "upper_ratio": 2.0, "coverage": 0.8, "minimum_hours": 0.1, "maximum_hours": 24.0}

    found = predict(Echo(), column([2.0]), Output.from_json(stored))

    assert found.lower is not None
    assert found.upper is not None
    assert (found.lower.tolist(), found.upper.tolist()) == ([1.0], [4.0])
    assert (found.lower_90, found.upper_90) == (None, None)


def test_a_version_of_before_that_had_no_labels_has_no_interval_either() -> None:
    stored = {"lower_ratio": None, "upper_ratio": None, "coverage": 0.8, "minimum_hours": 0.1, "maximum_hours": 24.0}

    assert Output.from_json(stored) == Output()


@pytest.mark.parametrize("rows", [0, 1, BLOCK_ROWS, BLOCK_ROWS + 1])
def test_a_network_runs_in_blocks(rows: int) -> None:
    network = Echo()

    found = run_network(network, column(np.arange(rows)))

    assert found.tolist() == list(range(rows))
    assert all(each <= BLOCK_ROWS for each in network.rows)


def test_a_file_that_is_no_network_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "v_20260101_000000" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(b"not a network")

    with pytest.raises(ArtifactError, match=r"model\.onnx of version v_20260101_000000 cannot be loaded") as caught:
        open_network(path)
    assert "\n" not in str(caught.value)
