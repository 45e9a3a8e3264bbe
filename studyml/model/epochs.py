"""The epochs of a training: Adam and Keras's layers, whole epochs in one TensorFlow graph, early stopping by member."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.model.adam import adam
from studyml.model.recipe import Recipe

Matrix = NDArray[np.float32]
Floats = NDArray[np.float64]
Progress = Callable[[int, int, float], None]

#: Rows handed to TensorFlow at a time to train on, and rows at most on which an epoch's losses are measured.
_CHUNK_ROWS, _MEASURED_ROWS = 65_536, 16_384
#: Rows that a network predicts at a time: attention and recurrence hold thousands of numbers for each row and member.
PREDICTED_AT_ONCE = 1_024
#: An improvement smaller than this is none.
_LEAST_IMPROVEMENT = 1e-6
#: How much of a loss is the squared error; the rest is the absolute error.
_SQUARED_SHARE = {"mse": 1.0, "mae": 0.0, "mixed": 0.5}
#: A falling learning rate ends at this share of what it began with.
_LAST_SHARE = 0.01


@dataclass(frozen=True)
class Weights:
    """Rows that train at all [n], and how much each row counts in training and validating a member [n, members]."""

    learn: NDArray[np.bool_]
    training: Matrix
    validation: Matrix


@dataclass(frozen=True)
class Lived:
    """Losses [epochs, members] without dropout, the learning rate of each epoch, and each member's best epoch."""

    losses: Floats
    validation_losses: Floats
    rates: list[float]
    best_epochs: NDArray[np.int64]


@dataclass
class _Watch:
    """The best validation losses so far, by member and in the mean, and the weights that had them."""

    best: Floats
    best_epochs: NDArray[np.int64]
    kept: list[Matrix]
    best_mean: float = np.inf
    since_mean: int = 0

    def see(self, epoch: int, losses: Floats, recipe: Recipe, network: Any) -> None:
        """Take note of an epoch's validation losses [members]."""
        better = losses < self.best - _LEAST_IMPROVEMENT
        self.best = np.where(better, losses, self.best)
        self.best_epochs[better] = epoch
        if recipe.stop_patience is not None and better.any():
            for kept, current in zip(self.kept, network.get_weights(), strict=True):
                kept[better] = current[better]
        improved = losses.mean() < self.best_mean - _LEAST_IMPROVEMENT
        self.best_mean = float(losses.mean()) if improved else self.best_mean
        self.since_mean = 0 if improved else self.since_mean + 1


