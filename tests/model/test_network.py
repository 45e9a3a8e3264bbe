"""The guide's network and its training: layers, callbacks, one seed one network, no crash where it diverges."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from studyml.errors import TrainingError
from studyml.model import network
from studyml.model.recipe import Recipe
from studyml.scoring.predictor import open_network, run_network

INPUTS = 7


def rows(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [count, INPUTS] and hours [count] that depend on the first two."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(count, INPUTS)).astype(np.float32)
    return matrix, np.clip(3 + matrix[:, 0] - 0.5 * matrix[:, 1] + random.normal(0, 0.1, count), 0.1, 24)


@pytest.fixture(scope="module")
def trained() -> network.Trained:
    return network.train(*rows(200), Recipe(epochs=4))


def test_the_recipe_is_the_guides() -> None:
    recipe = Recipe()

    assert recipe.layers == (128, 64, 32, 16)
    assert recipe.dropouts == (0.3, 0.2, 0.2, 0.0)
    assert (recipe.learning_rate, recipe.epochs, recipe.batch_size) == (0.001, 150, 32)
    assert (recipe.validation_fraction, recipe.stop_patience, recipe.plateau_patience) == (0.2, 15, 10)
    assert recipe.plateau_factor == 0.2


def test_the_layers_are_the_guides() -> None:
    built = network.build_network(INPUTS, Recipe())
    described = [(type(layer).__name__, layer.get_config()) for layer in built.layers]

    dense = [(config["units"], config["activation"]) for kind, config in described if kind == "Dense"]
    assert dense == [(128, "relu"), (64, "relu"), (32, "relu"), (16, "relu"), (1, "linear")]
    assert [config["rate"] for kind, config in described if kind == "Dropout"] == [0.3, 0.2, 0.2]
    assert [kind for kind, _ in described] == ["Dense", "Dropout"] * 3 + ["Dense", "Dense"]
    assert built.count_params() == (INPUTS + 1) * 128 + 129 * 64 + 65 * 32 + 33 * 16 + 17


def test_it_is_compiled_as_in_the_guide() -> None:
    built = network.build_network(INPUTS, Recipe())

    assert type(built.optimizer).__name__ == "Adam"
    assert float(built.optimizer.learning_rate) == pytest.approx(1e-3)
    assert built.loss == "mse"


def test_the_callbacks_are_the_guides_but_the_plateau_can_reduce() -> None:
    callbacks = {type(each).__name__: each for each in network._callbacks(Recipe(), None)}

    stop, plateau = callbacks["EarlyStopping"], callbacks["ReduceLROnPlateau"]
    assert (stop.monitor, stop.patience, stop.restore_best_weights) == ("val_loss", 15, True)
    assert (plateau.monitor, plateau.patience, plateau.factor) == ("val_loss", 10, 0.2)
    assert plateau.min_lr < 0.2 * Recipe().learning_rate


def test_the_learning_rate_is_reduced_on_a_plateau() -> None:
    # Labels that follow nothing: the validation loss stops falling at once.
    matrix, _ = rows(60)
    hours = np.random.default_rng(1).lognormal(1, 0.5, 60)

    found = network.train(matrix, hours, Recipe(epochs=12, batch_size=4, plateau_patience=1, stop_patience=12))

    assert min(found.history["learning_rate"]) < 0.001


def test_eight_rows_train_for_one_epoch() -> None:
    found = network.train(*rows(8), Recipe(epochs=1))

    predicted = network.predict(found, rows(8)[0])
    assert found.epochs == 1
    assert set(found.history) >= {"loss", "mae", "val_loss", "val_mae"}
    assert predicted.shape == (8,)
    assert np.isfinite(predicted).all()


def test_a_training_learns() -> None:
    matrix, hours = rows(300)

    predicted = network.predict(network.train(matrix, hours, Recipe(epochs=25)), matrix)

    assert np.abs(predicted - hours).mean() < 0.5 * np.abs(np.median(hours) - hours).mean()


def test_the_validation_rows_are_the_last_and_only_steer_the_training() -> None:
    matrix, hours = rows(100)
    other = hours.copy()
    other[80:] = 20.0

    plain, changed = (network.train(matrix, each, Recipe(epochs=2)) for each in (hours, other))

    assert plain.history["loss"] == changed.history["loss"]
    assert plain.history["val_loss"] != changed.history["val_loss"]


def test_each_epoch_is_told() -> None:
    told: list[tuple[int, int]] = []

    network.train(*rows(20), Recipe(epochs=3), lambda epoch, epochs, _: told.append((epoch, epochs)))

    assert told == [(1, 3), (2, 3), (3, 3)]


_CHILD = """
import json, sys
from studyml.model import network
from studyml.model.recipe import Recipe
from tests.model.test_network import rows
trained = network.train(*rows(200), Recipe(epochs=4, seed=int(sys.argv[1])))
print(json.dumps(network.predict(trained, rows(50, seed=9)[0]).tolist()))
"""


def in_another_process(seed: int) -> np.ndarray:
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": str(seed)}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(seed)], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    return np.array(json.loads(done.stdout))


def test_one_seed_gives_one_network_in_any_process_and_another_seed_another(trained: network.Trained) -> None:
    here = network.predict(trained, rows(50, seed=9)[0])

    assert in_another_process(42) == pytest.approx(here, abs=1e-6)
    assert network.predict(network.train(*rows(200), Recipe(epochs=4)), rows(50, seed=9)[0]) == pytest.approx(
        here, abs=1e-6
    )
    other = network.predict(network.train(*rows(200), Recipe(epochs=4, seed=7)), rows(50, seed=9)[0])
    assert np.abs(other - here).max() > 1e-3


def test_the_onnx_export_agrees_with_keras_within_a_ten_thousandth_of_an_hour(
    trained: network.Trained, tmp_path: Path
) -> None:
    network.save(trained, tmp_path)
    matrix = rows(20_000, seed=3)[0]  # more than one block of the scoring path

    exported = run_network(open_network(tmp_path / "model.onnx"), matrix)

    assert np.abs(exported - network.predict(trained, matrix)).max() <= 1e-4


def test_the_saved_keras_model_loads_again_and_predicts_the_same(trained: network.Trained, tmp_path: Path) -> None:
    import keras

    network.save(trained, tmp_path)
    matrix = rows(30, seed=4)[0]

    again = np.asarray(keras.saving.load_model(tmp_path / "model.keras")(matrix))[:, 0]

    assert again == pytest.approx(network.predict(trained, matrix), abs=1e-6)


@pytest.mark.parametrize("rate", [1e3, 1e30])
def test_a_training_that_blows_up_ends_with_numbers_that_are_not_finite_or_far_off_and_not_with_a_crash(
    rate: float, tmp_path: Path
) -> None:
    matrix, hours = rows(60)

    found = network.train(matrix, hours, Recipe(epochs=5, learning_rate=rate))
    network.save(found, tmp_path)

    exported = run_network(open_network(tmp_path / "model.onnx"), matrix)
    assert exported.shape == (60,)
    assert not np.isfinite(exported).all() or np.abs(exported - hours).mean() > 1


def test_labels_that_are_no_numbers_do_not_crash_the_training() -> None:
    matrix, hours = rows(40)

    found = network.train(matrix, np.full_like(hours, np.nan), Recipe(epochs=3))

    assert found.epochs <= 3


def test_too_few_rows_are_an_error_that_says_so() -> None:
    with pytest.raises(TrainingError, match=r"^2 labelled sessions are too few to train a network on\.$"):
        network.train(*rows(2), Recipe(epochs=1))


def test_rows_in_which_nothing_varies_are_an_error_that_says_so() -> None:
    with pytest.raises(TrainingError, match="no feature varies in the training rows"):
        network.train(np.zeros((60, 0), np.float32), np.ones(60), Recipe(epochs=1))


def test_no_rows_predict_nothing(trained: network.Trained) -> None:
    assert network.predict(trained, np.zeros((0, INPUTS), np.float32)).shape == (0,)
