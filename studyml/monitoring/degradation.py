"""When served predictions are worse than expected beyond chance: the rule behind the verdict ``confirmed``.

The guide's rule compares the MAE of 30 days with a fixed number of hours. Few outcomes, or a month of long sessions,
exceed it by chance. This rule compares the mean *relative* error |actual - predicted| / predicted of one version with
the one that it had out of fold, and asks for a difference that chance does not explain:

    mean / expected mean > max(1.2, (1 + sqrt(1 - (1 - a)(1 - b))) / (1 - b) + CV (z^2 - 1)/6 skewness D/n)
    a = (z CV)^2 D/n,  b = (z CV)^2 E/rows

- CV is the coefficient of variation of the relative error out of fold, ``rows`` how many there were. The expected mean
  is an estimate as well: the limit is that of a ratio of two means (Fieller, Journal of the Royal
  Statistical Society B, 1954), and there is none where the expected mean itself might be 0 (b >= 1).
- D and E are design effects. Sessions of one student are alike, so n of them say less than n of strangers: each is the
  cluster-robust variance of the mean over that of independent rows (Liang and Zeger, Biometrika 1986), at least 1. In
  a window of days a student's week repeats itself (D), in the months of the training rows the student does (E). E is
  two standard errors higher than estimated: few students say little of how alike the sessions of one are.
- The last term is the first of Cornish and Fisher's expansion (1938): means of few skewed values exceed the normal
  quantile far too often.
- Each relative error counts up to a cap, so that one session of a very short prediction decides nothing.

It is asked every night of several windows, since a large change shows in few days where there are many outcomes. What
is over is no degradation: a window does not confirm where a shorter one in it shows that its errors are less than 20 %
above the expected ones (the mean and two standard errors). What was measured, also of simpler rules:
docs/decisions/0005-confirmed-degradation.md and ``make bench-alerts``.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Fewer out-of-fold rows say too little of the error to expect.
MINIMUM_ROWS = 30
#: The guide's ratio: less than 20 % worse is never confirmed, however many outcomes show it.
MINIMUM_RATIO = 1.2
#: Three times this quantile of the out-of-fold errors is the cap: above what a change by half makes of almost all, and
#: low enough that one error at the cap among the fewest outcomes confirms nothing.
_CAP_QUANTILE, _CAP_FACTOR = 0.95, 3.0
#: Of the design effect of students, and of a mean that shows that a degradation is over.
_STANDARD_ERRORS = 2
#: A spread so small beside the mean is equal errors but for rounding.
_ROUNDING = 1e-9
_WEEK_MICROSECONDS = 7 * 24 * 3600 * 1_000_000


@dataclass(frozen=True)
class ExpectedError:
    """The relative error that a version had on ``rows`` rows which it had not seen, each error at most ``cap``.

    The design effects are those of weeks of one student, 1 where rows are as good as independent, and of students, two
    standard errors more.
    """

    mean: float
    coefficient_of_variation: float
    skewness: float
    week_effect: float
    student_effect: float
    rows: int
    cap: float

    def to_json(self) -> dict[str, float | int]:
        """What a version's metadata keeps."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "ExpectedError | None":
        """The inverse of ``to_json``; None for a version that was published without it.

        >>> expected = ExpectedError(0.25, 0.8, 1.0, 1.2, 1.5, 480, 1.1)
        >>> ExpectedError.from_json(expected.to_json()) == expected
        True
        >>> ExpectedError.from_json({"mae": 0.99}) is None
        True
        """
        found = [stored[each.name] for each in fields(cls) if stored and stored.get(each.name) is not None]
        if len(found) < len(fields(cls)):
            return None
        mean, variation, skewness, week_effect, student_effect, rows, cap = map(float, found)
        return cls(mean, variation, skewness, week_effect, student_effect, int(rows), cap)


@dataclass(frozen=True)
class Window:
    """Outcomes of the last ``days``, at least ``minimum_outcomes``, must be ``z`` standard errors off."""

    days: int
    minimum_outcomes: int
    z: float


#: The longest first. Of few days there are more that do not overlap, and more chances to ring for nothing.
RULES = (*(Window(days, 10, 3.25) for days in (45, 30, 21, 14)), *(Window(days, 10, 3.7) for days in (7, 3)))


@dataclass(frozen=True)
class Evidence:
    """What one window says: ``error_ratio`` is the mean relative error over the expected one, 1 being as expected."""

    days: int
    n: int
    error_ratio: float
    limit: float
    confirmed: bool


