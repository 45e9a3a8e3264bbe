"""What could ring: the guide's rule, ours, and two detectors of river on the stream of absolute errors.

Each is told the sessions in the order of time with the day of each, and says on which nights it rings. The night of a
day knows that day and those before.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.monitoring.degradation import RULES, ExpectedError, limit, over_limit

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Nights = NDArray[np.bool_]

GUIDES_RULE, OURS, PAGE_HINKLEY, ADWIN = "guide's rule", "ours", "Page-Hinkley", "ADWIN"
PEERS = (PAGE_HINKLEY, ADWIN)
GUIDES_DAYS, GUIDES_RATIO, GUIDES_OUTCOMES = 30, 1.2, 10


@dataclass(frozen=True)
class Stream:
    """Sessions [n] in the order of time, hours, over ``days`` days."""

    day: Integers
    actual: Floats
    predicted: Floats
    days: int

    @property
    def absolute_errors(self) -> Floats:
        """Hours [n]."""
        return np.abs(self.actual - self.predicted)

    def per_day(self, values: Floats | None = None) -> Floats:
        """Sums of ``values`` [n], or the number of sessions, for each day [days]."""
        return np.bincount(self.day, values, self.days).astype(np.float64)


def over(daily: Floats, days: int) -> Floats:
    """Sums of the last ``days`` days, for each night [nights].

    >>> over(np.array([1.0, 2.0, 3.0]), 2)
    array([1., 3., 5.])
    """
    total = np.concatenate([[0.0], np.cumsum(daily)])
    end = np.arange(1, len(total))
    return total[end] - total[np.maximum(end - days, 0)]


def guides_rule(stream: Stream, baseline: float) -> tuple[Nights, Nights]:
    """The nights on which the 30-day MAE exceeds 1.2 x ``baseline`` hours, and those on which it is healthy."""
    n = over(stream.per_day(), GUIDES_DAYS)
    exceeds = over(stream.per_day(stream.absolute_errors), GUIDES_DAYS) > GUIDES_RATIO * baseline * n
    return exceeds & (n >= GUIDES_OUTCOMES), ~exceeds & (n >= GUIDES_OUTCOMES)


def ours(stream: Stream, expected: ExpectedError) -> Nights:
    """The nights on which a window confirms, no shorter one shows that it is over, and 30 days have ten outcomes."""
    counts = stream.per_day()
    sums = stream.per_day(np.minimum(stream.absolute_errors / stream.predicted, expected.cap))
    rings, is_over = np.zeros(stream.days, bool), np.zeros(stream.days, bool)
    for window in sorted(RULES, key=lambda each: each.days):
        n, total = over(counts, window.days), over(sums, window.days)
        enough = n >= window.minimum_outcomes
        of_n = np.maximum(n, 1.0)
        ratio = total / of_n / expected.mean
        rings |= enough & ~is_over & (ratio > limit(expected, window, of_n))
        is_over |= enough & (ratio <= over_limit(expected, of_n))
    return rings & (over(counts, GUIDES_DAYS) >= GUIDES_OUTCOMES)


def peer(name: str, stream: Stream) -> Nights:
    """The nights after whose sessions a detector of river saw the mean of the absolute errors rise.

    Both with their default parameters, Page-Hinkley for a rise only. ADWIN looks for either: what it finds is a rise
    where the mean over its window is higher after it dropped the older part.
    """
    rings = np.zeros(stream.days, bool)
    for at in _rises(_DETECTORS[name](), stream.absolute_errors):
        rings[stream.day[at]] = True
    return rings


def _rises(detector: Any, values: Floats) -> Iterator[int]:
    before = 0.0
    for at, value in enumerate(values.tolist()):
        detector.update(value)
        after = getattr(detector, "estimation", None)
        if detector.drift_detected and (after is None or after > before):
            yield at
        before = after or 0.0


def _page_hinkley() -> Any:
    from river.drift import PageHinkley

    return PageHinkley(mode="up")


def _adwin() -> Any:
    from river.drift import ADWIN

    return ADWIN()


_DETECTORS: dict[str, Callable[[], Any]] = {PAGE_HINKLEY: _page_hinkley, ADWIN: _adwin}


def peers_at_hand() -> tuple[str, ...]:
    """The peers, where river is installed."""
    return PEERS if find_spec("river") else ()
