"""Does the newest part of a log differ from the older one? A two-sample test in which whole students are the units.

The measure is that of Mann and Whitney: the chance that a value of the newer part exceeds one of the older part.
Sessions of one student are alike, so its variance is taken between groups of rows (Obuchowski 1997, Nonparametric
analysis of clustered ROC curve data, Biometrics 53, 567-578), not between rows: else many rows ring on nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Fewer rows in a part, or fewer groups, say nothing.
FEWEST_ROWS, FEWEST_GROUPS = 10, 5


@dataclass(frozen=True)
class Shift:
    """``chance`` that a newer value exceeds an older one (0.5: no shift), its ``z``, and both parts' medians."""

    chance: float
    z: float
    newer: float
    older: float
    newer_rows: int
    older_rows: int


def compare_parts(values: Floats, newest: NDArray[np.bool_], groups: NDArray[np.int64]) -> Shift | None:
    """Compare ``values`` [n] of the ``newest`` rows with the others'; None where a part is too small to say."""
    newer, older = values[newest], values[~newest]
    numbers = np.unique(groups, return_inverse=True)[1]
    count = int(numbers.max(initial=-1)) + 1
    if min(len(newer), len(older)) < FEWEST_ROWS or count < FEWEST_GROUPS:
        return None
    exceeding = _share_below(older, newer)  # for each newer value, the share of older ones below it
    exceeded = 1 - _share_below(newer, older)
    chance = float(exceeding.mean())
    influence = np.zeros(len(values))
    influence[newest] = (exceeding - chance) / len(newer)
    influence[~newest] = (exceeded - chance) / len(older)
    between = np.square(np.bincount(numbers, influence, count)).sum() * count / (count - 1)
    z = (chance - 0.5) / max(float(np.sqrt(between)), 1e-12)
    return Shift(chance, z, float(np.median(newer)), float(np.median(older)), len(newer), len(older))


def _share_below(reference: Floats, values: Floats) -> Floats:
    """For each of ``values`` the share of ``reference`` below it, a tie as half."""
    ordered = np.sort(reference)
    below, upto = np.searchsorted(ordered, values, side="left"), np.searchsorted(ordered, values, side="right")
    return (below + upto) / (2 * len(ordered))
