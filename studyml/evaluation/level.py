"""Lasting changes of level: days from which on sessions take longer, or shorter, than the same sessions did before.

What is compared are residuals, the logarithm of the hours less that of a log-linear fit, so that a month of long topics
is no change. The day that parts the rows best is taken for one where a two-sample test of whole students (``shift``) is
sure of it, and where the same students and the same topics changed: other students or topics are no change of level.
Then both parts are looked through again (binary segmentation: Scott and Knott 1974, A cluster analysis
method for grouping means, Biometrics 30, 507-512).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata  # type: ignore[import-untyped]

from studyml.evaluation.calibration import evenly
from studyml.evaluation.shift import compare_parts
from studyml.frame import to_datetime, to_microseconds

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Fewer sessions, or fewer groups of them, on either side of a day say too little of a level.
FEWEST_ROWS, FEWEST_GROUPS = 100, 15
#: A change must be this sure, and make sessions at least this many times as long or as short.
SUREST_Z, SMALLEST_FACTOR = 5.0, 1.15
#: So many students, and topics, must be on both sides, and half of them must have changed by as much.
FEWEST_ON_BOTH_SIDES = 5
#: Rows at most that are looked at, evenly over time.
_MOST_ROWS = 20_000
_DAY = 24 * 3600 * 1_000_000


@dataclass(frozen=True)
class LevelChange:
    """Before ``since``, back to the change before, were ``sessions`` that now would take ``factor`` times the hours."""

    since: datetime
    factor: float
    sessions: int

    def to_json(self) -> dict[str, str | float | int]:
        """What a version's metadata keeps."""
        return {"since": self.since.isoformat(), "factor": self.factor, "sessions": self.sessions}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "LevelChange":
        """The inverse of ``to_json``."""
        return cls(datetime.fromisoformat(stored["since"]), float(stored["factor"]), int(stored["sessions"]))


def days_of_change(residual: Floats, date: Integers, groups: Integers, units: Sequence[Integers] = ()) -> Integers:
    """The days from which on another level holds, midnight UTC in microseconds, oldest first; empty without a change.

    ``residual`` [n] is in the order of ``date`` [n], microseconds; rows of one of ``groups`` [n] are alike. Of each of
    ``units``, the ids [n] of students or topics, those on both sides of a day must have changed.
    """
    rows = evenly(len(residual), _MOST_ROWS)
    ids = tuple(each[rows] for each in units)
    return np.array(_changes(residual[rows], date[rows] // _DAY, groups[rows], ids), np.int64) * _DAY


def level_changes(residual: Floats, date: Integers, days: Integers) -> tuple[LevelChange, ...]:
    """The changes on ``days``, as large as the medians of ``residual`` [n] say; of a part without rows factor 1."""
    part = np.searchsorted(days, date, side="right")
    newest = np.median(residual[part == len(days)]) if (part == len(days)).any() else np.nan
    found = []
    for number, day in enumerate(days.tolist()):
        older = residual[part == number]
        apart = float(newest - np.median(older)) if len(older) else np.nan
        # Rounded, so that another machine's last digit does not make other labels.
        found.append(LevelChange(to_datetime(day), round(float(np.exp(np.nan_to_num(apart))), 4), len(older)))
    return tuple(found)


def at_newest_level(hours: Floats, date: Integers, changes: tuple[LevelChange, ...]) -> Floats:
    """What sessions of ``hours`` [n], ``date`` in microseconds, would take at the newest level.

    >>> from datetime import UTC
    >>> change = LevelChange(datetime(2026, 7, 24, tzinfo=UTC), factor=1.5, sessions=1)
    >>> dates = np.array([to_microseconds(change.since) - 1, to_microseconds(change.since)])
    >>> at_newest_level(np.array([2.0, 2.0]), dates, (change,))
    array([3., 2.])
    """
    days = np.array([to_microseconds(each.since) for each in changes], np.int64)
    factors = np.array([*(each.factor for each in changes), 1.0])
    moved: Floats = hours * factors[np.searchsorted(days, date, side="right")]
    return moved


def _changes(residual: Floats, day: Integers, groups: Integers, units: Sequence[Integers]) -> list[int]:
    cut = _surest(residual, day)
    if cut is None or not _is_change(residual, newer := day >= cut, groups, units):
        return []
    older, later = (
        _changes(residual[part], day[part], groups[part], [each[part] for each in units]) for part in (~newer, newer)
    )
    return [*older, cut, *later]


def _surest(residual: Floats, day: Integers) -> int | None:
    """The day that parts the rows most surely, were they independent: the largest standardised sum of ranks."""
    count = len(residual)
    first = np.flatnonzero(np.diff(day)) + 1
    first = first[(first >= FEWEST_ROWS) & (count - first >= FEWEST_ROWS)]
    if not len(first):
        return None
    ranks = rankdata(residual) - (count + 1) / 2
    apart = np.abs(np.cumsum(ranks)[first - 1]) / np.sqrt(first * (count - first))
    return int(day[first[np.argmax(apart)]])


def _is_change(residual: Floats, newer: NDArray[np.bool_], groups: Integers, units: Sequence[Integers]) -> bool:
    shift = compare_parts(residual, newer, groups)
    if shift is None or min(len(np.unique(groups[part])) for part in (newer, ~newer)) < FEWEST_GROUPS:
        return False
    apart = shift.newer - shift.older
    if abs(shift.z) < SUREST_Z or abs(apart) < np.log(SMALLEST_FACTOR):
        return False
    return all(_within(residual * np.sign(apart), newer, each) >= np.log(SMALLEST_FACTOR) for each in units)


def _within(residual: Floats, newer: NDArray[np.bool_], ids: Integers) -> float:
    """By how much the ids on both sides differ from their older selves, the weighted median; -inf of too few."""
    numbers = np.unique(ids, return_inverse=True)[1].ravel()
    count = int(numbers.max()) + 1
    rows = [np.bincount(numbers[part], minlength=count) for part in (newer, ~newer)]
    both = np.flatnonzero((rows[0] > 0) & (rows[1] > 0))
    if len(both) < min(FEWEST_ON_BOTH_SIDES, count):
        return -np.inf
    after, before = (
        np.bincount(numbers[part], residual[part], count)[both] / of[both]
        for part, of in zip((newer, ~newer), rows, strict=True)
    )
    apart, weight = after - before, 1 / (1 / rows[0][both] + 1 / rows[1][both])
    order = np.argsort(apart)
    return float(apart[order][np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)])
