"""Where a predictor is weak: its error by subject, education level, length, time of day, new student and topic."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.evaluation.gates import Holdout
from studyml.evaluation.spread import MINIMUM_GROUPS, Resampling, spread
from studyml.frame import MISSING, Frame

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

#: A slice of fewer rows is shown, and marked as too small to judge.
MINIMUM_ROWS = 10
#: A category of more levels shows the most frequent ones; the rest share a slice.
MAXIMUM_LEVELS = 12
#: From this many rows on lengths are cut into fifths, below into thirds.
ROWS_FOR_FIFTHS = 100
NAIVE = ("median", "estimate")

_CATEGORIES = {
    "subject": "Subject",
    "education_level": "Education level",
    "time_of_day": "Time of day",
}
_HISTORIES = {
    "student_history_count": ("student", "Student", "returning student", "new student"),
    "topic_history_count": ("topic", "Topic", "known topic", "new topic"),
}
_BY_ACTUAL = (
    "Every predictor is too long where sessions happened to be short and too short where they happened to be long:"
    " compare the columns, not the rows."
)
_BY_HISTORY = "New means: no outcome was recorded before the session's night."


@dataclass(frozen=True)
class Slice:
    """One slice of the holdout; errors in hours, a residual is actual less predicted."""

    label: str
    rows: int
    mae: float
    standard_error: float | None
    median_absolute_error: float
    median_residual: float
    naive: str
    naive_mae: float
    ratio: float | None
    ratio_lower: float | None
    ratio_upper: float | None
    too_small: bool
    verdict: str


@dataclass(frozen=True)
class Dimension:
    """A way to cut the rows [n]: the code of each row's level, and the levels in the order they are shown."""

    name: str
    title: str
    levels: tuple[str, ...]
    codes: Codes
    note: str = ""


def dimensions(actual: Floats, predicted: Floats, frame: Frame | None) -> tuple[list[Dimension], list[str]]:
    """The cuts that these rows [n] allow, and a sentence for each that they do not.

    ``frame`` holds the features of the same rows in the same order; None where there are none.
    """
    found, absent = list(_of_lengths(actual, predicted)), []
    makers: list[tuple[str, Callable[[Frame, str], Dimension]]] = [
        *((name, _of_category) for name in _CATEGORIES),
        *((name, _of_history) for name in _HISTORIES),
    ]
    for name, make in makers:
        if frame is not None and name in frame.columns:
            found.append(make(frame, name))
        else:
            absent.append(f"There is no error by {name}: the rows kept with this version do not hold it.")
    return found, absent


def _of_lengths(actual: Floats, predicted: Floats) -> Iterator[Dimension]:
    for name, values, title, note in (
        ("predicted_length", predicted, "Predicted length", ""),
        ("actual_length", actual, "Actual length", _BY_ACTUAL),
    ):
        parts = 5 if len(values) >= ROWS_FOR_FIFTHS else 3
        # Lengths that read the same are of one slice: two slices never share their words.
        shown = np.round(values, 2)
        edges = np.unique(np.quantile(shown, np.linspace(0, 1, parts + 1)))
        codes = np.searchsorted(edges[1:-1], shown, side="right").astype(np.int64)
        # The words are of the rows in the slice: with ties an edge may be the end of none.
        ends = [shown[codes == code] for code in range(max(1, len(edges) - 1))]
        levels = tuple(f"{part.min():.2f} to {part.max():.2f} h" if part.size else "none" for part in ends)
        yield Dimension(name, title, levels, codes, note)


def _of_category(frame: Frame, name: str) -> Dimension:
    vocabulary = frame.vocabularies[name]
    own = frame[name].astype(np.int64)
    # Missing and unseen codes are negative: they become the two levels after the vocabulary's own.
    codes = np.where(own >= 0, own, len(vocabulary) + np.where(own == MISSING, 0, 1))
    words = [*vocabulary, "(missing)", "(not in the vocabulary)"]
    counts = np.bincount(codes, minlength=len(words))
    frequent = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    shown = frequent if len(frequent) <= MAXIMUM_LEVELS else frequent[: MAXIMUM_LEVELS - 1]
    position = np.full(len(words), len(shown), np.int64)
    position[shown] = np.arange(len(shown))
    levels = [words[level] for level in shown]
    if len(frequent) > len(shown):
        levels.append(f"({len(frequent) - len(shown)} other levels)")
    return Dimension(name, _CATEGORIES[name], tuple(levels), position[codes])


def _of_history(frame: Frame, name: str) -> Dimension:
    short, title, known, new = _HISTORIES[name]
    counts = np.nan_to_num(frame[name].astype(np.float64))
    return Dimension(short, title, (known, new), (counts <= 0).astype(np.int64), _BY_HISTORY)


def slice_errors(holdout: Holdout, predictor: str, cuts: list[Dimension], drawn: Resampling) -> list[dict[str, Any]]:
    """The error of a predictor in each slice of each dimension, as a report holds it (JSON)."""
    return [
        {
            "dimension": cut.name,
            "title": cut.title,
            "note": cut.note,
            "slices": [asdict(each) for each in _slices(holdout, predictor, cut, drawn)],
        }
        for cut in cuts
    ]


def _slices(holdout: Holdout, predictor: str, cut: Dimension, drawn: Resampling) -> Iterator[Slice]:
    residuals = holdout.actual - holdout.predicted[predictor]
    errors = np.abs(residuals)
    naive = {name: np.abs(holdout.actual - holdout.predicted[name]) for name in NAIVE if name in holdout.predicted}
    for code, label in enumerate(cut.levels):
        rows = cut.codes == code
        count = int(rows.sum())
        if count == 0:
            continue
        best = min(naive, key=lambda name: float(naive[name][rows].mean()))
        found = spread(drawn, errors, naive[best], rows)
        small = count < MINIMUM_ROWS
        yield Slice(
            label=label,
            rows=count,
            mae=found.mae,
            standard_error=found.standard_error,
            median_absolute_error=float(np.median(errors[rows])),
            median_residual=float(np.median(residuals[rows])),
            naive=best,
            naive_mae=float(naive[best][rows].mean()),
            ratio=found.ratio,
            ratio_lower=found.ratio_lower,
            ratio_upper=found.ratio_upper,
            too_small=small,
            verdict=verdict(count, found.ratio_lower, found.ratio_upper),
        )


def verdict(rows: int, lower: float | None, upper: float | None) -> str:
    """What a slice's ratio and its 90 % interval say, in words.

    >>> verdict(40, 0.7, 0.95)
    'better than naive'
    """
    if rows < MINIMUM_ROWS:
        return "too few rows to judge"
    if lower is None or upper is None:
        return f"fewer than {MINIMUM_GROUPS} students or weeks: chance cannot be told"
    if upper < 1:
        return "better than naive"
    return "worse than naive" if lower > 1 else "may be chance"
