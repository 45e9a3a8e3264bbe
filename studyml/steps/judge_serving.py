"""Hold what a candidate would serve against the gates: run as scoring runs it, on its own holdout rows."""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from studyml.evaluation.gates import GateResult, Holdout
from studyml.evaluation.holdout import read_holdout
from studyml.evaluation.intervals import fit_intervals
from studyml.evaluation.paired import groups_of
from studyml.evaluation.serving_gates import in_range, intervals_cover, same_schema, small_and_fast, worst_slice
from studyml.evaluation.slices import dimensions
from studyml.features.definition import CYCLICAL, DERIVED, FEATURES
from studyml.features.encoder import Encoder
from studyml.features.history import HISTORY_FEATURES, SEQUENCE_FEATURES
from studyml.frame import Frame
from studyml.interval import bounds
from studyml.registry.bundle import load_json
from studyml.scoring.predictor import Output, open_network, run_network
from studyml.steps.evaluation_report import OUT_OF_FOLD, rows_of

#: What is known of a session before it begins (features/definition.py); breaks are counted during it.
SUPPLIED = {*FEATURES, *DERIVED, *CYCLICAL, *HISTORY_FEATURES, *SEQUENCE_FEATURES} - {"breaks_taken"}
_TIMED_ROWS, _PARTS = 1000, 5


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
    served = dict(zip((each.coverage for each in output.intervals), bounds(hours, output.intervals), strict=True))
    results = [schema, in_range(raw)]
    if "champion" in holdout.predicted:
        cuts, _ = dimensions(holdout.actual, holdout.predicted["network"], judged)
        results.append(worst_slice(holdout, cuts))
    unseen = intervals_cover(holdout, _ends(folder, holdout, output, hours))
    # What serves must hold too: its file may be another than what was measured.
    two = zip(unseen, intervals_cover(holdout, served), strict=True)
    results += [min(each, key=lambda result: result.passed) for each in two]
    size = sum((folder / name).stat().st_size for name in ("model.onnx", "features.json"))
    return results + small_and_fast(size, _seconds(network, encoder, judged))


def _ends(
    folder: Path, holdout: Holdout, output: Output, hours: NDArray[np.float64]
) -> dict[float, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The ends of each row's intervals [n], by coverage, as they would be had the row not been seen.

    What serves was moved by the whole holdout: on it, it holds what it says by construction. So each fifth of the
    students, or weeks, is judged by intervals that were moved by the other four.
    """
    outside = read_holdout(folder / OUT_OF_FOLD)
    parts = np.unique(groups_of(holdout.student_id, holdout.session_date), return_inverse=True)[1].ravel() % _PARTS
    ends = {each.coverage: (np.full(len(hours), np.nan), np.full(len(hours), np.nan)) for each in output.intervals}
    for part in np.unique(parts):
        own = parts == part
        newest = (holdout.actual[~own], holdout.predicted["network"][~own])
        found = fit_intervals(outside.actual, outside.predicted["network"], tuple(ends), newest=newest)
        for coverage, each in zip(ends, bounds(hours[own], found), strict=True):
            for all_rows, of_part in zip(ends[coverage], each, strict=True):
                all_rows[own] = of_part
    return ends


def _seconds(network: object, encoder: Encoder, judged: Frame) -> float:
    """Seconds to encode and predict 1,000 sessions, the better of two runs: the first one also warms up."""
    rows = judged.take(np.resize(np.arange(len(judged)), _TIMED_ROWS))
    taken = []
    for _ in range(2):
        started = time.perf_counter()
        run_network(network, encoder.encode(rows))
        taken.append(time.perf_counter() - started)
    return min(taken)
