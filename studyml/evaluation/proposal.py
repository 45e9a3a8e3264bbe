"""Which configuration of a search to propose, and whether it is worth a change.

The rule is that of one standard error (Breiman, Friedman, Olshen and Stone 1984, Classification and Regression Trees,
section 3.4.3): among many trials the best one looks better than it is, so a gain within the standard error of the
current setting's own error is taken for luck.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Trials that the table shows.
SHOWN = 10


@dataclass(frozen=True)
class Measured:
    """A finished trial: its hyperparameters beyond the recipe's own (none: the current setting), and errors in hours.

    ``mae`` is the mean of ``fold_maes``, the error of each fold out of fold.
    """

    number: int
    parameters: Mapping[str, Any]
    mae: float
    fold_maes: tuple[float, ...]

    @property
    def deviation(self) -> float:
        """Standard deviation of the folds' errors, hours; NaN for one fold."""
        return float(np.std(self.fold_maes, ddof=1)) if len(self.fold_maes) > 1 else float("nan")

    @property
    def is_current(self) -> bool:
        """Whether it is the configured setting."""
        return not self.parameters


@dataclass(frozen=True)
class Proposal:
    """The best trials, best first, the current setting, and what to do; hours.

    ``gain`` and ``standard_error`` are None where the current setting could not be measured.
    """

    best: Measured
    current: Measured | None
    table: tuple[Measured, ...]
    gain: float | None
    standard_error: float | None
    is_worth_it: bool
    sentence: str


def propose(measured: Sequence[Measured]) -> Proposal:
    """Compare the finished trials of one search, at least one, all judged on the same folds."""
    ranked = sorted(measured, key=lambda each: (each.mae, each.number))
    best = ranked[0]
    current = next((each for each in ranked if each.is_current), None)
    table = tuple(ranked[:SHOWN])
    if current is None:
        sentence = f"The current setting has no figures of its own; the best of {len(ranked)} has {best.mae:.3f} h."
        return Proposal(best, None, table, None, None, True, sentence)
    gain, error = current.mae - best.mae, current.deviation / np.sqrt(max(len(current.fold_maes), 1))
    worth_it = bool(gain > error)
    return Proposal(best, current, table, gain, float(error), worth_it, _sentence(best, current, gain, error, worth_it))


def _sentence(best: Measured, current: Measured, gain: float, error: float, worth_it: bool) -> str:
    if best.is_current:
        return f"Keep the current setting: of all that were tried it is the best, {current.mae:.3f} h."
    words = f"{best.mae:.3f} h against {current.mae:.3f} h of the current setting, a gain of {gain:.3f} h"
    if worth_it:
        return f"The best has {words}, more than one standard error ({error:.3f} h): worth a training."
    return f"Keep the current setting: the best has {words}, within one standard error ({error:.3f} h)."
