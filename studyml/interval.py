"""Intervals around predictions: what evaluation measures, a version keeps and scoring applies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.contract import MAXIMUM_HOURS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """Quantiles of actual / predicted that enclose ``coverage`` of the outcomes, at some predicted ``lengths``.

    Lengths are hours, ascending; between two of them the ratios change evenly with the logarithm of the length,
    beyond the first and the last they stay. With one length they are the same for every prediction.
    """

    coverage: float
    lengths: tuple[float, ...]
    lower_ratios: tuple[float, ...]
    upper_ratios: tuple[float, ...]

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Interval":
        """The inverse of ``dataclasses.asdict``, also after it was JSON."""
        ends = (tuple(stored[name]) for name in ("lengths", "lower_ratios", "upper_ratios"))
        return cls(float(stored["coverage"]), *ends)

    def ratios(self, hours: Floats) -> tuple[Floats, Floats]:
        """The lower and the upper ratio [n] for predictions of ``hours`` [n], all above 0."""
        at, known = np.log(hours), np.log(self.lengths)
        return np.interp(at, known, self.lower_ratios), np.interp(at, known, self.upper_ratios)


def bounds(hours: Floats, intervals: Sequence[Interval]) -> list[tuple[Floats, Floats]]:
    """Lower and upper ends, hours [n], of each interval around predictions ``hours`` [n] from 0.1 to 24.

    Every interval holds its prediction and, whatever the quantiles say, the intervals of less coverage. The upper
    end is at most 24 h. The lower end may be below the shortest prediction of 0.1 h, since sessions may be.
    """
    found: dict[float, tuple[Floats, Floats]] = {}
    lower = upper = hours
    for interval in sorted(intervals, key=lambda each: each.coverage):
        lower_ratio, upper_ratio = interval.ratios(hours)
        lower = np.minimum(hours * lower_ratio, lower)
        upper = np.minimum(np.maximum(hours * upper_ratio, upper), MAXIMUM_HOURS)
        found[interval.coverage] = lower, upper
    return [found[interval.coverage] for interval in intervals]
