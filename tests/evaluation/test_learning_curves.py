"""Overfitting, underfitting and poor convergence are told apart, on trainings that really have them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.evaluation.learning_curves import Member, members_of, overfitting, poor_convergence
from tests.evaluation.trainings import diagnosed, log, recipe, warnings

HEALTHY = [("selected", "ensemble"), ("history", "ensemble"), ("guide", "mlp")]
RECIPES = ("guide", "selected", "history")


@pytest.mark.parametrize(("name", "architecture"), HEALTHY)
def test_a_healthy_training_gives_no_warning(name: str, architecture: str) -> None:
    assert warnings(diagnosed(log(), recipe(name, architecture))) == {}


# What ``selected`` keeps, eight inputs of few values each, is too little to tell the rows apart by.
@pytest.mark.parametrize("name", ["guide", "history"])
def test_a_large_network_without_dropout_and_without_stopping_overfits(name: str) -> None:
    found = warnings(diagnosed(log(), recipe(name, neurons=256, dropout=0, l2=0, epochs=120, stop_patience=200)))

    assert set(found) == {"overfitting"}
    assert "5 of 5 networks" in found["overfitting"].sentence
    assert "STUDYML_HYPERPARAMETERS='{\"dropout\": 0.4}'" in found["overfitting"].remedies[0]


@pytest.mark.parametrize("name", RECIPES)
def test_a_network_that_is_bound_too_tightly_underfits(name: str) -> None:
    found = warnings(diagnosed(log(), recipe(name, l2=10)))

    assert set(found) == {"underfitting"}
    assert "no L2 regularisation: STUDYML_HYPERPARAMETERS='{\"l2\": 0.0}'" in found["underfitting"].remedies


def test_so_does_one_whose_features_say_nothing() -> None:
    found = warnings(diagnosed(log(is_noise=True), recipe("history")))

    assert set(found) == {"underfitting"}
    assert "these features say nothing about a duration" in found["underfitting"].sentence


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_that_was_cut_short_did_not_converge(name: str) -> None:
    found = warnings(diagnosed(log(), recipe(name, epochs=3)))

    assert set(found) == {"poor_convergence"}
    assert "was still falling when the epochs ended" in found["poor_convergence"].sentence
    assert "more epochs: STUDYML_HYPERPARAMETERS='{\"epochs\": 300}'" in found["poor_convergence"].remedies


@pytest.mark.parametrize("name", RECIPES)
def test_a_learning_rate_a_thousand_times_too_large_throws_a_training_off(name: str) -> None:
    found = warnings(diagnosed(log(), recipe(name, learning_rate=1.0, epochs=40, stop_patience=100)))

    assert set(found) == {"poor_convergence"}
    assert found["poor_convergence"].remedies[0] == (
        "a smaller learning rate: STUDYML_HYPERPARAMETERS='{\"learning_rate\": 0.0001}'"
    )


def test_a_learning_rate_thirty_times_too_large_that_never_falls_makes_the_error_oscillate() -> None:
    changes = {"learning_rate": 0.03, "schedule": "constant", "epochs": 40, "stop_patience": 100}
    found = warnings(diagnosed(log(), recipe("guide", **changes)))

    assert set(found) == {"poor_convergence"}
    assert "the error oscillates (by " in found["poor_convergence"].sentence


def curves(**losses: Any) -> dict[str, Any]:
    return {"members": [{"member": "fold 1", **losses}]}


class TestReading:
    def test_a_loss_of_squares_is_judged_by_its_root(self) -> None:
        document = curves(loss=[4.0], val_loss=[9.0])

        assert (
            members_of(document, squared=True)[0].training[0],
            members_of(document, squared=False)[0].training[0],
        ) == (
            2.0,
            4.0,
        )

    def test_the_member_that_saw_everything_is_not_judged(self) -> None:
        document = {"members": [{"member": "all folds", "loss": [1.0], "val_loss": [1.0]}]}

        assert members_of(document, squared=True) == []

    @pytest.mark.parametrize("broken", [None, float("nan"), float("inf")])
    def test_a_loss_that_is_no_number_is_named_with_its_epoch(self, broken: float | None) -> None:
        members = members_of(curves(loss=[3.0, 2.0, broken], val_loss=[3.0, 2.0, broken]), squared=False)
        found = poor_convergence(members, 1.0, {})

        assert found is not None
        assert "the loss was no longer a number at epoch 3" in found.sentence

    def test_no_member_is_no_finding(self) -> None:
        assert overfitting([], {}) is None
        assert poor_convergence([], 1.0, {}) is None


def members(count: int, of: int, shape: Any) -> list[Member]:
    """So many faulty members among ``of``."""
    fine = members_of(curves(loss=[3.0, *[1.0] * 30], val_loss=[3.0, *[1.1] * 30]), squared=False)[0]
    return [shape] * count + [fine] * (of - count)


@given(st.integers(0, 5))
def test_what_fewer_than_half_of_the_members_show_is_luck(count: int) -> None:
    rows = [max(0.05, 3.0 * 0.8**epoch) for epoch in range(30)]
    memorising = members_of(
        curves(loss=rows, val_loss=[3.0, 1.0, *[1.0 + 0.02 * each for each in range(28)]]), squared=False
    )

    assert (overfitting(members(count, 5, memorising[0]), {}) is not None) == (count >= 3)


@given(st.floats(1e-3, 1e3), st.integers(2, 40))
def test_the_unit_of_the_loss_does_not_matter(unit: float, length: int) -> None:
    falling = [unit * 0.9**epoch for epoch in range(length)]
    found = poor_convergence(members_of(curves(loss=falling, val_loss=falling), squared=False), unit, {})

    assert found is not None
    assert "still falling" in found.sentence


def test_an_error_that_does_not_decrease_says_so() -> None:
    level = members_of(curves(loss=[1.0] * 20, val_loss=[1.0] * 20), squared=False)
    found = poor_convergence(level, 0.5, {})

    assert found is not None
    assert poor_convergence(level, 1.0, {}) is None  # as good as a constant: that is underfitting
    assert "did not decrease (it ended at 100% of what it was after the first epoch)" in found.sentence
