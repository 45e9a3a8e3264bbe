"""Which features a version's predictions rest on: permutation importance, SHAP values and first-layer weights.

All three see the served path only, as a function from rows to hours, so they are right for every architecture and
include the limits that predictions have. The *players* are groups of columns that a person would name, such as the
time of day or a student's history, and never single one-hot columns. Whatever is derived from a column is derived
again by the function, so that a mixed row is consistent in itself.

A mixed row takes each group from some row of a pool, so it is written as one number per group: the position of that
group's values among its distinct ones. That lets scikit-learn and shap work on a plain matrix, and lets shap leave
out what does not change.
"""

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studyml.frame import MISSING, UNSEEN, Frame

#: The guide's: each group is permuted so often, with this seed.
REPEATS, SEED = 10, 42
#: At most so many judged rows are permuted and explained.
PERMUTED_ROWS, EXPLAINED_ROWS = 2_000, 200


@dataclass(frozen=True)
class Effort:
    """What SHAP values cost: predictions per explained row are about the product of these and twice the groups.

    ``background_rows``: sampled training rows that stand for "not known". ``orders``: pairs of a random order of the
    groups and its reverse; one pair is exact for interactions of two groups.
    """

    background_rows: int
    orders: int


#: For the mean of many rows, and for one row that a person looks at.
OF_MANY, OF_ONE = Effort(50, 1), Effort(100, 10)

Floats = NDArray[np.float64]
Predict = Callable[[Frame], Floats]
Groups = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Explained:
    """SHAP values [rows, groups] in hours: each row's prediction is ``base_hours`` plus its values."""

    groups: tuple[str, ...]
    base_hours: float
    values: Floats


@dataclass(frozen=True)
class _Pool:
    """Rows to take values from; ``firsts`` holds for each group the rows of its distinct values."""

    frame: Frame
    groups: Groups
    firsts: tuple[NDArray[np.intp], ...]

    def mixed(self, codes: ArrayLike) -> Frame:
        """The rows that ``codes`` [rows, groups] describe; a column of no group is that of the first row."""
        numbers = np.asarray(codes).astype(np.intp)
        columns = {name: np.broadcast_to(values[:1], len(numbers)) for name, values in self.frame.columns.items()}
        for position, names in enumerate(self.groups.values()):
            rows = self.firsts[position][numbers[:, position]]
            columns |= {name: self.frame[name][rows] for name in names}
        return Frame(columns, self.frame.vocabularies)


