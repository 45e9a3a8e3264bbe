"""Error measures, all in hours."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def mean_absolute_error(actual: Floats, predicted: Floats) -> float:
    """MAE of predictions [n].

    >>> mean_absolute_error(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    1.5
    """
    return float(np.abs(actual - predicted).mean())


def root_mean_squared_error(actual: Floats, predicted: Floats) -> float:
    """RMSE of predictions [n].

    >>> root_mean_squared_error(np.array([0.0, 0.0]), np.array([3.0, 3.0]))
    3.0
    """
    return float(np.sqrt(np.square(actual - predicted).mean()))


def interval_ratios(actual: Floats, predicted: Floats, coverage: float) -> tuple[float, float]:
    """The quantiles of actual / predicted that enclose ``coverage`` of the rows.

    A prediction times these is its interval: alike for short and long tasks (facts.md, intervals). The quantiles
    are those of split conformal prediction: the finite-sample rank (n + 1) q, so that few rows widen the interval.
    """
    ratios = np.sort(actual / predicted)
    tail = (1 - coverage) / 2
    rank = (len(ratios) + 1) * tail
    lower = max(int(np.floor(rank)), 1) - 1
    return float(ratios[lower]), float(ratios[len(ratios) - 1 - lower])
