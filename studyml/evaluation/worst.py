"""The slices in which a predictor errs more than elsewhere, beyond chance, the worst first."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from studyml.evaluation.slices import MINIMUM_ROWS, Dimension
from studyml.evaluation.spread import MINIMUM_GROUPS

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Chance that any slice is named where none is worse, shared by all that are looked at (Bonferroni).
_CHANCE = 0.05


@dataclass(frozen=True)
class WorstSlice:
    """A slice of ``n`` rows: its MAE and that of all other rows, hours; ``excess`` is how much worse it surely is.

    ``ratio``: its error over the expected one, divided by the same elsewhere.
    """

    dimension: str
    title: str
    value: str
    n: int
    mae: float
    mae_elsewhere: float
    ratio: float
    excess: float


def worst(errors: Floats, expected: Floats, groups: Integers, cuts: list[Dimension], *, most: int) -> list[WorstSlice]:
    """Up to ``most`` slices of absolute errors [n] in hours, by the lower bound of how much worse they are.

    Errors are held against ``expected`` [n] ones, so that long sessions are not the worst for being long; ones: plain
    hours. Rows of one of the ``groups`` [n] are alike: the variance is taken between groups. Slices of fewer than 10
    rows here or elsewhere, or of fewer groups than can tell chance, are left out.
    """
    relative = errors / expected
    masks = [(cut, label, cut.codes == code) for cut in cuts for code, label in enumerate(cut.levels)]
    judged = [(cut, label, rows) for cut, label, rows in masks if _is_large(rows, groups)]
    bound = NormalDist().inv_cdf(1 - _CHANCE / max(len(judged), 1))
    found = [_slice(cut, label, rows, errors, relative, groups, bound) for cut, label, rows in judged]
    return sorted((each for each in found if each.excess > 0), key=lambda each: -each.excess)[:most]


def _is_large(rows: NDArray[np.bool_], groups: Integers) -> bool:
    counts = int(rows.sum()), int((~rows).sum())
    return min(counts) >= MINIMUM_ROWS and all(len(np.unique(groups[each])) >= MINIMUM_GROUPS for each in (rows, ~rows))


def _slice(
    cut: Dimension,
    label: str,
    rows: NDArray[np.bool_],
    errors: Floats,
    relative: Floats,
    groups: Integers,
    bound: float,
) -> WorstSlice:
    here, elsewhere = float(relative[rows].mean()), float(relative[~rows].mean())
    influence = np.where(rows, (relative - here) / rows.sum(), (elsewhere - relative) / (~rows).sum())
    between = np.bincount(groups, influence)
    count = len(np.unique(groups))
    error = float(np.sqrt(np.square(between).sum() * count / (count - 1)))
    return WorstSlice(
        cut.name,
        cut.title,
        label,
        int(rows.sum()),
        float(errors[rows].mean()),
        float(errors[~rows].mean()),
        here / elsewhere if elsewhere > 0 else float("inf"),
        here - elsewhere - bound * error,
    )