def expected_error(
    actual: Floats, predicted: Floats, student_id: Integers | None = None, session_date: Integers | None = None
) -> ExpectedError | None:
    """The error to expect, from ``actual`` and out-of-fold ``predicted`` hours, [n] each, predictions above 0.

    ``student_id`` [n] and ``session_date`` [n], microseconds, say which rows repeat each other; without them rows
    count as independent. None with fewer than 30 rows, or where nothing can be compared with it: almost all errors 0,
    or one that is no number.

    >>> hours = np.linspace(1, 4, 40)
    >>> round(expected_error(hours, 1.25 * hours).mean, 3)
    0.2
    >>> expected_error(hours[:29], hours[:29] + 1) is None
    True
    """
    errors = np.abs(actual - predicted) / predicted
    if len(errors) < MINIMUM_ROWS or not np.isfinite(errors).all():
        return None
    cap = _CAP_FACTOR * float(np.quantile(errors, _CAP_QUANTILE))
    capped = np.minimum(errors, cap)
    mean, deviation = float(capped.mean()), float(capped.std())
    if mean <= 0:
        return None
    off = capped - mean
    skewness = max(0.0, float((off**3).mean()) / deviation**3) if deviation > _ROUNDING * mean else 0.0
    rows = np.arange(len(off))
    student = rows if student_id is None else np.unique(student_id, return_inverse=True)[1].ravel()
    week = rows if session_date is None else session_date // _WEEK_MICROSECONDS
    weeks = np.unique(np.column_stack([student, week]), axis=0, return_inverse=True)[1].ravel()
    # The only student of a log repeats nobody, its weeks still do.
    of_student = max(_at_most(_design_effect(off, groups), groups) for groups in (weeks, student))
    return ExpectedError(mean, deviation / mean, skewness, _design_effect(off, weeks), of_student, len(errors), cap)


def _design_effect(off: Floats, groups: Integers) -> float:
    """Variance of the mean of what ``off`` [n] is, groups drawn whole, over that of independent rows; from 1 on."""
    total = float((off**2).sum())
    return max(1.0, float((np.bincount(groups, off) ** 2).sum()) / total) if total > 0 else 1.0


def _at_most(effect: float, groups: Integers) -> float:
    """Two standard errors above a design effect: a variance that so many groups tell has sqrt(2 / groups) of it."""
    count = int(groups.max()) + 1
    return effect * (1 + _STANDARD_ERRORS * float(np.sqrt(2 / count))) if count > 1 else effect


def limit(expected: ExpectedError, window: Window, n: Floats | float) -> Floats:
    """What the ratio to the expected mean must exceed with ``n`` outcomes, one number or an array of them, above 0.

    >>> expected = ExpectedError(0.25, 0.8, 0.0, 1.0, 1.0, 400, 1.0)
    >>> limit(expected, Window(30, 10, 3.5), np.array([100.0, 10_000.0])).round(3)
    array([1.337, 1.2  ])
    """
    variance = (window.z * expected.coefficient_of_variation) ** 2
    share = expected.week_effect / np.asarray(n, np.float64)
    observed, known = variance * share, variance * expected.student_effect / expected.rows
    if known >= 1:
        return np.full_like(share, np.inf)
    normal = (1 + np.sqrt(1 - (1 - observed) * (1 - known))) / (1 - known)
    skewed = expected.coefficient_of_variation * (window.z**2 - 1) / 6 * expected.skewness * share
    return np.maximum(MINIMUM_RATIO, normal + skewed)


def over_limit(expected: ExpectedError, n: Floats | float) -> Floats:
    """The ratio up to which ``n`` outcomes, a number or an array, show less than 20 % above the expected mean.

    >>> expected = ExpectedError(0.25, 0.8, 0.0, 1.0, 1.0, 400, 1.0)
    >>> over_limit(expected, np.array([25.0, 100.0])).round(2)
    array([0.88, 1.04])
    """
    deviation = expected.coefficient_of_variation * np.sqrt(expected.week_effect / np.asarray(n, np.float64))
    return np.asarray(MINIMUM_RATIO - _STANDARD_ERRORS * deviation)


def weigh(expected: ExpectedError, observed: Mapping[int, tuple[int, float]]) -> Evidence | None:
    """The evidence of the window that decides; ``observed`` maps days to (n, mean relative error, each capped).

    The longest window that confirms decides, unless a shorter one shows that it is over; where all are over, the
    shortest that shows it. Without either the longest with enough outcomes decides; None where none has enough.

    >>> expected = ExpectedError(0.25, 0.8, 0.0, week_effect=1.0, student_effect=1.0, rows=400, cap=1.0)
    >>> found = weigh(expected, {30: (100, 0.35), 7: (30, 0.5)})
    >>> found.days, found.n, found.error_ratio, round(found.limit, 3), found.confirmed
    (30, 100, 1.4, 1.311, True)
    >>> weigh(expected, {30: (100, 0.35), 7: (30, 0.2)}).days
    7
    >>> weigh(expected, {30: (9, 0.9)}) is None
    True
    """
    weighed = [
        _weigh(expected, window, *observed[window.days])
        for window in RULES
        if window.days in observed and observed[window.days][0] >= window.minimum_outcomes
    ]
    over = [each for each in weighed if each.error_ratio <= over_limit(expected, each.n)]
    confirming = [each for each in weighed if each.confirmed]
    lasting = (each for each in confirming if not any(shorter.days < each.days for shorter in over))
    decides = [*lasting, *(over[::-1] if confirming else ()), *weighed]
    return decides[0] if decides else None


def _weigh(expected: ExpectedError, window: Window, n: int, mean: float) -> Evidence:
    ratio, exceeded = mean / expected.mean, float(limit(expected, window, n))
    return Evidence(window.days, n, ratio, exceeded, ratio > exceeded)
