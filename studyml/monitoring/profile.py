"""What a version learned from, as figures without rows: the reference that later nights are compared with.

Sessions of one student are alike, so their number promises more than it holds. What belongs to a student or a topic is
profiled over the distinct ones that were seen; of what belongs to a session, the profile says how alike the sessions
of one student are, so that a comparison can count them for what they are worth.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.contract import STUDENTS, STUDY_SESSIONS, TOPICS, Column
from studyml.frame import MISSING, Frame

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: The profile of what the version predicted, hours.
PREDICTED = "predicted_hours"
#: Days before the newest training row over which sessions are counted.
VOLUME_DAYS = 28
_DAY_MICROSECONDS = 24 * 3600 * 1_000_000
#: Evenly spaced ranks: more say nothing new, fewer blur the tails.
_RANKS = np.linspace(0, 1, 201)
_TENTHS = np.linspace(0, 1, 11)[1:-1]

_NOT_COMPARED = {"id", "name", "student_id", "topic_id", "session_date", "actual_duration", "breaks_taken"}
#: The compared columns and the key whose distinct values are their units.
COLUMNS: dict[str, tuple[Column, str]] = {
    spec.name: (spec, unit)
    for unit, specs in (("student_id", STUDENTS), ("topic_id", TOPICS), ("id", STUDY_SESSIONS))
    for spec in specs
    if spec.name not in _NOT_COMPARED
}


@dataclass(frozen=True)
class Crowd:
    """How many ``rows`` there are, and what they are worth where rows of one student are alike.

    ``together``: rows of the student of an average row; ``alike`` and ``alike_missing``: the intraclass correlation of
    the values, and of their absence, within a student, 0 to 1.
    """

    rows: int
    missing: int
    together: float = 1.0
    alike: float = 0.0
    alike_missing: float = 0.0


@dataclass(frozen=True)
class NumberProfile:
    """Distinct values [k] at evenly spaced ranks, ascending, with the exact shares of known values below and up to."""

    crowd: Crowd
    values: tuple[float, ...]
    below: tuple[float, ...]
    at_most: tuple[float, ...]
    deviation: float

    def quantile(self, share: float) -> float:
        """The smallest value that at least ``share`` of the known values do not exceed; NaN without any."""
        if not self.values:
            return float("nan")
        place = np.searchsorted(self.at_most, share - 1e-12)
        return self.values[min(int(place), len(self.values) - 1)]


@dataclass(frozen=True)
class CategoryProfile:
    """Rows of each level, by its text; ``other`` are those of levels that the vocabulary did not hold."""

    crowd: Crowd
    counts: Mapping[str, int]
    other: int


Profile = NumberProfile | CategoryProfile


@dataclass(frozen=True)
class ErrorsByLength:
    """By tenth [k] of predicted length: rows, mean predicted hours, mean |actual - predicted| hours.

    A prediction is in the first tenth whose edge [k - 1], in hours, it does not exceed.
    """

    edges: tuple[float, ...]
    rows: tuple[int, ...]
    predicted: tuple[float, ...]
    error: tuple[float, ...]


@dataclass(frozen=True)
class Reference:
    """Profiles by column and of PREDICTED, sessions per day of the last 28 days (None without), errors by length."""

    profiles: Mapping[str, Profile]
    sessions_per_day: float | None
    errors: ErrorsByLength

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> "Reference":
        """The inverse of ``to_json``."""
        errors = ErrorsByLength(**{name: tuple(each) for name, each in stored["errors"].items()})
        profiles = {name: _profile_from_json(each) for name, each in stored["profiles"].items()}
        return Reference(profiles, stored["sessions_per_day"], errors)


def _profile_from_json(stored: Mapping[str, Any]) -> Profile:
    crowd = Crowd(**stored["crowd"])
    if "counts" in stored:
        return CategoryProfile(crowd, dict(stored["counts"]), stored["other"])
    values, below, at_most = (tuple(stored[name]) for name in ("values", "below", "at_most"))
    return NumberProfile(crowd, values, below, at_most, stored["deviation"])


def build_reference(frame: Frame, *, predicted: Floats, actual: Floats) -> Reference:
    """The reference of training rows [n], assembled, with their student_id, topic_id and session_date.

    ``predicted`` [n] hours are what the version says of rows that it did not learn from, as far as there are any;
    ``actual`` [n] hours. Rows where either is not finite leave the profile of predictions.
    """
    # As the table of predictions keeps them: equal hours must stay equal when they are compared.
    predicted = predicted.astype(np.float32).astype(np.float64)
    judged = np.isfinite(predicted) & np.isfinite(actual)
    profiles = profile_features(frame)
    profiles[PREDICTED] = profile_numbers(predicted[judged], students(frame)[judged])
    return Reference(
        profiles,
        _sessions_per_day(frame["session_date"].astype(np.int64)),
        _errors_by_length(predicted[judged], actual[judged]),
    )


def profile_features(frame: Frame) -> dict[str, Profile]:
    """The profile of each compared column of the frame: over distinct students, distinct topics, or sessions."""
    groups = students(frame)
    rows = {unit: units(frame, unit) for unit in {unit for _, unit in COLUMNS.values()}}
    return {
        name: _profile(frame, name, rows[unit], groups[rows[unit]] if unit == "id" else np.arange(len(rows[unit])))
        for name, (_, unit) in COLUMNS.items()
        if name in frame.columns
    }


def _profile(frame: Frame, name: str, rows: Integers, groups: Integers) -> Profile:
    if COLUMNS[name][0].kind == "category":
        return profile_codes(frame[name][rows].astype(np.int64), frame.vocabularies[name], groups)
    return profile_numbers(frame[name][rows].astype(np.float64), groups)


def students(frame: Frame) -> Integers:
    """The student of each row [n], numbered from 0."""
    return np.asarray(np.unique(frame["student_id"], return_inverse=True)[1], np.int64)


def units(frame: Frame, unit: str) -> Integers:
    """Rows [k], one for each distinct student or topic; every row for sessions."""
    if unit == "id":
        return np.arange(len(frame))
    return np.sort(np.unique(frame[unit], return_index=True)[1]).astype(np.int64)


def profile_numbers(values: Floats, groups: Integers) -> NumberProfile:
    """The profile of values [n] of these students, numbered from 0; what is not finite is missing."""
    known = np.isfinite(values)
    ordered = np.sort(values[known])
    crowd = _crowd(known, groups, _alike_numbers(values[known], groups[known]))
    if len(ordered) == 0:
        return NumberProfile(crowd, (), (), (), 0.0)
    knots = np.unique(ordered[np.maximum(np.ceil(_RANKS * len(ordered) - 1e-9).astype(np.int64) - 1, 0)])
    below, at_most = (np.searchsorted(ordered, knots, side=side) / len(ordered) for side in ("left", "right"))
    with np.errstate(over="ignore"):
        deviation = float(np.std(ordered))
    return NumberProfile(
        crowd,
        tuple(knots.tolist()),
        tuple(below.tolist()),
        tuple(at_most.tolist()),
        deviation if np.isfinite(deviation) else 0.0,
    )


def profile_codes(codes: Integers, levels: tuple[str, ...], groups: Integers) -> CategoryProfile:
    """The profile of category codes [n] into ``levels``, of these students, numbered from 0."""
    known = codes != MISSING
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    return CategoryProfile(
        _crowd(known, groups, _alike_codes(codes[known], groups[known])),
        {level: int(count) for level, count in zip(levels, counts, strict=True) if count},
        int((known & (codes < 0)).sum()),
    )


def _crowd(known: NDArray[np.bool_], groups: Integers, alike: float) -> Crowd:
    sizes = np.bincount(groups).astype(np.float64)
    together = float(np.square(sizes).sum() / len(groups)) if len(groups) else 1.0
    missing = 0.0 if known.all() else _alike_codes(known.astype(np.int64), groups)
    return Crowd(len(known), int((~known).sum()), together, alike, missing)


def _alike_numbers(values: Floats, groups: Integers) -> float:
    """Of their ranks: a giant must not hide how alike the others are."""
    sizes = np.bincount(groups)
    if np.count_nonzero(sizes) == len(values):
        return 0.0
    ranks = np.unique(values, return_inverse=True)[1].astype(np.float64)
    ranks -= ranks.mean()
    between = float((np.square(np.bincount(groups, ranks)) / np.maximum(sizes, 1)).sum())
    return _intraclass(between, float(np.square(ranks).sum()) - between, sizes[sizes > 0])


def _alike_codes(codes: Integers, groups: Integers) -> float:
    """Of all levels together, each as zero or one."""
    sizes = np.bincount(groups)
    if np.count_nonzero(sizes) == len(codes):
        return 0.0
    lowest = int(codes.min())
    width = int(codes.max()) - lowest + 1
    pairs, counts = np.unique(groups * width + codes - lowest, return_counts=True)
    within = float((np.square(counts) / sizes[pairs // width]).sum())
    expected = float(np.square(np.bincount(codes - lowest)).sum() / len(codes))
    return _intraclass(within - expected, len(codes) - within, sizes[sizes > 0])


def _intraclass(between: float, within: float, sizes: NDArray[np.generic]) -> float:
    """The intraclass correlation from sums of squares (one-way analysis of variance, Donner and Koval 1980)."""
    groups, rows = len(sizes), int(sizes.sum())
    if groups < 2 or rows <= groups:
        return 0.0
    size = (rows - float(np.square(sizes.astype(np.float64)).sum()) / rows) / (groups - 1)
    between, within = between / (groups - 1), within / (rows - groups)
    whole = between + (size - 1) * within
    return min(max((between - within) / whole, 0.0), 1.0) if whole > 0 else 0.0


def _sessions_per_day(session_date: Integers) -> float | None:
    if len(session_date) == 0:
        return None
    after = int(session_date.max()) - VOLUME_DAYS * _DAY_MICROSECONDS
    return float((session_date > after).sum() / VOLUME_DAYS)


def _errors_by_length(predicted: Floats, actual: Floats) -> ErrorsByLength:
    if len(predicted) == 0:
        return ErrorsByLength((), (), (), ())
    edges = np.unique(np.quantile(predicted, _TENTHS, method="inverted_cdf"))
    edges = edges[edges < predicted.max()]
    tenth = np.searchsorted(edges, predicted, side="left")
    rows = np.bincount(tenth, minlength=len(edges) + 1)
    lengths, errors = (np.bincount(tenth, each) / rows for each in (predicted, np.abs(actual - predicted)))
    return ErrorsByLength(*(tuple(each.tolist()) for each in (edges, rows, lengths, errors)))


def expected_errors(reference: Reference, predicted: Floats) -> Floats | None:
    """The error, hours, that each of the predictions [n], hours, has on average by its length; None without any.

    Each tenth of predicted length had a relative error (MAE over mean prediction) on rows that the version did not
    learn from: a prediction's expected error is that of its tenth.
    """
    errors = reference.errors
    if not errors.rows:
        return None
    relative = np.array(errors.error) / np.array(errors.predicted)
    expected: Floats = relative[np.searchsorted(errors.edges, predicted, side="left")] * predicted
    return expected


def estimated_mae(reference: Reference, predicted: Floats) -> float | None:
    """An *estimate* of the MAE, hours, of predictions [n] in hours whose labels have not arrived; None without any.

    It is the mean of ``expected_errors``. So it knows only changes in *what* is predicted, such as more long sessions,
    not in *how well*: a model that has become wrong looks as good as ever.
    """
    expected = expected_errors(reference, predicted[np.isfinite(predicted)])
    return None if expected is None or len(expected) == 0 else float(expected.mean())
