"""Train a recipe's members side by side, each leaving out one fold, in whole epochs of one TensorFlow graph."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.errors import TrainingError
from studyml.model.epochs import Lived, Weights, in_parts, run_epochs
from studyml.model.keras_quietly import import_keras
from studyml.model.networks import (
    Layout,
    Target,
    fit_target,
    members_network,
    serving_network,
    without_unseen,
)
from studyml.model.recipe import Recipe

Matrix = NDArray[np.float32]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Progress = Callable[[int, int, float], None]

#: From so many rows on, memory is freed before a training: on fewer, looking for it takes as long as many epochs.
_FREED_ROWS = 10_000


@dataclass(frozen=True)
class Rows:
    """What to learn from: inputs [n, inputs], hours [n], the fold [n] of each row, and which rows count for what.

    ``learn``: rows that train; ``judge``: rows that validate and get an out-of-fold prediction (augmented copies
    train only, removed outliers are judged only); ``newest``: what a single network's early stopping validates on.
    """

    matrix: Matrix
    hours: Floats
    folds: NDArray[np.int64]
    learn: Mask
    judge: Mask
    newest: Mask


@dataclass(frozen=True)
class Trained:
    """The serving network in Keras, out-of-fold hours [n] of every row, and the learning curves of its members."""

    network: Any
    out_of_fold: Floats
    curves: dict[str, Any]
    epochs: int


@dataclass(frozen=True)
class _Members:
    """The members' names, which of them serve, and what each one sees."""

    names: tuple[str, ...]
    served: tuple[int, ...]
    weights: Weights


def train(rows: Rows, recipe: Recipe, layout: Layout, progress: Progress | None = None) -> Trained:
    """Train one member per fold, and for a single network one more on all folds; same rows and seed, same network.

    Raises TrainingError where there is nothing to train on.
    """
    if layout.inputs == 0:
        raise TrainingError("no feature tells one training session from another: there is nothing to learn from.")
    if (rows.learn & rows.judge).sum() < 2 * len(np.unique(rows.folds)) or len(np.unique(rows.folds)) < 2:
        raise TrainingError(f"{int(rows.learn.sum())} labelled sessions are too few to train a network on.")
    keras = import_keras()
    import tensorflow as tf

    keras.backend.clear_session(free_memory=len(rows.hours) >= _FREED_ROWS)
    keras.utils.set_random_seed(recipe.seed)
    tf.config.experimental.enable_op_determinism()
    members = _plan_members(rows, recipe)
    target = fit_target(recipe, rows.hours[rows.learn])
    network = members_network(recipe, layout, len(members.names), int(rows.learn.sum()))
    lived = run_epochs(network, rows.matrix, target.encode(rows.hours), members.weights, recipe, progress)
    out_of_fold = _out_of_fold(network, rows, target)
    serving = serving_network(recipe, layout, target, len(members.served))
    weights = without_unseen(recipe, layout, network.get_weights(), len(members.names))
    serving.set_weights([each[list(members.served)] for each in weights])
    serving(rows.matrix[:1])  # Keras exports only what was called
    curves = {"members": [_curve(lived, *each) for each in enumerate(members.names)], "learning_rate": lived.rates}
    return Trained(serving, out_of_fold, curves, len(lived.rates))


def _curve(lived: Lived, member: int, name: str) -> dict[str, Any]:
    return {
        "member": name,
        "loss": [float(each) for each in lived.losses[:, member]],
        "val_loss": [float(each) for each in lived.validation_losses[:, member]],
        "best_epoch": int(lived.best_epochs[member]) + 1,
    }


def predict(trained: Trained, matrix: Matrix) -> Floats:
    """Hours [n] from inputs [n, inputs], straight from Keras, unclipped."""
    return _forward(trained.network, matrix)[:, 0].astype(np.float64)


def _forward(network: Any, matrix: Matrix) -> Matrix:
    return np.concatenate([np.asarray(network(part, training=False)) for part in in_parts(matrix)])


def _out_of_fold(network: Any, rows: Rows, target: Target) -> Floats:
    predicted = target.decode(_forward(network, rows.matrix))
    hours: Floats = predicted[np.arange(len(rows.hours)), rows.folds]
    return hours


def _plan_members(rows: Rows, recipe: Recipe) -> _Members:
    folds = int(rows.folds.max()) + 1
    inside = rows.folds[:, None] == np.arange(folds)[None, :]
    training, validation = rows.learn[:, None] & ~inside, rows.judge[:, None] & inside
    names, served = tuple(f"fold {fold + 1}" for fold in range(folds)), tuple(range(folds))
    if recipe.architecture != "ensemble":
        # Without early stopping nothing is held back, and the curve on the newest rows is one of rows it has seen.
        stops = recipe.stop_patience is not None or recipe.schedule == "plateau"
        training = np.column_stack([training, rows.learn & ~rows.newest if stops else rows.learn])
        validation = np.column_stack([validation, rows.judge & rows.newest])
        names, served = (*names, "all folds"), (folds,)
    weights = training.astype(np.float32)
    weights *= len(weights) / np.maximum(weights.sum(axis=0), 1)
    return _Members(names, served, Weights(rows.learn, weights, validation.astype(np.float32)))
