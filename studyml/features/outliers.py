"""Outlying labels by the guide's rule, on the log of hours: lengths are skewed, and long sessions are not errors."""

import numpy as np
from numpy.typing import NDArray

#: Fences of Tukey's box plot: this many interquartile ranges beyond the quartiles (guide.md, Target Variable Issues).
FENCE = 1.5


def outlying(hours: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows [n] whose log hours lie outside the fences."""
    if not len(hours):
        return np.zeros(0, bool)
    logs = np.log(hours)
    first, third = np.quantile(logs, [0.25, 0.75])
    reach = FENCE * (third - first)
    found: NDArray[np.bool_] = (logs < first - reach) | (logs > third + reach)
    return found
