"""Hold what a candidate would serve against the gates: run as scoring runs it, on its own holdout rows."""

import time
from pathlib import Path

import numpy as np

from studyml.evaluation.gates import GateResult, Holdout
from studyml.evaluation.serving_gates import in_range, intervals_cover, same_schema, small_and_fast, worst_slice
from studyml.evaluation.slices import dimensions
from studyml.features.definition import CYCLICAL, DERIVED, FEATURES
from studyml.features.encoder import Encoder
from studyml.features.history import HISTORY_FEATURES, SEQUENCE_FEATURES
from studyml.frame import Frame
from studyml.interval import bounds
from studyml.registry.bundle import load_json
from studyml.scoring.predictor import Output, open_network, run_network
from studyml.steps.evaluation_report import rows_of

#: What is known of a session before it begins (features/definition.py); breaks are counted during it.
SUPPLIED = {*FEATURES, *DERIVED, *CYCLICAL, *HISTORY_FEATURES, *SEQUENCE_FEATURES} - {"breaks_taken"}
_TIMED_ROWS = 1000


def judge_serving(folder: Path, frame: Frame, holdout: Holdout) -> list[GateResult]:
    """The gates on range, slices, intervals, schema, size and time.

    ``folder``: the build; ``frame``: the rows of its snapshot, derived; ``holdout``: with the champion's hours, if any.
    """
    stored = load_json(folder / "features.json")
    encoder, output = Encoder.from_json(stored["features"]), Output.from_json(stored["output"])
    network = open_network(folder / "model.onnx")
    width = network.get_inputs()[0].shape[1]
    schema = same_schema(encoder.features, SUPPLIED, inputs=len(encoder.inputs), width=width)
    if not schema.passed:
        return [schema]
    judged = rows_of(frame, holdout)
    raw = run_network(network, encoder.encode(judged))
    hours = np.clip(raw, output.minimum_hours, output.maximum_hours)
    ends = dict(zip((each.coverage for each in output.intervals), bounds(hours, output.intervals), strict=True))
    results = [schema, in_range(raw)]
    if "champion" in holdout.predicted:
        cuts, _ = dimensions(holdout.actual, holdout.predicted["network"], judged)
        results.append(worst_slice(holdout, cuts))
    results += intervals_cover(holdout, ends)
    size = sum((folder / name).stat().st_size for name in ("model.onnx", "features.json"))
    return results + small_and_fast(size, _seconds(network, encoder, judged))


def _seconds(network: object, encoder: Encoder, judged: Frame) -> float:
    """Seconds to encode and predict 1,000 sessions, the better of two runs: the first one also warms up."""
    rows = judged.take(np.resize(np.arange(len(judged)), _TIMED_ROWS))
    taken = []
    for _ in range(2):
        started = time.perf_counter()
        run_network(network, encoder.encode(rows))
        taken.append(time.perf_counter() - started)
    return min(taken)
