"""Members trained side by side: what each one sees, what is served, one seed one network, no crash on divergence."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from studyml.errors import SettingsError, TrainingError
from studyml.hyperparameters import Hyperparameters
from studyml.model.networks import Layout, members_network
from studyml.model.recipe import RECIPES, Recipe, portfolio, with_hyperparameters
from studyml.model.saving import save
from studyml.model.training import Rows, Trained, predict, train
from studyml.scoring.predictor import open_network, run_network

INPUTS, FOLDS = 7, 5
SEQUENCE = Layout(INPUTS, ((0, 1), (2, 3)))
SMALL = Recipe(epochs=4, layers=(16, 8), dropouts=(0.1, 0.0))


def rows(count: int = 200, seed: int = 0, folds: int = FOLDS) -> Rows:
    """Inputs [count, INPUTS] and hours [count] that depend on the first two; the folds are dealt out in turn."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(count, INPUTS)).astype(np.float32)
    hours = np.clip(3 + matrix[:, 0] - 0.5 * matrix[:, 1] + random.normal(0, 0.1, count), 0.1, 24)
    everywhere = np.ones(count, bool)
    return Rows(matrix, hours, np.arange(count) % folds, everywhere, everywhere, np.arange(count) >= 0.8 * count)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(rows(), SMALL, Layout(INPUTS))


def test_the_default_recipe_is_the_guides_but_its_plateau_can_reduce() -> None:
    recipe = RECIPES["guide"]

    assert (recipe.layers, recipe.dropouts) == ((128, 64, 32, 16), (0.3, 0.2, 0.2, 0.0))
    assert (recipe.activation, recipe.loss, recipe.target) == ("relu", "mse", "hours")
    assert (recipe.learning_rate, recipe.epochs, recipe.batch_size) == (0.001, 150, 32)
    assert (recipe.stop_patience, recipe.plateau_patience) == (15, 10)
    assert recipe.plateau_minimum_rate < recipe.plateau_factor * recipe.learning_rate


@pytest.mark.parametrize("architecture", ["mlp", "ensemble", "lstm", "attention"])
def test_every_architecture_trains_and_its_export_agrees_with_keras(architecture: str, tmp_path: Path) -> None:
    recipe = replace(RECIPES["history"], architecture=architecture, epochs=2, layers=(16, 8), dropouts=(0.1, 0.0))

    found = train(rows(60, folds=2), recipe, SEQUENCE)
    save(found, tmp_path)

    matrix = rows(50, seed=9).matrix
    served = run_network(open_network(tmp_path / "model.onnx"), matrix)
    assert served == pytest.approx(predict(found, matrix), abs=1e-4)
    assert np.isfinite(found.out_of_fold).all()
    assert len(found.curves["members"]) == (2 if architecture == "ensemble" else 3)


def test_a_member_is_what_the_side_by_side_network_computes_for_it() -> None:
    together = members_network(SMALL, Layout(INPUTS), FOLDS, 100)
    alone = members_network(SMALL, Layout(INPUTS), 1, 100)
    alone.set_weights([each[[3]] for each in together.get_weights()])

    matrix = rows(20).matrix
    assert np.asarray(alone(matrix))[:, 0] == pytest.approx(np.asarray(together(matrix))[:, 3], abs=1e-6)


@pytest.mark.parametrize("clipnorm", [None, 0.1])
def test_a_fold_has_no_say_in_its_own_out_of_fold_predictions(clipnorm: float | None) -> None:
    plain = rows()
    changed = plain.hours.copy()
    changed[plain.folds == 2] = 20.0

    recipe = replace(SMALL, stop_patience=None, schedule="constant", clipnorm=clipnorm)
    before = train(plain, recipe, Layout(INPUTS)).out_of_fold
    after = train(replace(plain, hours=changed), recipe, Layout(INPUTS)).out_of_fold

    inside = plain.folds == 2
    assert after[inside] == pytest.approx(before[inside], abs=1e-6)
    assert np.abs(after[~inside] - before[~inside]).mean() > 0.01


def test_a_member_predicts_its_fold_without_what_it_does_not_see(tmp_path: Path) -> None:
    plain = rows(100)
    recipe = replace(RECIPES["selected"], architecture="ensemble", epochs=3, layers=(16, 8), dropouts=(0.1, 0.0))
    layout = Layout(INPUTS, seen=((False, *(True,) * (INPUTS - 1)), *((True,) * INPUTS,) * (FOLDS - 1)))
    changed = plain.matrix.copy()
    changed[plain.folds == 0, 0] = 4.0  # its own fold's values never train the member that does not see the input

    found = train(plain, recipe, layout)
    save(found, tmp_path)
    other = train(replace(plain, matrix=changed), recipe, layout)

    inside = plain.folds == 0
    assert other.out_of_fold[inside] == pytest.approx(found.out_of_fold[inside], abs=1e-6)
    assert np.abs(other.out_of_fold[~inside] - found.out_of_fold[~inside]).max() > 1e-4
    served = run_network(open_network(tmp_path / "model.onnx"), plain.matrix)
    assert served == pytest.approx(predict(found, plain.matrix), abs=1e-4)


