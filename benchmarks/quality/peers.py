"""The predictors that ours are held against, each as a careful practitioner would set it up.

All see the same rows and the same features as known before a session (``breaks_taken`` is unknown). Trees learn
the log of the hours, of which a mean or a median makes a better forecast of skewed durations than of the hours
themselves; settings were tuned by hand on other seeds than those of the benchmark. With ``_history`` a peer also
sees the history of student, subject and topic, as our own recipes do.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.log import hours_of
from studyml.evaluation.naive import LOG_FEATURES, fit_naive
from studyml.features.definition import CYCLICAL, DERIVED, FEATURES
from studyml.features.encoder import fit_encoder
from studyml.features.history import HISTORY_FEATURES
from studyml.frame import Frame

if TYPE_CHECKING:
    import pandas

Floats = NDArray[np.float64]
Predict = Callable[[Frame], Floats]
#: Fits on labelled rows, with the names of features to see, and a seed.
Fit = Callable[[Frame, Sequence[str], int], Predict]

#: What every predictor may see of a row, but for history.
HONEST_FEATURES = (*FEATURES, *DERIVED, *CYCLICAL)
_MANY_ROWS = 2000


@dataclass(frozen=True)
class Peer:
    """A predictor to compare with, and whether it sees history.

    ``is_told``: it is given which features count, and how, on the guide's process. Nobody knows that of a log.
    """

    fit: Fit
    is_tree: bool = False
    history: bool = False
    is_told: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The features that it sees."""
        return (*HONEST_FEATURES, *HISTORY_FEATURES) if self.history else HONEST_FEATURES


def _naive(which: str) -> Fit:
    def fit(frame: Frame, names: Sequence[str], seed: int) -> Predict:  # noqa: ARG001
        naive = fit_naive(_log_features(frame), hours_of(frame))
        return lambda rows: naive.predict(_log_features(rows), len(rows))[which]

    return fit


def _log_features(frame: Frame) -> dict[str, Floats]:
    return {name: frame[name].astype(np.float64) for name in LOG_FEATURES}


def _log_linear(frame: Frame, names: Sequence[str], seed: int) -> Predict:  # noqa: ARG001
    from sklearn.linear_model import LinearRegression

    encoder = fit_encoder(frame, names, logs=LOG_FEATURES)
    model = LinearRegression().fit(encoder.encode(frame).astype(np.float64), np.log(hours_of(frame)))
    return lambda rows: np.exp(np.asarray(model.predict(encoder.encode(rows).astype(np.float64))))


def _linear(frame: Frame, names: Sequence[str], seed: int) -> Predict:  # noqa: ARG001
    from sklearn.linear_model import LinearRegression

    encoder = fit_encoder(frame, names)
    model = LinearRegression().fit(encoder.encode(frame).astype(np.float64), hours_of(frame))
    return lambda rows: np.asarray(model.predict(encoder.encode(rows).astype(np.float64)))


def _random_forest(frame: Frame, names: Sequence[str], seed: int) -> Predict:
    from sklearn.ensemble import RandomForestRegressor

    encoder = fit_encoder(frame, names)  # one-hot, medians and indicators for what is missing
    model = RandomForestRegressor(
        n_estimators=400, min_samples_leaf=5, max_features=0.5, random_state=seed, n_jobs=-1
    ).fit(encoder.encode(frame), np.log(hours_of(frame)))
    return lambda rows: np.exp(model.predict(encoder.encode(rows)))


def _lightgbm(frame: Frame, names: Sequence[str], seed: int) -> Predict:
    from lightgbm import LGBMRegressor

    table = _table(frame, names)
    model = LGBMRegressor(
        n_estimators=400,
        learning_rate=0.03,
        num_leaves=_leaves(frame),
        min_child_samples=10,
        min_data_per_group=10,
        cat_smooth=5.0,
        subsample=0.7,
        subsample_freq=1,
        colsample_bytree=0.7,
        reg_lambda=5.0,
        random_state=seed,
        n_jobs=os.cpu_count(),
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    ).fit(table, np.log(hours_of(frame)))
    return lambda rows: np.exp(np.asarray(model.predict(_table(rows, names))))


def _catboost(frame: Frame, names: Sequence[str], seed: int) -> Predict:
    from catboost import CatBoostRegressor

    names = _varying(frame, names)
    table = _table(frame, names, as_text=True)
    model = CatBoostRegressor(
        iterations=600,
        learning_rate=0.03,
        depth=4,
        l2_leaf_reg=10.0,
        loss_function="RMSE",
        cat_features=[name for name in names if name in frame.vocabularies],
        random_seed=seed,
        verbose=False,
        allow_writing_files=False,
    ).fit(table, np.log(hours_of(frame)))
    return lambda rows: np.exp(np.asarray(model.predict(_table(rows, names, as_text=True))))


def _histogram_boosting(frame: Frame, names: Sequence[str], seed: int) -> Predict:
    from sklearn.ensemble import HistGradientBoostingRegressor

    names = _varying(frame, names)
    model = HistGradientBoostingRegressor(
        max_iter=400,
        learning_rate=0.03,
        max_leaf_nodes=_leaves(frame),
        min_samples_leaf=10,
        l2_regularization=5.0,
        max_features=0.7,
        early_stopping=False,
        categorical_features="from_dtype",
        random_state=seed,
    ).fit(_table(frame, names), np.log(hours_of(frame)))
    return lambda rows: np.exp(np.asarray(model.predict(_table(rows, names))))


def _leaves(frame: Frame) -> int:
    """Few rows carry small trees only."""
    return 5 if len(frame) < _MANY_ROWS else 8


def _varying(frame: Frame, names: Sequence[str]) -> tuple[str, ...]:
    """The features that have at least two values in the training rows: some libraries refuse the others."""
    return tuple(name for name in names if len(np.unique(frame[name][~_missing(frame, name)])) > 1)


def _missing(frame: Frame, name: str) -> NDArray[np.bool_]:
    values = frame[name].astype(np.float64)
    return values < 0 if name in frame.vocabularies else np.isnan(values)


def _table(frame: Frame, names: Sequence[str], *, as_text: bool = False) -> "pandas.DataFrame":
    """Numbers, and categories as pandas keeps them (or as text); a missing or unseen level is missing."""
    import pandas

    columns: dict[str, object] = {}
    for name in names:
        if name not in frame.vocabularies:
            columns[name] = frame[name].astype(np.float64)
            continue
        levels, codes = frame.vocabularies[name], np.maximum(frame[name].astype(np.int64), -1)
        if as_text:
            columns[name] = np.array([*levels, "(missing)"], object)[codes]
        else:
            columns[name] = pandas.Categorical.from_codes(codes.tolist(), categories=pandas.Index(list(levels)))
    return pandas.DataFrame(columns)


_TREES: dict[str, Fit] = {
    "random_forest": _random_forest,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
    "histogram_boosting": _histogram_boosting,
}
PEERS: dict[str, Peer] = {
    **{name: Peer(_naive(name)) for name in ("median", "estimate")},
    "log_linear_three": Peer(_naive("log_linear"), is_told=True),
    "log_linear": Peer(_log_linear),
    "linear": Peer(_linear),
    **{name: Peer(fit, is_tree=True) for name, fit in _TREES.items()},
    **{f"{name}_history": Peer(fit, is_tree=True, history=True) for name, fit in _TREES.items()},
}
