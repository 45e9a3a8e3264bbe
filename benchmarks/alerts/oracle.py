"""How soon a change is seen by a rule that is told what none can know: how errors are distributed before and after it.

It adds up the logarithm of the likelihood ratio of each outcome, after the change to before it, starts again at 0
whenever the sum falls below, and rings above a threshold (Page, Biometrika 1954). For independent outcomes it is the
soonest in Lorden's sense of all that ring for nothing as rarely (Moustakides, Annals of Statistics 1986). It also knows
which kind of change comes and how large, and its threshold is set by healthy years of the same log and pattern of
arrivals, so that it rings for nothing as often as ours may.

A yardstick, not a bound: the distributions are those of a log's rows, smoothed by Silverman's rule of thumb (1986).
With less smoothing the rule tells the rows of a short log apart and is sooner, with more it is later; and in bursts
outcomes depend on one another.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.alerts.arrivals import ARRIVALS
from benchmarks.alerts.errors import ErrorPool, changed
from benchmarks.alerts.measure import CHANGE_DAY, DAYS, Case

Floats = NDArray[np.float64]

#: Relative errors taken for equal.
_SMALLEST = 1e-3
_STEP, _TINY = 0.005, 1e-12
_LARGEST_THRESHOLD, _HALVINGS = 64.0, 10


@dataclass(frozen=True)
class Oracle:
    """Median days from a change, which raises the MAE by the share ``by``, to the alarm of the rule told all."""

    case: Case
    kind: str
    by: float
    days: float


def oracle(pool: ErrorPool, case: Case, kind: str, by: float, *, alarms_a_year: float, years: int, seed: int) -> Oracle:
    """The days of ``years`` changes; as many healthy years say which threshold rings ``alarms_a_year`` times."""
    random = np.random.default_rng([seed, list(ARRIVALS).index(case.arrivals), round(case.rate * 10), len(pool.actual)])
    before = (pool.actual - pool.predicted) / pool.predicted
    after = (changed(pool, kind, by) - pool.predicted) / pool.predicted
    evidence = log_likelihood_ratio(after, before)
    of_healthy, of_changed = evidence(before), evidence(after)
    healthy = of_healthy[ARRIVALS[case.arrivals](random, pool, case.rate, 365 * years).row]
    threshold = _threshold(healthy, alarms_a_year * years)
    delays = []
    for _ in range(years):
        arrived = ARRIVALS[case.arrivals](random, pool, case.rate, DAYS)
        since = np.searchsorted(arrived.day, CHANGE_DAY)
        sums = np.concatenate([of_healthy[arrived.row[:since]], of_changed[arrived.row[since:]]])
        rings = [at for at in alarms(sums, threshold) if at >= since]
        delays.append(arrived.day[rings[0]] - CHANGE_DAY + 1 if rings else np.inf)
    return Oracle(case, kind, by, float(np.quantile(delays, 0.5, method="lower")))


def alarms(increments: Floats, threshold: float) -> list[int]:
    """The places of ``increments`` [n] at which their sum, never below 0, exceeds ``threshold`` and starts again.

    >>> alarms(np.array([-5.0, 2.0, 2.0, -1.0, 4.0]), 3.0)
    [2, 4]
    """
    total, found = 0.0, []
    for at, increment in enumerate(increments.tolist()):
        total = max(0.0, total + increment)
        if total > threshold:
            found.append(at)
            total = 0.0
    return found


def _threshold(healthy: Floats, most: float) -> float:
    """The least threshold, to a few hundredths, at which ``healthy`` rings at most so often."""
    low, high = 0.0, _LARGEST_THRESHOLD
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if len(alarms(healthy, middle)) > most else (low, middle)
    return high


def log_likelihood_ratio(after: Floats, before: Floats) -> Callable[[Floats], Floats]:
    """Of a relative error, after to before: by its sign and the smoothed logarithm of its size in the two samples."""
    size = [np.log(np.maximum(np.abs(each), _SMALLEST)) for each in (after, before)]
    edges = np.arange(min(map(np.min, size)) - 1, max(map(np.max, size)) + 1, _STEP)
    width, ratio = silverman(size[1]), {}
    for positive in (True, False):
        new, old = (
            _density(logs[(each > 0) == positive], len(each), width, edges)
            for logs, each in zip(size, (after, before), strict=True)
        )
        ratio[positive] = np.log(new / old)

    def of(errors: Floats) -> Floats:
        place = np.rint((np.log(np.maximum(np.abs(errors), _SMALLEST)) - edges[0]) / _STEP).astype(np.int64)
        place = np.clip(place, 0, len(edges) - 1)
        return np.where(errors > 0, ratio[True][place], ratio[False][place])

    return of


def silverman(values: Floats) -> float:
    """The standard deviation of the kernel that smooths ``values`` [n].

    By Silverman, Density Estimation for Statistics and Data Analysis (1986), equation 3.31.

    >>> round(silverman(np.array([1.0, 2.0, 3.0, 4.0])), 3)
    0.764
    """
    quarter, three_quarters = np.quantile(values, (0.25, 0.75))
    spread = min(float(values.std(ddof=1)), float(three_quarters - quarter) / 1.34)
    return float(0.9 * spread * len(values) ** -0.2)


def _density(logs: Floats, of: int, width: float, edges: Floats) -> Floats:
    """The density at each edge of a part of ``of`` values, never 0."""
    counts, _ = np.histogram(logs, np.append(edges, edges[-1] + _STEP))
    reach = np.arange(-5 * width, 5 * width + _STEP / 2, _STEP)
    kernel = np.exp(-((reach / width) ** 2) / 2)
    smooth: Floats = np.convolve(counts, kernel / kernel.sum(), mode="same") / of / _STEP
    return smooth + _TINY
