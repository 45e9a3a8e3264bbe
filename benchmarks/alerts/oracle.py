"""How soon a change is seen by a rule that is told what none can know: how errors are distributed before and after it.

It adds up the logarithm of the likelihood ratio of each outcome, after the change to before it, starts again at 0
whenever the sum falls below, and rings above a threshold (Page, Biometrika 1954). It also knows which kind of change
comes and how large, and its threshold is set by healthy years of the same log and pattern of arrivals, so that it rings
for nothing as often as ours may.

Errors are those of a log's rows, each moved a little (by Silverman's rule of thumb, 1986), so that what the rule is
told is exactly what it sees: of the rows themselves it would tell one from another. Of independent outcomes that are
distributed so, as even arrivals are, no rule that looks at relative errors and rings for nothing as rarely has a
shorter delay in Lorden's sense, the worst mean one (Moustakides, Annals of Statistics 1986). The medians printed here
may be a little longer than those of another rule. In bursts outcomes depend on one another: there it is a yardstick.
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
#: Widths of the kernel beyond which there is next to nothing of it.
_REACH = 5
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
    width = silverman(_size(before))
    evidence = log_likelihood_ratio(after, before, width)
    healthy = before[ARRIVALS[case.arrivals](random, pool, case.rate, 365 * years).row]
    threshold = _threshold(evidence(moved(random, healthy, width)), alarms_a_year * years)
    delays = []
    for _ in range(years):
        arrived = ARRIVALS[case.arrivals](random, pool, case.rate, DAYS)
        since = np.searchsorted(arrived.day, CHANGE_DAY)
        errors = np.concatenate([before[arrived.row[:since]], after[arrived.row[since:]]])
        increments = evidence(moved(random, errors, width))
        rings = [at for at in alarms(increments, threshold) if at >= since]
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


def moved(random: np.random.Generator, errors: Floats, width: float) -> Floats:
    """``errors`` [n] drawn anew: each keeps its sign, the logarithm of its size moves by a normal of ``width``."""
    sizes: Floats = np.exp(_size(errors) + width * random.standard_normal(len(errors)))
    return np.where(errors > 0, sizes, -sizes)


def log_likelihood_ratio(after: Floats, before: Floats, width: float) -> Callable[[Floats], Floats]:
    """Of a relative error, after to before: by its sign and size in the two samples, as ``moved`` draws from them."""
    size = [_size(each) for each in (after, before)]
    edges = np.arange(min(map(np.min, size)) - _REACH * width, max(map(np.max, size)) + _REACH * width, _STEP)
    ratio = {}
    for positive in (True, False):
        new, old = (
            _density(logs[(each > 0) == positive], len(each), width, edges)
            for logs, each in zip(size, (after, before), strict=True)
        )
        ratio[positive] = np.log(new / old)

    def of(errors: Floats) -> Floats:
        place = np.rint((np.log(np.maximum(np.abs(errors), _TINY)) - edges[0]) / _STEP).astype(np.int64)
        place = np.clip(place, 0, len(edges) - 1)
        return np.where(errors > 0, ratio[True][place], ratio[False][place])

    return of


def _size(errors: Floats) -> Floats:
    """The logarithm of the size of each [n]."""
    logs: Floats = np.log(np.maximum(np.abs(errors), _SMALLEST))
    return logs


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
    half = round(_REACH * width / _STEP)
    kernel = np.exp(-((np.arange(-half, half + 1) * _STEP / width) ** 2) / 2)
    smooth: Floats = np.convolve(counts, kernel / kernel.sum(), mode="same") / of / _STEP
    return smooth + _TINY
