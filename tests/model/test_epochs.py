"""The epochs of a training: schedules, early stopping by member, and what each row counts for."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from studyml.model import epochs as module
from studyml.model.epochs import Lived, Weights, run_epochs
from studyml.model.networks import Layout, members_network
from studyml.model.recipe import Recipe

INPUTS, MEMBERS, ROWS = 4, 2, 80
RECIPE = Recipe(epochs=6, layers=(8,), dropouts=(0.0,), schedule="constant", stop_patience=None, learning_rate=0.01)


def data(*, noise: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets; with ``noise`` the second half follows nothing that the first half shows."""
    random = np.random.default_rng(1)
    matrix = random.normal(size=(ROWS, INPUTS)).astype(np.float32)
    target = (matrix[:, 0] - 0.5 * matrix[:, 1]).astype(np.float32)
    if noise:
        target = random.normal(size=ROWS).astype(np.float32)
    return matrix, target


def halves() -> Weights:
    """The first half trains, the second validates, for either member."""
    training = np.repeat((np.arange(ROWS) < ROWS // 2)[:, None], MEMBERS, axis=1).astype(np.float32)
    return Weights(np.ones(ROWS, bool), 2 * training, 1 - training)


def lived(recipe: Recipe, weights: Weights | None = None, *, noise: bool = False) -> tuple[Any, Lived]:
    network = members_network(recipe, Layout(INPUTS), MEMBERS, ROWS)
    return network, run_epochs(network, *data(noise=noise), weights or halves(), recipe, None)


def errors(network: Any, *, noise: bool = False) -> np.ndarray:
    """Squared errors of the members, [rows, members]."""
    matrix, target = data(noise=noise)
    found: np.ndarray = (np.asarray(network(matrix, training=False)) - target[:, None]) ** 2
    return found


def test_the_learning_rate_stays_falls_along_a_cosine_or_falls_on_a_plateau() -> None:
    constant = lived(RECIPE)[1].rates
    cosine = lived(replace(RECIPE, schedule="cosine", epochs=8))[1].rates
    plateau = lived(replace(RECIPE, schedule="plateau", epochs=30, learning_rate=0.1, plateau_patience=2), noise=True)[
        1
    ].rates

    assert constant == pytest.approx([0.01] * 6)
    expected = [max(0.01, 0.5 * (1 + np.cos(np.pi * epoch / 8))) * 0.01 for epoch in range(8)]
    assert cosine == pytest.approx(expected, rel=1e-5)
    steps = [after / before for before, after in itertools.pairwise(plateau) if after != before]
    assert steps
    assert min(plateau) >= Recipe().plateau_minimum_rate * 0.999
    assert all(step == pytest.approx(0.2, rel=1e-4) for step in steps[:2])


def test_the_losses_are_those_of_the_network_as_it_is_left() -> None:
    network, found = lived(RECIPE)
    squared = errors(network)

    assert found.losses.shape == found.validation_losses.shape == (6, MEMBERS)
    assert found.losses[-1] == pytest.approx(squared[: ROWS // 2].mean(axis=0), rel=1e-4)
    assert found.validation_losses[-1] == pytest.approx(squared[ROWS // 2 :].mean(axis=0), rel=1e-4)
    assert (found.losses[-1] < found.losses[0]).all()


def test_with_early_stopping_each_member_gets_back_its_own_best_epoch() -> None:
    recipe = replace(RECIPE, epochs=60, learning_rate=0.05, layers=(32,), stop_patience=5)
    network, found = lived(recipe, noise=True)

    best = found.validation_losses.min(axis=0)
    assert len(found.rates) < 60, "it stopped"
    assert (found.validation_losses[-1] > best).all()
    assert found.best_epochs.tolist() == found.validation_losses.argmin(axis=0).tolist()
    assert len(found.rates) == found.best_epochs.max() + 1 + 5
    assert errors(network, noise=True)[ROWS // 2 :].mean(axis=0) == pytest.approx(best, rel=1e-4)


def test_a_member_learns_nothing_from_rows_that_do_not_count_for_it() -> None:
    weights = halves()
    weights.training[:, 1] = 0.0
    before = members_network(RECIPE, Layout(INPUTS), MEMBERS, ROWS).get_weights()

    network, _ = lived(RECIPE, weights)

    for start, end in zip(before, network.get_weights(), strict=True):
        assert (start[1] == end[1]).all()
        assert np.abs(start[0] - end[0]).max() > 0


def test_a_validation_loss_that_is_no_number_ends_the_training() -> None:
    matrix, target = data()
    network = members_network(RECIPE, Layout(INPUTS), MEMBERS, ROWS)
    told: list[int] = []

    found = run_epochs(
        network, matrix, np.full_like(target, np.nan), halves(), RECIPE, lambda epoch, *_: told.append(epoch)
    )

    assert len(found.rates) == 1
    assert told == []
    assert not np.isfinite(np.asarray(network(matrix))).any()


def test_clipping_keeps_a_gradient_within_its_norm() -> None:
    plain, clipped = (lived(replace(RECIPE, clipnorm=norm, epochs=1)) for norm in (None, 1e-6))

    # Adam divides by the size of the gradients, and so by next to nothing: only its epsilon tells them apart.
    assert plain[1].losses[-1] != pytest.approx(clipped[1].losses[-1], rel=1e-3)


@pytest.mark.parametrize(("loss", "squared_share"), [("mse", 1.0), ("mae", 0.0), ("mixed", 0.5)])
def test_the_loss_is_the_recipes(loss: Any, squared_share: float) -> None:
    network, found = lived(replace(RECIPE, loss=loss))
    squared = errors(network)[: ROWS // 2]
    expected = squared_share * squared + (1 - squared_share) * np.sqrt(squared)

    assert found.losses[-1] == pytest.approx(expected.mean(axis=0), rel=1e-4)


@pytest.mark.parametrize(("rows", "batch"), [(10, 3), (8, 8), (200_000, 64)])
def test_the_rows_of_an_epoch_come_in_whole_batches_and_no_row_twice(rows: int, batch: int) -> None:
    order = np.random.default_rng(0).permutation(rows)

    chunks = module._chunks(order, batch)

    assert all(len(each) % batch == 0 for each in chunks)
    assert np.concatenate(chunks).tolist() == order[: rows - rows % batch].tolist()
    assert max(len(each) for each in chunks) <= 65_536
