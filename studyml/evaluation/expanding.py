"""Naive predictors as they were known at a time: never with a label that was observed later."""

import numpy as np
from numpy.typing import NDArray

from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS
from studyml.evaluation.naive import WITHOUT_ANYTHING

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def expanding_median(observed_at: Integers, hours: Floats, at: Integers) -> Floats:
    """The median [m] of the labels observed up to each moment of ``at``; before the first, WITHOUT_ANYTHING.

    ``observed_at`` [n] and ``at`` [m] are in one unit of time, ``observed_at`` ascending.

    >>> expanding_median(np.array([1, 2, 3]), np.array([5.0, 1.0, 3.0]), np.array([0, 1, 2, 9])).tolist()
    [1.0, 5.0, 3.0, 3.0]
    """
    moments, places = np.unique(at, return_inverse=True)
    known = np.searchsorted(observed_at, moments, side="right")
    medians = np.array([np.median(hours[:count]) if count else WITHOUT_ANYTHING for count in known], np.float64)
    return medians[places.ravel()]


def estimates_or(median: Floats, estimates: Floats) -> Floats:
    """The topic's estimate [n] in hours, where there is none the median; as a prediction may be served.

    >>> estimates_or(np.array([2.0, 2.0, 2.0]), np.array([np.nan, 99.0, 3.0])).tolist()
    [2.0, 24.0, 3.0]
    """
    usable = np.isfinite(estimates) & (estimates > 0)
    return np.clip(np.where(usable, estimates, median), MINIMUM_HOURS, MAXIMUM_HOURS)


def rolling_means(date: Integers, known_at: Integers, values: Floats, at: Integers, days: int) -> Floats:
    """The mean [m] of the values [n] dated in (at - days, at] and known by then; NaN where there is none.

    Times in microseconds.
    """
    length = days * 24 * 3600 * 1_000_000
    means = np.full(len(at), np.nan)
    for row, moment in enumerate(at):
        inside = (date > moment - length) & (date <= moment) & (known_at <= moment)
        if inside.any():
            means[row] = values[inside].mean()
    return means
