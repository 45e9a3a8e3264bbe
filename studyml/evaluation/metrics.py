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
