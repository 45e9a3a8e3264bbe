"""Recipes and what a person changes about them: any valid change gives a recipe that builds, any other a sentence."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studyml.errors import SettingsError
from studyml.hyperparameters import Hyperparameters
from studyml.model.networks import Layout, members_network
from studyml.model.recipe import ARCHITECTURES, RECIPES, portfolio, with_hyperparameters

CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "neurons": st.integers(4, 300),
    "layers": st.integers(1, 8),
    "dropout": st.floats(0, 0.94),
    "learning_rate": st.floats(1e-6, 1),
    "schedule": st.sampled_from(["constant", "cosine", "plateau"]),
    "epochs": st.integers(1, 100_000),
    "batch_size": st.integers(1, 65_536),
    "stop_patience": st.integers(1, 100),
    "l2": st.floats(0, 10),
    "clipnorm": st.floats(1e-3, 100),
    "initializer": st.sampled_from(["glorot_uniform", "he_normal"]),
    "augmentation": st.floats(0, 10),
    "outliers": st.sampled_from(["keep", "remove"]),
}
changes = st.fixed_dictionaries({}, optional=CHANGES)


def test_every_hyperparameter_is_tried_here() -> None:
    assert set(CHANGES) == set(Hyperparameters.model_fields)


@given(changes, st.sampled_from(sorted(RECIPES)))
def test_a_change_is_in_the_recipe_and_everything_else_stays(given_changes: dict[str, Any], name: str) -> None:
    before = RECIPES[name]
    after = with_hyperparameters(before, given_changes)

    shape = {"neurons", "layers", "dropout"}
    for field, value in asdict(before).items():
        if field in given_changes and field not in shape:
            assert asdict(after)[field] == given_changes[field]
        elif field not in ("layers", "dropouts"):
            assert asdict(after)[field] == value
    assert len(after.layers) == len(after.dropouts) == given_changes.get("layers", len(before.layers))
    assert after.layers[0] == given_changes.get("neurons", before.layers[0])
    assert list(after.layers) == sorted(after.layers, reverse=True)
    if "dropout" in given_changes:
        assert set(after.dropouts[:-1]) <= {given_changes["dropout"]}
    assert after.dropouts[-1] == 0.0 or "layers" in given_changes
    if not given_changes:
        assert after == before


@settings(max_examples=10)
@given(changes, st.sampled_from(sorted(RECIPES)), st.sampled_from(("mlp", "ensemble")))
def test_a_changed_recipe_builds_a_network(given_changes: dict[str, Any], name: str, architecture: str) -> None:
    recipe = with_hyperparameters(replace(RECIPES[name], architecture=architecture), given_changes)

    network = members_network(recipe, Layout(3), 2, 100)

    assert np.asarray(network(np.zeros((2, 3), np.float32))).shape == (2, 2)
    assert recipe.batch_at(100) >= 1
    assert recipe.epochs_at(100) >= 1


@pytest.mark.parametrize("name", ["neuron", "seed", "inputs", "loss", "", "LAYERS"])
def test_an_unknown_name_is_one_sentence(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        with_hyperparameters(RECIPES["guide"], {name: 1})
    assert str(caught.value).startswith(f"hyperparameter {name}: ")
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("neurons", 3),
        ("layers", 0),
        ("dropout", 0.95),
        ("dropout", -0.1),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("schedule", "step"),
        ("epochs", 0),
        ("batch_size", 1.5),
        ("l2", float("inf")),
        ("clipnorm", 0),
        ("outliers", "drop"),
    ],
)
def test_an_impossible_value_is_one_sentence(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=rf"^hyperparameter {name}: .*\.$"):
        with_hyperparameters(RECIPES["guide"], {name: value})


@pytest.mark.parametrize("architecture", ["auto", *ARCHITECTURES])
@pytest.mark.parametrize("recipe", ["auto", *RECIPES])
def test_a_portfolio_is_every_recipe_of_every_architecture_that_is_asked_for(architecture: str, recipe: str) -> None:
    found = portfolio(architecture, recipe, Hyperparameters(l2=0.5), seed=3)

    names = ("selected", "history") if recipe == "auto" else (recipe,)
    if (architecture, recipe) == ("lstm", "auto"):
        names = ("history",)
    wanted = "ensemble" if architecture == "auto" else architecture
    assert [(each.architecture, each.name) for each in found] == [(wanted, name) for name in names]
    assert {(each.seed, each.l2) for each in found} == {(3, 0.5)}
    assert all(
        replace(each, seed=42, l2=RECIPES[each.name].l2, architecture="mlp") == RECIPES[each.name] for each in found
    )


@given(st.integers(1, 10_000_000), st.sampled_from(sorted(RECIPES)))
def test_batches_epochs_and_penalty_are_possible_for_any_number_of_rows(rows: int, name: str) -> None:
    recipe = RECIPES[name]

    assert 32 <= recipe.batch_at(rows) <= 8192
    assert 8 <= recipe.epochs_at(rows) <= 150
    assert 0 <= recipe.l2_at(rows) <= recipe.l2
