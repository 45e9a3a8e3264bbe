"""How soon any rule could see a change at best, whatever it computes, if it rings for nothing as rarely as ours must.

After a change, a rule that rings for nothing once in N outcomes at most needs log(N) / KL outcomes in the mean, as N
grows (Lorden, Annals of Mathematical Statistics 1971): KL is the Kullback-Leibler divergence of an outcome after the
change from one before it. That holds for outcomes that are independent, and for a rule that knows both distributions
exactly; one that estimates them from the training rows needs more.

Beside it: how soon ours would see the change if the expected mean were exact and no outcome depended on another, so
that n outcomes of a mean that moved by e standard deviations are z standard errors off from n = (z/e)^2 on.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.alerts.errors import ErrorPool, changed
from studyml.monitoring.degradation import RULES, expected_error

Floats = NDArray[np.float64]

#: Standard deviation of the kernel that smooths logarithms of errors, and relative errors taken for equal.
_SMOOTHING, _SMALLEST = 0.15, 1e-3
_STEP, _TINY = 0.005, 1e-12


@dataclass(frozen=True)
class Bound:
    """Mean days that the best rule needs for a change, at a rate of labelled sessions a day; ours if all is known."""

    pool: str
    kind: str
    by: float
    rate: float
    days: float
    ours_knowing_all: float


def bound(pool: ErrorPool, kind: str, by: float, rate: float, alarms_a_year: float) -> Bound:
    """The bound for a change that raises the MAE by the share ``by``, with so many false alarms a year at most."""
    before = (pool.actual - pool.predicted) / pool.predicted
    after = (changed(pool, kind, by) - pool.predicted) / pool.predicted
    outcomes = np.log(365 * rate / alarms_a_year) / divergence(after, before)
    ours = (RULES[0].z / _effect(before, after)) ** 2
    return Bound(pool.name, kind, by, rate, float(outcomes / rate), float(ours / rate))


def _effect(before: Floats, after: Floats) -> float:
    """By how many of its standard deviations the mean of what our rule averages rises."""
    expected = expected_error(1 + before, np.ones(len(before)))
    if expected is None:
        raise ValueError("the errors before the change cannot be compared with anything")
    risen = np.minimum(np.abs(after), expected.cap).mean() - expected.mean
    return float(risen / (expected.coefficient_of_variation * expected.mean))


def divergence(after: Floats, before: Floats) -> float:
    """KL(after || before) of two samples of relative errors, by their sign and the smoothed logarithm of their size."""
    size = [np.log(np.maximum(np.abs(each), _SMALLEST)) for each in (after, before)]
    edges = np.arange(min(map(np.min, size)) - 1, max(map(np.max, size)) + 1, _STEP)
    total = 0.0
    for positive in (True, False):
        new, old = (
            _density(logs[(each > 0) == positive], len(each), edges)
            for logs, each in zip(size, (after, before), strict=True)
        )
        total += float((new * np.log(new / old)).sum() * _STEP)
    return total


def _density(logs: Floats, of: int, edges: Floats) -> Floats:
    """The density at each edge of a part of ``of`` values, never 0."""
    counts, _ = np.histogram(logs, np.append(edges, edges[-1] + _STEP))
    reach = np.arange(-5 * _SMOOTHING, 5 * _SMOOTHING + _STEP / 2, _STEP)
    kernel = np.exp(-((reach / _SMOOTHING) ** 2) / 2)
    smooth: Floats = np.convolve(counts, kernel / kernel.sum(), mode="same") / of / _STEP
    return smooth + _TINY