def in_parts(values: NDArray[Any]) -> list[NDArray[Any]]:
    """The rows of ``values`` [n, …] in parts of PREDICTED_AT_ONCE at most."""
    return np.array_split(values, max(1, -(-len(values) // PREDICTED_AT_ONCE)))


def run_epochs(
    network: Any, matrix: Matrix, target: Matrix, weights: Weights, recipe: Recipe, progress: Progress | None
) -> Lived:
    """Train ``network`` in place on inputs [n, inputs] and targets [n]; a loss that is no number ends the training.

    With early stopping each member gets back the weights of its own best epoch.
    """
    import tensorflow as tf

    random, learning = np.random.default_rng(recipe.seed), np.flatnonzero(weights.learn)
    batch, epochs = min(recipe.batch_at(len(learning)), len(learning)), recipe.epochs_at(len(learning))
    rate = tf.Variable(recipe.learning_rate, dtype=tf.float32)
    train, errors = _graphs(network, adam(network.trainable_variables, rate), recipe, batch)
    measured = _sample(random, len(target))
    members = weights.training.shape[1]
    watch = _Watch(np.full(members, np.inf), np.zeros(members, np.int64), network.get_weights())
    losses: list[tuple[Floats, Floats]] = []
    rates: list[float] = []
    for epoch in range(epochs):
        _set_rate(rate, recipe, epoch / epochs, watch)
        rates.append(float(rate))
        for chunk in _chunks(random.permutation(learning), batch):
            train(matrix[chunk], target[chunk, None], weights.training[chunk])
        found = [errors(matrix[part], target[part, None]).numpy() for part in in_parts(measured)]
        losses.append(_mean_losses(np.concatenate(found), weights, measured))
        if not np.isfinite(losses[-1][1]).all():
            break
        watch.see(epoch, losses[-1][1], recipe, network)
        if progress is not None:
            progress(epoch + 1, epochs, float(losses[-1][1].mean()))
        if recipe.stop_patience is not None and (epoch - watch.best_epochs >= recipe.stop_patience).all():
            break
    if recipe.stop_patience is not None and np.isfinite(losses[-1][1]).all():
        network.set_weights(watch.kept)
    return Lived(
        np.array([each for each, _ in losses]), np.array([each for _, each in losses]), rates, watch.best_epochs
    )


def _graphs(network: Any, step_by: Callable[[Sequence[Any]], None], recipe: Recipe, batch: int) -> tuple[Any, Any]:
    """TensorFlow functions: train on some rows in batches, and the loss [n, members] of some rows."""
    import tensorflow as tf

    def loss_of(error: Any) -> Any:
        """The recipe's loss of errors in the target's unit, by row and member."""
        share = _SQUARED_SHARE[recipe.loss]
        return (1 - share) * tf.abs(error) + share * tf.square(error)

    def clipped(gradient: Any) -> Any:
        """Each member's own gradient by its norm: Keras would clip all together, and a fold would meet its own rows."""
        if recipe.clipnorm is None:
            return gradient
        return tf.clip_by_norm(gradient, recipe.clipnorm, axes=list(range(1, len(gradient.shape))))

    variables = network.trainable_variables

    def train(matrix: Any, target: Any, weights: Any) -> None:
        for step in tf.range(tf.shape(matrix)[0] // batch):
            part = slice(step * batch, (step + 1) * batch)
            with tf.GradientTape() as tape:
                errors = loss_of(network(matrix[part], training=True) - target[part]) * weights[part]
                # A sum over members: each one's gradient is then that of its own mean loss.
                loss = tf.reduce_sum(tf.reduce_mean(errors, axis=0))
                if network.losses:
                    loss += tf.add_n(network.losses)
            step_by([clipped(each) for each in tape.gradient(loss, variables)])

    def errors(matrix: Any, target: Any) -> Any:
        return loss_of(network(matrix, training=False) - target)

    shapes = [
        tf.TensorSpec((None, network.input_shape[1]), tf.float32),
        tf.TensorSpec((None, 1), tf.float32),
        tf.TensorSpec((None, network.output_shape[1]), tf.float32),
    ]
    return tf.function(train, input_signature=shapes), tf.function(errors, input_signature=shapes[:2])


def _set_rate(rate: Any, recipe: Recipe, share: float, watch: _Watch) -> None:
    """Let the learning rate fall as the recipe says, where ``share`` of the epochs is done."""
    if recipe.schedule == "cosine":
        rate.assign(recipe.learning_rate * max(_LAST_SHARE, 0.5 * (1 + np.cos(np.pi * share))))
    elif recipe.schedule == "plateau" and watch.since_mean >= recipe.plateau_patience:
        lower = float(rate) * recipe.plateau_factor
        rate.assign(max(recipe.plateau_minimum_rate, lower))
        watch.since_mean = 0


def _chunks(order: NDArray[np.int64], batch: int) -> list[NDArray[np.int64]]:
    """Shuffled rows in parts of whole batches; the last few wait for another epoch's shuffle."""
    order = order[: len(order) - len(order) % batch]
    size = max(1, _CHUNK_ROWS // batch) * batch
    return [order[at : at + size] for at in range(0, len(order), size)]


def _sample(random: np.random.Generator, rows: int) -> NDArray[np.int64]:
    if rows <= _MEASURED_ROWS:
        return np.arange(rows)
    return np.sort(random.choice(rows, _MEASURED_ROWS, replace=False))


def _mean_losses(errors: Matrix, weights: Weights, measured: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Mean losses [members] on what trains a member and on what validates it."""
    training = (weights.training[measured] > 0).astype(np.float32)
    return _mean(errors, training), _mean(errors, weights.validation[measured])


def _mean(errors: Matrix, weights: Matrix) -> Floats:
    found: Floats = ((errors * weights).sum(axis=0) / np.maximum(weights.sum(axis=0), 1)).astype(np.float64)
    return found
