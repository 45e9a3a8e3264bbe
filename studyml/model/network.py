"""The guide's feedforward network in Keras, its training, and its export to ONNX."""

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.errors import TrainingError
from studyml.model.recipe import Recipe

Matrix = NDArray[np.float32]
Floats = NDArray[np.float64]
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Trained:
    """A fitted Keras model and its learning curves (loss by epoch, hours squared)."""

    network: Any
    history: dict[str, list[float]]

    @property
    def epochs(self) -> int:
        """Epochs that were run."""
        return len(self.history["loss"])


def _import_keras() -> Any:
    """Keras on TensorFlow, without the dozens of lines that they print about a machine without a GPU."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", category=FutureWarning, module="keras")
    with contextlib.nullcontext() if "tensorflow" in sys.modules else _quiet_descriptor():
        import keras
        import tensorflow  # noqa: F401

    return keras


@contextlib.contextmanager
def _quiet_descriptor() -> Iterator[None]:
    """Silence what C++ writes to standard error itself while it loads, before any log level counts."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def build_network(inputs: int, recipe: Recipe) -> Any:
    """The compiled network: ReLU layers with dropout, one linear output in hours."""
    keras = _import_keras()
    network = keras.Sequential([keras.layers.Input((inputs,))])
    for units, dropout in zip(recipe.layers, recipe.dropouts, strict=True):
        network.add(keras.layers.Dense(units, activation="relu"))
        if dropout:
            network.add(keras.layers.Dropout(dropout))
    network.add(keras.layers.Dense(1, activation="linear"))
    network.compile(optimizer=keras.optimizers.Adam(recipe.learning_rate), loss="mse", metrics=["mae"])
    return network


def train(matrix: Matrix, hours: Floats, recipe: Recipe, progress: Progress | None = None) -> Trained:
    """Fit on inputs [n, inputs] and labels [n] in hours, the last rows validating; a seed gives one network.

    Rows must be ordered by time: the guide's validation_split takes the last ones, which are then the newest.
    Raises TrainingError where there is nothing to train on.
    """
    rows = len(hours)
    validation = max(1, round(rows * recipe.validation_fraction))
    if matrix.shape[1] == 0:
        raise TrainingError("no feature varies in the training rows: there is nothing to train a network on.")
    if rows - validation < 2:
        raise TrainingError(f"{rows} labelled sessions are too few to train a network on.")
    keras = _import_keras()
    import tensorflow as tf

    keras.utils.set_random_seed(recipe.seed)
    tf.config.experimental.enable_op_determinism()
    network = build_network(matrix.shape[1], recipe)
    labels = hours.astype(np.float32)[:, None]
    cut = rows - validation
    fitting = tf.data.Dataset.from_tensor_slices((matrix[:cut], labels[:cut])).cache()
    fitting = fitting.shuffle(min(cut, 100_000), seed=recipe.seed).batch(recipe.batch_size).prefetch(2)
    validating = (
        tf.data.Dataset.from_tensor_slices((matrix[cut:], labels[cut:])).batch(max(recipe.batch_size, 1024)).cache()
    )
    history = network.fit(
        fitting,
        validation_data=validating,
        epochs=recipe.epochs,
        callbacks=_callbacks(recipe, progress),
        shuffle=False,  # the data set shuffles itself
        verbose=0,
    )
    return Trained(network, {name: [float(value) for value in values] for name, values in history.history.items()})


def _callbacks(recipe: Recipe, progress: Progress | None) -> list[Any]:
    keras = _import_keras()
    callbacks: list[Any] = [
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=recipe.stop_patience, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau(
            monitor="val_loss",
            factor=recipe.plateau_factor,
            patience=recipe.plateau_patience,
            min_lr=recipe.plateau_minimum_rate,
        ),
        keras.callbacks.TerminateOnNaN(),
    ]
    if progress is not None:
        tell = progress
        callbacks.append(
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: tell(
                    epoch + 1, recipe.epochs, float((logs or {}).get("val_mae", np.nan))
                )
            )
        )
    return callbacks


def predict(trained: Trained, matrix: Matrix) -> Floats:
    """Hours [n] from inputs [n, inputs], straight from Keras, unclipped."""
    blocks = [
        np.asarray(trained.network(block, training=False))
        for block in np.array_split(matrix, max(1, len(matrix) // 8192))
    ]
    return np.concatenate(blocks)[:, 0].astype(np.float64)


def save(trained: Trained, folder: Path) -> None:
    """Write ``model.keras`` and its export ``model.onnx`` into ``folder``."""
    trained.network.save(folder / "model.keras")
    with contextlib.redirect_stdout(io.StringIO()):
        trained.network.export(folder / "model.onnx", format="onnx", verbose=False)
