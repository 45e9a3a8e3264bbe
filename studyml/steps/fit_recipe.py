"""Fit one recipe on labelled rows: inputs, folds, members, and the out-of-fold errors that recipes are chosen by."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS
from studyml.evaluation.folds import grouped_folds
from studyml.evaluation.holdout import newest_rows
from studyml.features.augmentation import augment
from studyml.features.definition import FEATURES
from studyml.features.encoder import GUIDE_INPUTS, Encoder, fit_encoder
from studyml.features.factors import factors_together, fit_factors
from studyml.features.history import HISTORY_FEATURES, SEQUENCE_FEATURES
from studyml.features.outliers import outlying
from studyml.frame import Frame
from studyml.model import training
from studyml.model.networks import Layout
from studyml.model.pairs import pairs_by_fold
from studyml.model.recipe import FOLDS, Recipe
from studyml.model.selection import select_by_fold
from studyml.steps.training_data import LABEL

#: Lengths and scales whose logarithm adds up in a log target (facts of the guide's own data process).
LOGS = ("estimated_base_time", "avg_focus_duration", "difficulty_level")
#: Recipes are compared by their out-of-fold error on this newest share of the fitting rows.
RECENT = 0.2
#: Inputs are selected by about so many rows at most: beyond, the choice no longer changes.
_SELECTION_ROWS = 25_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """A trained recipe: its encoder, its network, and out-of-fold hours and folds [n] of the fitting rows."""

    recipe: Recipe
    encoder: Encoder
    trained: training.Trained
    out_of_fold: Floats
    folds: NDArray[np.int64]
    seconds: float

    @property
    def curves(self) -> dict[str, Any]:
        """What ``learning_curves.json`` holds."""
        return self.trained.curves


def fit_recipe(
    frame: Frame, recipe: Recipe, *, folds: int = FOLDS, progress: Callable[[int, int, float], None] | None = None
) -> Fitted:
    """Train ``recipe`` on labelled rows, oldest first, with their history.

    Raises TrainingError where there is nothing to learn from.
    """
    started = time.monotonic()
    hours = frame[LABEL].astype(np.float64)
    students, dates = _integers(frame, "student_id"), _integers(frame, "session_date")
    fold = grouped_folds(students, dates, folds=folds, seed=recipe.seed)
    encoder, layout = _fit_inputs(frame, recipe, hours, fold)
    rows = _rows(frame, recipe, encoder, hours, fold)
    trained = training.train(rows, recipe, layout, progress)
    out_of_fold = limited(trained.out_of_fold[: len(frame)])
    return Fitted(recipe, encoder, trained, out_of_fold, fold, time.monotonic() - started)


def predict_hours(fitted: Fitted, frame: Frame) -> Floats:
    """Hours [n] from Keras, unclipped."""
    return training.predict(fitted.trained, fitted.encoder.encode(frame))


def limited(hours: Floats) -> Floats:
    """Hours within the contract's limits; what is not finite stays visibly so, and is not limited to a day."""
    return np.where(np.isfinite(hours), np.clip(hours, MINIMUM_HOURS, MAXIMUM_HOURS), np.nan)


def recent_rows(frame: Frame) -> NDArray[np.bool_]:
    """The rows [n] by which recipes are compared: the newest of the fitting rows."""
    return newest_rows(_integers(frame, "session_date"), _integers(frame, "id"), RECENT)


def layout_of(encoder: Encoder) -> Layout:
    """Which of the encoder's inputs are a previous session's, the oldest first, and which are made of one feature."""
    features = list(dict.fromkeys(each.features for each in encoder.inputs))
    by_session: dict[str, list[int]] = {}
    for position, each in enumerate(encoder.inputs):
        if each.feature in SEQUENCE_FEATURES:
            by_session.setdefault(each.feature.split("_")[1], []).append(position)
    oldest_first = sorted(by_session, key=int, reverse=True)
    sequence = tuple(tuple(by_session[session]) for session in oldest_first)
    return Layout(len(encoder.inputs), sequence, tuple(features.index(each.features) for each in encoder.inputs))


def _fit_inputs(frame: Frame, recipe: Recipe, hours: Floats, folds: NDArray[np.int64]) -> tuple[Encoder, Layout]:
    if recipe.inputs == "guide":
        encoder = fit_encoder(frame, always=_sequence(recipe))
        return encoder, layout_of(encoder)
    encoder = fit_encoder(frame, (*GUIDE_INPUTS, *HISTORY_FEATURES), logs=LOGS, always=_sequence(recipe))
    if recipe.inputs == "history":
        return encoder, layout_of(encoder)
    chosen = np.flatnonzero(_learned(recipe, hours))
    chosen = chosen[:: max(1, len(chosen) // _SELECTION_ROWS)]
    rows, hours, folds = frame.take(chosen), hours[chosen], folds[chosen]
    encoder, candidates = _with_products(rows, encoder, hours, folds)
    seen = select_by_fold(encoder.encode(rows), hours, folds, candidates)
    seen[:, [position for session in layout_of(encoder).sequence for position in session]] = True
    kept = np.flatnonzero(seen.any(axis=0)).tolist()
    encoder = encoder.keep(kept, "it tells nothing about the length that chance would not")
    return encoder, replace(layout_of(encoder), seen=tuple(map(tuple, seen[:, kept].tolist())))


def _with_products(
    frame: Frame, encoder: Encoder, hours: Floats, folds: NDArray[np.int64]
) -> tuple[Encoder, NDArray[np.bool_]]:
    """The encoder with products of features that tell more together, and each fold's candidates [folds, inputs]."""
    factors = {name: fit_factors(frame, name) for name in FEATURES if name in encoder.features}
    parts = {name: each.part_of(frame) for name, each in factors.items()}
    by_fold = pairs_by_fold(encoder.encode(frame), parts, hours, folds)
    pairs = dict.fromkeys(pair for own in by_fold for pair in own)
    products = (two for first, second in pairs for two in factors_together(factors[first], factors[second]))
    extended = encoder.with_products(frame, products)
    candidates = [[not each.factors or each.features in own for each in extended.inputs] for own in by_fold]
    return extended, np.array(candidates)


def _sequence(recipe: Recipe) -> tuple[str, ...]:
    return SEQUENCE_FEATURES if recipe.architecture == "lstm" else ()


def _learned(recipe: Recipe, hours: Floats) -> NDArray[np.bool_]:
    """Which rows [n] a network may learn from; all are judged."""
    return ~outlying(hours) if recipe.outliers == "remove" else np.ones(len(hours), bool)


def _rows(frame: Frame, recipe: Recipe, encoder: Encoder, hours: Floats, folds: NDArray[np.int64]) -> training.Rows:
    everywhere, newest = np.ones(len(frame), bool), recent_rows(frame)
    learn = _learned(recipe, hours)
    rows = training.Rows(encoder.encode(frame), hours, folds, learn, everywhere, newest)
    if not recipe.augmentation:
        return rows
    usable = np.flatnonzero(learn)
    copies, origin = augment(frame.take(usable), LABEL, recipe.augmentation, seed=recipe.seed)
    origin = usable[origin]
    return training.Rows(
        np.concatenate([rows.matrix, encoder.encode(copies)]),
        np.concatenate([hours, copies[LABEL].astype(np.float64)]),
        np.concatenate([folds, folds[origin]]),
        np.concatenate([learn, np.ones(len(origin), bool)]),
        np.concatenate([everywhere, np.zeros(len(origin), bool)]),
        np.concatenate([newest, newest[origin]]),
    )


def _integers(frame: Frame, name: str) -> NDArray[np.int64]:
    return frame[name].astype(np.int64)
