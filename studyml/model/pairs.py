"""Which two features together tell more about the length than each of them alone."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

#: Degrees of freedom that must be left for a test.
_MINIMUM_FREEDOM = 60
#: The chance of any false pair, and pairs at most.
SIGNIFICANCE, MOST_PAIRS = 0.05, 8
_SMALLEST_CELL = 3
_NEGLIGIBLE = 1e-8

Floats = NDArray[np.float64]
Parts = Mapping[str, NDArray[np.int64]]
Pair = tuple[str, str]


def pairs_by_fold(
    matrix: NDArray[np.float32], parts: Parts, hours: Floats, folds: NDArray[np.int64]
) -> tuple[tuple[Pair, ...], ...]:
    """For each fold, the pairs that the rows outside it tell: a fold has no say in what its own member sees."""
    found = []
    for fold in range(int(folds.max()) + 1):
        outside = folds != fold
        own = {name: values[outside] for name, values in parts.items()}
        found.append(telling_pairs(matrix[outside], own, hours[outside]))
    return tuple(found)


def telling_pairs(matrix: NDArray[np.float32], parts: Parts, hours: Floats) -> tuple[Pair, ...]:
    """The pairs of features whose cells explain log hours [n] beyond chance, the clearest first.

    What features tell alone is fitted first, by least squares: ``matrix`` [n, inputs] and the ``parts`` (counted from
    0) that each one's values are in. Two F tests for each pair of what is left, of the product of its parts' numbers
    (right for numbers) and of its cells, with Bonferroni's correction. The search over all pairs is that of Lou et al.,
    Accurate Intelligible Models with Pairwise Interactions (KDD 2013).
    """
    from scipy.special import fdtrc  # type: ignore[import-untyped]

    alone = _orthonormal([matrix.astype(np.float64), *(_one_hot(values) for values in parts.values())])
    logs = np.log(hours)
    rest = logs - alone @ (alone.T @ logs)
    freedom, whole = len(rest) - alone.shape[1], float(rest @ rest)
    pairs = list(combinations(parts, 2))
    clear: list[tuple[float, float, Pair]] = []
    for pair in pairs:
        for columns in _together(parts[pair[0]], parts[pair[1]]):
            explained, rank = _explained(rest, alone, columns)
            # Without noise a difference of two equal sums may be below zero.
            left, unexplained = freedom - rank, max(whole - explained, _NEGLIGIBLE * whole)
            if rank and left >= _MINIMUM_FREEDOM and whole > 0:
                chance = float(fdtrc(rank, left, explained / rank / (unexplained / left)))
                if chance * len(pairs) * 2 <= SIGNIFICANCE:
                    clear.append((chance, -explained, pair))
    return tuple(dict.fromkeys(pair for *_, pair in sorted(clear)))[:MOST_PAIRS]


def _together(first: NDArray[np.int64], second: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """What two features' parts may tell together: one column [n, 1] of their product, and one for each cell."""
    product = (first - first.mean()) * (second - second.mean())
    _, cell, count = np.unique(first * (second.max() + 1) + second, return_inverse=True, return_counts=True)
    inside = np.flatnonzero(count >= _SMALLEST_CELL)
    cells: Floats = (cell[:, None] == inside[None, :]).astype(np.float64)
    return product[:, None], cells


def _explained(rest: Floats, alone: Floats, columns: Floats) -> tuple[float, int]:
    """The sum of squares of ``rest`` [n] that columns [n, k] explain beyond ``alone``, and their rank there."""
    shared = columns.T @ alone
    values, vectors = np.linalg.eigh(columns.T @ columns - shared @ shared.T)
    kept = values > _NEGLIGIBLE * len(rest)
    effects = vectors[:, kept].T @ (columns.T @ rest)
    return float((effects**2 / values[kept]).sum()), int(kept.sum())


def _one_hot(parts: NDArray[np.int64]) -> Floats:
    columns: Floats = (parts[:, None] == np.unique(parts)[None, 1:]).astype(np.float64)
    return columns


def _orthonormal(blocks: list[Floats]) -> Floats:
    """An orthonormal basis [n, rank] of the columns of all blocks and a constant."""
    columns = np.hstack([np.ones((len(blocks[0]), 1)), *blocks])
    basis, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    kept: Floats = basis[:, sizes > _NEGLIGIBLE * sizes[0]]
    return kept
