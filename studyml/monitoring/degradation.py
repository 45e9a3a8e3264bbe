"""When served predictions are worse than expected beyond chance: the rule behind the verdict ``confirmed``.

The guide's rule compares the MAE of 30 days with a fixed number of hours. Few outcomes, or a month of long sessions,
exceed it by chance. This rule compares the mean *relative* error |actual - predicted| / predicted of one version with
the one that it had out of fold, and asks for a difference that chance does not explain:

    mean / expected mean > max(1.2, 1 + z CV sqrt(1/n + 1/rows))

CV is the coefficient of variation of the relative error out of fold; 1/rows is there because the expected mean is an
estimate as well. What was measured of it: docs/decisions/0005-confirmed-degradation.md and ``make bench-alerts``.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Fewer out-of-fold rows say too little of the error to expect.
MINIMUM_ROWS = 30
#: The guide's ratio: less than 20 % worse is never confirmed, however many outcomes show it.
MINIMUM_RATIO = 1.2
#: Relative errors count up to this quantile of the out-of-fold ones: a few very short predictions decide nothing.
CAP_QUANTILE = 0.98


@dataclass(frozen=True)
class ExpectedError:
    """The relative error that a version had on ``rows`` rows which it had not seen, each at most ``cap``."""

    mean: float
    coefficient_of_variation: float
    rows: int
    cap: float

    def to_json(self) -> dict[str, float | int]:
        """What a version's metadata keeps."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "ExpectedError | None":
        """The inverse of ``to_json``; None for a version that was published without it.

        >>> ExpectedError.from_json(ExpectedError(0.25, 0.8, 480, 1.1).to_json())
        ExpectedError(mean=0.25, coefficient_of_variation=0.8, rows=480, cap=1.1)
        >>> ExpectedError.from_json({"mae": 0.99}) is None
        True
        """
        names = ("mean", "coefficient_of_variation", "rows", "cap")
        if not stored or any(stored.get(name) is None for name in names):
            return None
        mean, variation, rows, cap = (stored[name] for name in names)
        return cls(float(mean), float(variation), int(rows), float(cap))


@dataclass(frozen=True)
class Window:
    """Outcomes of the last ``days``, at least ``minimum_outcomes``, must exceed ``z`` standard errors."""

    days: int
    minimum_outcomes: int
    z: float


#: The longest first. A short window sees a large change soon where there are many outcomes.
RULES = (Window(30, 10, 3.5), Window(7, 100, 4.0))


@dataclass(frozen=True)
class Evidence:
    """What one window says: ``error_ratio`` is the mean relative error over the expected one, 1 being as expected."""

    days: int
    n: int
    error_ratio: float
    limit: float
    confirmed: bool


def expected_error(actual: Floats, predicted: Floats) -> ExpectedError | None:
    """The error to expect, from ``actual`` and out-of-fold ``predicted`` hours, [n] each, predictions above 0.

    None with fewer than 30 rows, or where no ratio to it would be a number: errors of 0, or not finite.

    >>> hours = np.linspace(1, 4, 40)
    >>> expected_error(hours, 1.25 * hours)
    ExpectedError(mean=0.2, coefficient_of_variation=0.0, rows=40, cap=0.2)
    >>> expected_error(hours[:29], hours[:29] + 1) is None
    True
    """
    errors = np.abs(actual - predicted) / predicted
    if len(errors) < MINIMUM_ROWS or not np.isfinite(errors).all():
        return None
    cap = float(np.quantile(errors, CAP_QUANTILE))
    capped = np.minimum(errors, cap)
    mean = float(capped.mean())
    if mean <= 0:
        return None
    return ExpectedError(round(mean, 12), round(float(capped.std()) / mean, 12), len(errors), round(cap, 12))


def weigh(expected: ExpectedError, observed: Mapping[int, tuple[int, float]]) -> Evidence | None:
    """The evidence of the window that decides; ``observed`` maps days to (n, mean relative error, capped).

    The longest window that confirms decides, else the longest with enough outcomes; None where none has enough.

    >>> expected = ExpectedError(mean=0.25, coefficient_of_variation=0.8, rows=400, cap=1.0)
    >>> weigh(expected, {30: (100, 0.35)})
    Evidence(days=30, n=100, error_ratio=1.4, limit=1.3130495168499706, confirmed=True)
    >>> weigh(expected, {30: (9, 0.9)}) is None
    True
    """
    weighed = [
        _weigh(expected, window, *observed[window.days])
        for window in RULES
        if window.days in observed and observed[window.days][0] >= window.minimum_outcomes
    ]
    return next((each for each in weighed if each.confirmed), weighed[0] if weighed else None)


def _weigh(expected: ExpectedError, window: Window, n: int, mean: float) -> Evidence:
    error = expected.coefficient_of_variation * math.sqrt(1 / n + 1 / expected.rows)
    limit = max(MINIMUM_RATIO, 1 + window.z * error)
    ratio = mean / expected.mean
    return Evidence(window.days, n, ratio, limit, ratio > limit)