def test_kernels_start_as_wide_as_those_of_a_lone_network() -> None:
    wide = replace(Recipe(), layers=(128,), dropouts=(0.0,))
    for initializer, deviation in (("glorot_uniform", (2 / (40 + 128)) ** 0.5), ("he_normal", (2 / 40) ** 0.5)):
        network = members_network(replace(wide, initializer=initializer), Layout(40), 6, 100)
        assert float(np.std(network.get_weights()[0])) == pytest.approx(deviation, rel=0.05)


def test_the_learning_rate_falls_on_a_plateau_and_along_a_cosine() -> None:
    noise = replace(rows(60), hours=np.random.default_rng(1).lognormal(1, 0.5, 60))
    plateau = train(
        noise, replace(SMALL, epochs=10, learning_rate=0.1, plateau_patience=1, stop_patience=20), Layout(INPUTS)
    )
    cosine = train(noise, replace(SMALL, epochs=4, schedule="cosine", stop_patience=None), Layout(INPUTS))

    assert min(plateau.curves["learning_rate"]) < 0.1
    assert cosine.curves["learning_rate"] == sorted(cosine.curves["learning_rate"], reverse=True)


def test_a_training_learns() -> None:
    given = rows(300)
    found = train(given, replace(SMALL, epochs=80), Layout(INPUTS))

    error = np.abs(found.out_of_fold - given.hours).mean()
    assert error < 0.6 * np.abs(np.median(given.hours) - given.hours).mean()


def test_each_epoch_is_told() -> None:
    told: list[tuple[int, int]] = []

    train(rows(40), replace(SMALL, epochs=3), Layout(INPUTS), lambda epoch, epochs, _: told.append((epoch, epochs)))

    assert told == [(1, 3), (2, 3), (3, 3)]


_CHILD = """
import json, sys
from dataclasses import replace
from studyml.model.networks import Layout
from studyml.model.training import predict, train
from tests.model.test_training import INPUTS, SMALL, rows
trained = train(rows(), replace(SMALL, seed=int(sys.argv[1])), Layout(INPUTS))
print(json.dumps(predict(trained, rows(50, seed=9).matrix).tolist()))
"""


def in_another_process(seed: int) -> np.ndarray:
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": str(seed)}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(seed)], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    return np.array(json.loads(done.stdout))


def test_one_seed_gives_one_network_in_any_process_and_another_seed_another(trained: Trained) -> None:
    here = predict(trained, rows(50, seed=9).matrix)

    assert in_another_process(42) == pytest.approx(here, abs=1e-6)
    other = predict(train(rows(), replace(SMALL, seed=7), Layout(INPUTS)), rows(50, seed=9).matrix)
    assert np.abs(other - here).max() > 1e-3


def test_a_network_that_diverges_is_no_crash() -> None:
    found = train(replace(rows(60), hours=np.full(60, np.nan)), replace(SMALL, epochs=3), Layout(INPUTS))

    assert not np.isfinite(found.out_of_fold).any()


def test_too_few_rows_and_no_inputs_are_said_in_a_sentence() -> None:
    with pytest.raises(TrainingError, match="too few"):
        train(rows(4), SMALL, Layout(INPUTS))
    with pytest.raises(TrainingError, match="nothing to learn from"):
        train(rows(60), SMALL, Layout(0))


def test_batches_grow_and_epochs_and_the_penalty_fall_with_the_rows() -> None:
    recipe = RECIPES["history"]

    assert [recipe.batch_at(count) for count in (100, 600, 10_000, 1_000_000)] == [64, 64, 512, 8192]
    assert recipe.epochs_at(600) == recipe.epochs_at(10_000) > recipe.epochs_at(1_000_000)
    assert recipe.l2_at(100) == recipe.l2_at(600) == recipe.l2 > recipe.l2_at(2400)


def test_the_default_portfolio_and_what_a_person_changes_in_it() -> None:
    found = portfolio("auto", "auto", Hyperparameters(dropout=0.4, neurons=64), seed=7)

    assert [(each.architecture, each.name, each.seed) for each in found] == [
        ("ensemble", "selected", 7),
        ("ensemble", "history", 7),
    ]
    assert found[0].layers == (64, 32, 16, 8)
    assert found[0].dropouts == (0.4, 0.4, 0.4, 0.0)
    with pytest.raises(SettingsError, match="dropouts"):
        with_hyperparameters(found[0], {"dropouts": 1})