def importance(
    predict: Predict,
    judged: Frame,
    actual: Floats,
    background: Frame,
    groups: Groups,
    weights: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """All three measures as one JSON document, each list with the most important first.

    ``predict`` gives hours [n]; ``judged`` are the holdout rows with ``actual`` hours; ``background`` are training
    rows; ``groups`` maps a feature to its columns; ``weights`` is what
    ``first_layer_importance`` found when the version was trained.
    """
    rows = _sample(len(judged), PERMUTED_ROWS)
    permuted = permutation_importance(predict, judged.take(rows), actual[rows], groups)
    explained = shap_values(predict, judged.take(_sample(len(judged), EXPLAINED_ROWS)), background, groups, OF_MANY)
    shap = zip(explained.groups, np.abs(explained.values).mean(axis=0).tolist(), strict=True)
    return {
        "rows": len(judged),
        "permuted_rows": len(rows),
        "mae": float(np.abs(predict(judged) - actual).mean()),
        "permutation": sorted(permuted, key=lambda each: -each["mean"]),
        "base_hours": explained.base_hours,
        "shap": [{"feature": name, "mean_absolute": value} for name, value in sorted(shap, key=lambda pair: -pair[1])],
        "weights": [
            {"input": name, "value": float(value)}
            for name, value in sorted((weights or {}).items(), key=lambda pair: -pair[1])
        ],
    }


def permutation_importance(predict: Predict, judged: Frame, actual: Floats, groups: Groups) -> list[dict[str, Any]]:
    """By how many hours the MAE on ``judged`` grows when a group's values are shuffled among the rows.

    Mean and standard deviation over REPEATS shuffles, by scikit-learn's ``permutation_importance`` (guide, method 1).
    """
    from sklearn import inspection

    if not groups:
        return []
    pool, codes = _coded(judged, groups)

    def negative_error(_: Any, shuffled: Floats, hours: Floats) -> float:
        return -float(np.abs(predict(pool.mixed(shuffled)) - hours).mean())

    found = inspection.permutation_importance(
        _ServedPath(), codes, actual, n_repeats=REPEATS, random_state=SEED, scoring=negative_error
    )
    measured = zip(groups, found.importances_mean.tolist(), found.importances_std.tolist(), strict=True)
    return [{"feature": name, "mean": mean, "std": std} for name, mean, std in measured]


class _ServedPath:
    """What scikit-learn asks of an estimator; the predictions are made where they are scored."""

    def fit(self, *_: Any) -> "_ServedPath":
        return self


def shap_values(predict: Predict, explained: Frame, background: Frame, groups: Groups, effort: Effort) -> Explained:
    """SHAP values of ``explained`` [rows, groups] in hours, by shap's PermutationExplainer (guide, method 2).

    A group that is "not known" takes the values of sampled ``background`` rows (which may have other vocabularies),
    whose mean prediction is the base. KernelExplainer needs five times the predictions for the same error.
    """
    sampled = background.take(_sample(len(background), effort.background_rows))
    if not groups or not len(explained):
        return Explained(tuple(groups), float(predict(sampled).mean()), np.zeros((len(explained), len(groups))))
    shap = _import_shap()
    pool, codes = _coded(_stacked(explained, sampled), groups)
    hidden = shap.maskers.Independent(codes[len(explained) :], max_samples=len(sampled))
    state = np.random.get_state()  # shap seeds the global state, which is not ours to change
    try:
        explainer = shap.PermutationExplainer(lambda mixed: predict(pool.mixed(mixed)), hidden, seed=SEED)
        evaluations = effort.orders * (2 * len(groups) + 1)
        found = explainer(codes[: len(explained)], max_evals=evaluations, batch_size=evaluations, silent=True)
    finally:
        np.random.set_state(state)
    return Explained(tuple(groups), float(np.mean(found.base_values)), np.asarray(found.values, np.float64))


def _import_shap() -> Any:
    """shap, without the compiler that its older versions bring: it takes ten seconds to save a tenth of one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libraries warning about each other
        if importlib.util.find_spec("numba") is None:
            return importlib.import_module("shap")
        settings: Any = importlib.import_module("numba").config
        compiled = settings.DISABLE_JIT
        settings.DISABLE_JIT = True
        try:
            return importlib.import_module("shap")
        finally:
            settings.DISABLE_JIT = compiled


def first_layer_importance(kernel: ArrayLike, names: tuple[str, ...] | list[str]) -> dict[str, float]:
    """Mean absolute first-layer weight of each encoder input (guide, method 3), over units and members.

    ``kernel`` is [inputs, units] or [members, inputs, units].

    >>> first_layer_importance([[1.0, -3.0], [0.0, 1.0]], ("estimate", "noise"))
    {'estimate': 2.0, 'noise': 0.5}
    """
    weights = np.abs(np.asarray(kernel, np.float64))
    if weights.ndim < 2 or weights.shape[-2] != len(names):
        raise ValueError(f"a kernel of shape {weights.shape} is not [..., {len(names)} inputs, units]")
    means = weights.mean(axis=-1).reshape(-1, len(names)).mean(axis=0)
    return dict(zip(names, means.tolist(), strict=True))


def _coded(frame: Frame, groups: Groups) -> tuple[_Pool, Floats]:
    """The frame as a pool, and its own rows as codes [rows, groups]: equal codes are equal values."""
    firsts, codes = [], []
    for names in groups.values():
        # NaN is unequal to itself, which would make every missing value a distinct one.
        values = np.column_stack([np.nan_to_num(frame[name].astype(np.float64), nan=np.inf) for name in names])
        _, first, code = np.unique(values, axis=0, return_index=True, return_inverse=True)
        firsts.append(first)
        codes.append(code.ravel())
    return _Pool(frame, groups, tuple(firsts)), np.column_stack(codes).astype(np.float64)


def _stacked(first: Frame, second: Frame) -> Frame:
    """The rows of both, categories in the codes of the first; a level that it does not know is unseen."""
    columns = {}
    for name, values in first.columns.items():
        others = second[name]
        if name in first.vocabularies:
            known = {level: code for code, level in enumerate(first.vocabularies[name])}
            codes = (known.get(level, UNSEEN) for level in second.vocabularies[name])
            # One more entry at each end: the codes for unseen and missing stay as they are.
            others = np.array([*codes, UNSEEN, MISSING], np.int32)[others.astype(np.intp)]
        columns[name] = np.concatenate([values, others])
    return Frame(columns, first.vocabularies)


def _sample(rows: int, most: int) -> NDArray[np.intp]:
    """At most so many row numbers, in order, the same for the same count."""
    chosen = np.random.default_rng(SEED).permutation(rows)[:most]
    return np.sort(chosen).astype(np.intp)
