"""Intervals measured on predictions of rows that the model had not seen, and how many outcomes they hold.

A prediction times two quantiles of actual / predicted is its interval. The quantiles are those of split conformal
prediction: with the finite-sample rank (n + 1) q, so that few rows widen the interval (Lei, G'Sell, Rinaldo,
Tibshirani and Wasserman, "Distribution-Free Predictive Inference for Regression", JASA 2018). Where errors grow or
shrink with the length of a session, one pair of ratios holds too many of the long or of the short ones. So the
quantiles are taken in bands of the predicted length, and what is left to the finite-sample rank is corrected by one
shift for all, as in conformalized quantile regression (Romano, Patterson and Candes, NeurIPS 2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS
from studyml.interval import Interval

Floats = NDArray[np.float64]

#: The intervals that every prediction carries.
COVERAGES = (0.8, 0.9)
#: Rows that a band needs: its 5 % quantile then lies between the second and the third smallest ratio.
ROWS_PER_BAND = 48
BANDS = 10
#: Fewer newest rows than this say nothing about the level of the intervals.
MINIMUM_NEWEST = 20


@dataclass(frozen=True)
class LengthCoverage:
    """The share of ``n`` outcomes inside their interval, among predictions of some length in hours."""

    from_hours: float
    to_hours: float
    n: int
    coverage: float


def fit_intervals(
    actual: Floats,
    predicted: Floats,
    coverages: Sequence[float] = COVERAGES,
    *,
    newest: tuple[Floats, Floats] | None = None,
) -> tuple[Interval, ...]:
    """One interval per coverage from hours ``actual`` and ``predicted`` [n] by models that had not seen the rows.

    ``newest`` holds the same two for rows that came after those, predicted by the model that will serve: where it
    shows that the intervals are too wide or too narrow (the students known, or the world changed), they follow it
    as far as that is more than chance. Empty without rows, or where a prediction is not a finite number.
    """
    if len(actual) == 0 or not np.isfinite(predicted).all():
        return ()
    lengths = _lengths(predicted)
    return tuple(_fit(np.log(actual) - np.log(lengths), lengths, coverage, newest) for coverage in coverages)


def _lengths(predicted: Floats) -> Floats:
    """As they are served: within the limits."""
    return np.clip(predicted, MINIMUM_HOURS, MAXIMUM_HOURS)


def _tail(coverage: float) -> float:
    # Rounded: 0.9 leaves 0.04999... in binary, and a rank that is whole would be one less.
    return round((1 - coverage) / 2, 9)


def _fit(ratios: Floats, lengths: Floats, coverage: float, newest: tuple[Floats, Floats] | None) -> Interval:
    """``ratios`` are logarithms of actual / predicted, [n] as ``lengths`` in hours."""
    tail = _tail(coverage)
    bands = _bands(lengths)
    ends = np.array([_between(ratios[rows], tail) for rows in bands])
    interval = _interval(coverage, [float(np.median(lengths[rows])) for rows in bands], ends)
    rank = max(int((len(ratios) + 1) * tail), 1) - 1
    lower, upper = _excess(interval, ratios, lengths)
    ends += np.array((np.sort(lower)[rank], np.sort(upper)[len(ratios) - 1 - rank]))
    interval = _interval(coverage, interval.lengths, ends)
    if newest is None or len(newest[0]) < MINIMUM_NEWEST or not np.isfinite(newest[1]).all():
        return interval
    return _interval(coverage, interval.lengths, ends + _shift(interval, *newest))


def _interval(coverage: float, lengths: Sequence[float], ends: Floats) -> Interval:
    lower, upper = np.exp(ends).T.tolist()
    return Interval(coverage, tuple(lengths), tuple(lower), tuple(upper))


def _bands(lengths: Floats) -> list[NDArray[np.int64]]:
    """Rows by predicted length, in bands of equal size whose median lengths differ, the shortest first."""
    count = min(BANDS, max(1, len(lengths) // ROWS_PER_BAND))
    parts = np.array_split(np.argsort(lengths, kind="stable"), count)
    medians = np.array([np.median(lengths[rows]) for rows in parts])
    # Equal predictions are no order: what they were cut into belongs together.
    return [np.concatenate([parts[at] for at in np.flatnonzero(medians == each)]) for each in np.unique(medians)]


def _between(values: Floats, tail: float) -> tuple[float, float]:
    """The values at the finite-sample ranks of both tails, between two rows where a rank is."""
    ordered, places = np.sort(values), np.arange(len(values))
    rank = max((len(values) + 1) * tail - 1, 0)
    lower, upper = np.interp((rank, len(values) - 1 - rank), places, ordered)
    return float(lower), float(upper)


def _excess(interval: Interval, ratios: Floats, lengths: Floats) -> tuple[Floats, Floats]:
    """How far each logarithm of actual / predicted lies above the lower and above the upper end."""
    lower, upper = interval.ratios(lengths)
    return ratios - np.log(lower), ratios - np.log(upper)


def _shift(interval: Interval, actual: Floats, predicted: Floats) -> Floats:
    """What to add to the logarithms of the lower and the upper ratio so that the interval follows the newest rows.

    In full it would be their own conformal correction. They are few, so it is shrunk by what chance explains of the
    difference between their coverage and the nominal one: 1 - 1/z2, at least 0, as in James and Stein (1961).
    """
    lengths = _lengths(predicted)
    lower, upper = _excess(interval, np.log(actual) - np.log(lengths), lengths)
    nominal, n = interval.coverage, len(actual)
    z2 = (float(((lower >= 0) & (upper <= 0)).mean()) - nominal) ** 2 * n / (nominal * (1 - nominal))
    tail = _tail(nominal)
    correction = np.array((_between(lower, tail)[0], _between(upper, tail)[1]))
    return correction * (1 - 1 / z2 if z2 > 1 else 0.0)


def interval_coverage(actual: Floats, lower: Floats, upper: Floats) -> float | None:
    """The share of outcomes [n] inside their interval, ends included; None without outcomes.

    >>> interval_coverage(np.array([1.0, 2.0, 3.0, 9.0]), np.full(4, 1.0), np.full(4, 3.0))
    0.75
    """
    return float(((actual >= lower) & (actual <= upper)).mean()) if len(actual) else None


def coverage_by_length(
    actual: Floats, predicted: Floats, lower: Floats, upper: Floats, parts: int = 10
) -> tuple[LengthCoverage, ...]:
    """Coverage in ``parts`` of equal size by predicted length, the shortest first; fewer parts than that with few rows.

    All arrays are hours [n].
    """
    inside = (actual >= lower) & (actual <= upper)
    ordered = np.argsort(predicted, kind="stable")
    return tuple(
        LengthCoverage(
            float(predicted[rows].min()), float(predicted[rows].max()), len(rows), float(inside[rows].mean())
        )
        for rows in np.array_split(ordered, parts)
        if len(rows)
    )
