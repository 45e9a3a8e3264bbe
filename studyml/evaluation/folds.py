"""Folds for cross-validation that keep a group together: a student, or a student's week where students are few."""

import numpy as np
from numpy.typing import NDArray

from studyml.evaluation.paired import groups_of

Integers = NDArray[np.int64]


def grouped_folds(student_id: Integers, session_date: Integers, *, folds: int, seed: int) -> Integers:
    """The fold [n] of each row, 0 to ``folds`` - 1, as even as whole groups allow.

    The largest group goes first, each to the fold with the fewest rows; ``seed`` orders groups of one size. With
    fewer groups than folds the rows are dealt out one by one, in the order given.
    """
    groups = groups_of(student_id, session_date)
    sizes = np.bincount(groups)
    if (sizes > 0).sum() < folds:
        return np.arange(len(groups), dtype=np.int64) % folds
    random = np.random.default_rng(seed)
    order = np.lexsort((random.random(len(sizes)), -sizes))
    if len(sizes) > 100 * folds:
        # So many groups balance by themselves, and dealing them out is one step for all.
        chosen = np.empty(len(sizes), np.int64)
        chosen[order] = np.arange(len(sizes)) % folds
        return chosen[groups]
    chosen, load = np.empty(len(sizes), np.int64), np.zeros(folds, np.int64)
    for group in order:
        fold = int(load.argmin())
        chosen[group] = fold
        load[fold] += sizes[group]
    return chosen[groups]
