"""Are the intervals honest? Nominal against actual coverage, on rows that the intervals were not taken from.

For the holdout they are taken from the out-of-fold rows; out of fold, those of one fold from the other folds.
Without out-of-fold predictions the holdout is cut into folds by student (or student's week) in the same way.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS
from studyml.evaluation.gates import Holdout
from studyml.evaluation.intervals import COVERAGES, coverage_by_length, fit_intervals
from studyml.evaluation.paired import groups_of
from studyml.interval import bounds

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: What the reliability curve is drawn through.
CURVE = tuple(round(0.1 + 0.05 * step, 2) for step in range(18))
FOLDS = 5
#: Fewer rows than this give no interval worth measuring.
MINIMUM_ROWS = 20
PARTS = 10
#: With fewer rows than this for each tenth of the predicted length, there are fewer parts than ten.
ROWS_PER_PART = 10
#: More rows than this are sampled evenly: they would move a coverage by less than half a point.
MAXIMUM_ROWS = 20_000

_FROM_FOLDS = "intervals are taken from the out-of-fold rows alone"
_ACROSS_FOLDS = "each fold is judged by intervals taken from the other folds"
_WITHOUT_FOLDS = "there are no out-of-fold rows, so each fifth of the holdout is judged by the other four"


def calibrate(holdout: Holdout, predictor: str, out_of_fold: Holdout | None) -> dict[str, Any]:
    """Coverage of the predictor's intervals on the holdout and, where there is such, out of fold (JSON).

    A part is None where its rows are too few.
    """
    rows = evenly(len(holdout.actual), MAXIMUM_ROWS)
    actual, predicted = holdout.actual[rows], holdout.predicted[predictor][rows]
    if out_of_fold is None or len(out_of_fold.actual) < MINIMUM_ROWS:
        folds = groups_of(holdout.student_id, holdout.session_date)[rows] % FOLDS
        ends = ends_across(actual, predicted, folds)
        return {"holdout": _measured(actual, predicted, ends, _WITHOUT_FOLDS), "out_of_fold": None}
    kept = evenly(len(out_of_fold.actual), MAXIMUM_ROWS)
    known, said = out_of_fold.actual[kept], out_of_fold.predicted["network"][kept]
    folds = out_of_fold.predicted["fold"][kept].astype(np.int64)
    return {
        "holdout": _measured(actual, predicted, _ends(known, said, predicted), _FROM_FOLDS),
        "out_of_fold": _measured(known, said, ends_across(known, said, folds), _ACROSS_FOLDS),
    }


def evenly(rows: int, most: int) -> Integers:
    """Positions of at most ``most`` of ``rows`` rows, evenly spread over them.

    >>> evenly(10, 3).tolist()
    [0, 3, 6]
    """
    return np.arange(rows) if rows <= most else np.arange(most, dtype=np.int64) * rows // most


def ends_across(actual: Floats, predicted: Floats, folds: Integers) -> Floats:
    """Ends [n, coverages of the curve, 2] in hours of each row's intervals, taken from the rows of other folds.

    NaN, which holds nothing, where there is no other fold.
    """
    ends = np.full((len(actual), len(CURVE), 2), np.nan)
    for fold in np.unique(folds):
        own = folds == fold
        if not own.all():
            ends[own] = _ends(actual[~own], predicted[~own], predicted[own])
    return ends


def _ends(actual: Floats, predicted: Floats, wanted: Floats) -> Floats:
    hours = np.clip(wanted, MINIMUM_HOURS, MAXIMUM_HOURS)
    found = bounds(hours, fit_intervals(actual, predicted, CURVE))
    return np.stack([np.column_stack(each) for each in found], axis=1)


def _measured(actual: Floats, predicted: Floats, ends: Floats, source: str) -> dict[str, Any] | None:
    if len(actual) < MINIMUM_ROWS or np.isnan(ends).any():
        return None
    inside = (actual[:, None] >= ends[..., 0]) & (actual[:, None] <= ends[..., 1])
    shares = zip(CURVE, inside.mean(axis=0).tolist(), strict=True)
    reliability = [_coverage(nominal, share, len(actual)) for nominal, share in shares]
    return {
        "rows": len(actual),
        "source": source,
        "overall": [each for each in reliability if each["nominal"] in COVERAGES],
        "reliability": reliability,
        "by_predicted_length": _by_length(actual, predicted, ends),
    }


def _coverage(nominal: float, share: float, rows: int) -> dict[str, float]:
    # The spread that chance gives an honest interval on so many rows: binomial.
    spread = float(np.sqrt(nominal * (1 - nominal) / rows))
    return {"nominal": nominal, "actual": share, "standard_error": spread}


def _by_length(actual: Floats, predicted: Floats, ends: Floats) -> list[dict[str, Any]]:
    parts = max(1, min(PARTS, len(predicted) // ROWS_PER_PART))
    columns = [CURVE.index(each) for each in COVERAGES]
    found: Sequence[Any] = [
        coverage_by_length(actual, predicted, ends[:, at, 0], ends[:, at, 1], parts) for at in columns
    ]
    return [
        {
            "part": number,
            "parts": parts,
            "from_hours": together[0].from_hours,
            "to_hours": together[0].to_hours,
            "rows": together[0].n,
            "coverage": [
                _coverage(nominal, each.coverage, each.n) for nominal, each in zip(COVERAGES, together, strict=True)
            ],
        }
        for number, together in enumerate(zip(*found, strict=True), start=1)
    ]
