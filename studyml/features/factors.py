"""Factors, of which two from different features make an input: a category's level, a band of a number, or the number.

Products of them let a network see at once what two features tell only together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.frame import Frame

#: A number beyond this counts as missing: the standard deviation of a product, and so its fourth power, would overflow.
LARGEST = 1e70
#: A number with hardly more distinct values keeps each of them; any other has this many bands with about as many rows.
BANDS = 5
#: A level needs this many training rows (or this share).
_MINIMUM_ROWS, _MINIMUM_SHARE = 10, 0.02


@dataclass(frozen=True)
class Factor:
    """1 where a category is ``level``, or where a number is in a band, else 0; or a number's distance from ``centre``.

    A band is above ``above`` and up to ``up_to``, None where it has no such limit. A missing value gives 0, as does a
    level that the rows do not know.
    """

    feature: str
    level: str | None = None
    above: float | None = None
    up_to: float | None = None
    centre: float | None = None

    @property
    def name(self) -> str:
        """In words, such as ``subject=Mathematics``, ``2.5<energy_level<=3.5`` or ``energy_level``."""
        if self.level is not None:
            return f"{self.feature}={self.level}"
        lower = "" if self.above is None else f"{self.above:g}<"
        upper = "" if self.up_to is None else f"<={self.up_to:g}"
        return f"{lower}{self.feature}{upper}"

    def values(self, frame: Frame) -> NDArray[np.float64]:
        """Its value in each row [n], always finite."""
        if self.level is not None:
            levels = frame.vocabularies[self.feature]
            code = levels.index(self.level) if self.level in levels else None
            return np.zeros(len(frame)) if code is None else (frame[self.feature] == code).astype(np.float64)
        numbers = frame[self.feature].astype(np.float64)
        if self.centre is not None:
            return np.where(np.abs(numbers) <= LARGEST, numbers - self.centre, 0.0)
        lower = -np.inf if self.above is None else self.above
        upper = np.inf if self.up_to is None else self.up_to
        return ((numbers > lower) & (numbers <= upper)).astype(np.float64)


@dataclass(frozen=True)
class Factors:
    """What a feature's values are parted into, and the factor of the number itself (None for a category)."""

    parts: tuple[Factor, ...]
    number: Factor | None

    def part_of(self, frame: Frame) -> NDArray[np.int64]:
        """Which part each row [n] is in, counted from 1; 0 where it is in none."""
        found = np.zeros(len(frame), np.int64)
        for position, each in enumerate(self.parts, start=1):
            found[each.values(frame) > 0] = position
        return found


def fit_factors(frame: Frame, feature: str) -> Factors:
    """The factors of a feature by the training rows; no parts where its values do not differ."""
    if feature in frame.vocabularies:
        levels = frame.vocabularies[feature]
        codes = frame[feature].astype(np.intp)
        counts = dict(zip(levels, np.bincount(codes[codes >= 0], minlength=len(levels)).tolist(), strict=True))
        needed = max(_MINIMUM_ROWS, _MINIMUM_SHARE * len(frame))
        return Factors(tuple(Factor(feature, level) for level in sorted(levels) if counts[level] >= needed), None)
    values = frame[feature].astype(np.float64)
    known = values[np.abs(values) <= LARGEST]
    distinct = np.unique(known)
    if len(distinct) < 2:
        return Factors((), None)
    limits = np.unique(np.quantile(known, np.arange(1, BANDS) / BANDS))
    if len(distinct) <= BANDS + 1:
        limits = (distinct[:-1] + distinct[1:]) / 2
    ends = [None, *limits[limits < distinct[-1]].tolist(), None]
    bands = (Factor(feature, above=low, up_to=high) for low, high in pairwise(ends))
    return Factors(tuple(bands), Factor(feature, centre=float(known.mean())))


def factors_together(first: Factors, second: Factors) -> Iterator[tuple[Factor, Factor]]:
    """Every part of one feature with every part of another, and the two numbers."""
    yield from product(first.parts, second.parts)
    if first.number is not None and second.number is not None:
        yield first.number, second.number


def factors_from_json(stored: Sequence[Mapping[str, Any]]) -> tuple[Factor, ...]:
    """The inverse of ``dataclasses.asdict`` for the factors of an input."""
    return tuple(Factor(**each) for each in stored)
