"""How much of a difference is chance? One grouped bootstrap, shared by everything that a report compares.

The same resamples of students (or of their weeks, see ``paired.groups_of``) serve every slice and predictor, so
that figures which stand beside each other can be compared, and 200,000 rows cost what 200 do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studyml.evaluation.paired import MAXIMUM_GROUPS, groups_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

RESAMPLES = 2000
#: The share of resamples that an interval holds.
CONFIDENCE = 0.9
#: Fewer groups than this say nothing about chance: resampling a single student gives always the same ratio.
MINIMUM_GROUPS = 5


@dataclass(frozen=True)
class Resampling:
    """The group [n] of each row and how often each resample drew each group [resamples, groups]."""

    groups: Integers
    weights: Floats


@dataclass(frozen=True)
class Spread:
    """An MAE in hours with its standard error, and its ratio to a reference's on the same rows with an interval.

    What cannot be told from these rows is None: the ratio to a reference without error, the spread of few groups.
    """

    mae: float
    standard_error: float | None
    ratio: float | None
    ratio_lower: float | None
    ratio_upper: float | None


def resampling(student_id: Integers, session_date: Integers, *, seed: int) -> Resampling:
    """Draw the resamples for rows [n] of these students and dates (microseconds)."""
    groups = groups_of(student_id, session_date)
    count = max(1, min(int(groups.max(initial=0)) + 1, MAXIMUM_GROUPS))
    random = np.random.default_rng(seed)
    weights = random.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)
    return Resampling(groups % count, weights)


def spread(drawn: Resampling, errors: Floats, reference: Floats, rows: Mask) -> Spread:
    """MAE of absolute errors [n] over the masked rows, and its ratio to the reference's there."""
    count = drawn.weights.shape[1]
    groups = drawn.groups[rows]
    sizes = np.bincount(groups, minlength=count).astype(np.float64)
    ours, theirs = np.bincount(groups, errors[rows], count), np.bincount(groups, reference[rows], count)
    mae, base = float(ours.sum() / sizes.sum()), float(theirs.sum() / sizes.sum())
    ratio = mae / base if base > 0 else None
    if int((sizes > 0).sum()) < MINIMUM_GROUPS:
        return Spread(mae, None, ratio, None, None)
    drawn_rows, drawn_ours, drawn_theirs = (drawn.weights @ np.column_stack([sizes, ours, theirs])).T
    usable = drawn_rows > 0
    error = float(np.std(drawn_ours[usable] / drawn_rows[usable]))
    usable &= drawn_theirs > 0
    if ratio is None or not usable.any():
        return Spread(mae, error, ratio, None, None)
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(drawn_ours[usable] / drawn_theirs[usable], [tail, 1 - tail])
    return Spread(mae, error, ratio, float(lower), float(upper))


def standard_error(drawn: Resampling, values: Floats) -> float | None:
    """The standard error of the mean of values [n] over students; None where the groups are too few."""
    count = drawn.weights.shape[1]
    sizes = np.bincount(drawn.groups, minlength=count).astype(np.float64)
    if int((sizes > 0).sum()) < MINIMUM_GROUPS:
        return None
    drawn_rows, drawn_sums = (drawn.weights @ np.column_stack([sizes, np.bincount(drawn.groups, values, count)])).T
    usable = drawn_rows > 0
    return float(np.std(drawn_sums[usable] / drawn_rows[usable]))
