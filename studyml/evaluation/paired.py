"""Is one predictor better than another on the same rows? A paired bootstrap that resamples students.

Sessions of one student are alike, so resampling rows would promise too much. With few students (a single one
keeps a log too) a student's weeks are resampled instead (docs/decisions).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RESAMPLES = 4000
CONFIDENCE = 0.9
#: With fewer students than this, each student's weeks are the groups.
MINIMUM_STUDENTS = 8
#: More students than this are resampled in this many sets of students: as good, and memory stays bounded.
MAXIMUM_GROUPS = 1000
_WEEK_MICROSECONDS = 7 * 24 * 3600 * 1_000_000


@dataclass(frozen=True)
class Comparison:
    """MAE of one predictor over another's on the same rows, and the one-sided upper bound of that ratio."""

    ratio: float
    upper_bound: float
    rows: int
    groups: int


def groups_of(student_id: Integers, session_date: Integers, *, fewest: int = MINIMUM_STUDENTS) -> Integers:
    """The group number [n] of each row: its student, or its student's week with fewer students than ``fewest``."""
    students = np.unique(student_id, return_inverse=True)[1]
    if students.max(initial=-1) + 1 >= fewest:
        return students.astype(np.int64)
    weeks = session_date // _WEEK_MICROSECONDS
    return (
        np.unique(np.column_stack([students, weeks - weeks.min()]), axis=0, return_inverse=True)[1]
        .ravel()
        .astype(np.int64)
    )


def compare(errors: Floats, reference_errors: Floats, groups: Integers, *, seed: int) -> Comparison:
    """Compare absolute errors [n] in hours with a reference's on the same rows.

    The bound is the 90 % quantile over bootstrap samples of the groups. A reference without error cannot be
    beaten; fewer than two groups give no bound (infinite).
    """
    count = min(int(groups.max()) + 1, MAXIMUM_GROUPS)
    groups = groups % count
    ours, theirs = np.bincount(groups, errors, count), np.bincount(groups, reference_errors, count)
    ratio = _ratio(ours.sum(), theirs.sum())
    if count < 2:
        return Comparison(ratio, float("inf"), len(errors), count)
    random = np.random.default_rng(seed)
    weights = random.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)
    numerators, denominators = weights @ ours, weights @ theirs
    ratios = np.divide(numerators, denominators, out=np.full(RESAMPLES, np.inf), where=denominators > 0)
    # "higher" takes a ratio that was drawn: between two infinite ones there is nothing to interpolate.
    return Comparison(ratio, float(np.quantile(ratios, CONFIDENCE, method="higher")), len(errors), count)


def _ratio(ours: float, theirs: float) -> float:
    return float(ours / theirs) if theirs > 0 else float("inf")
