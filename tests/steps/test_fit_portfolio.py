"""The portfolio: every recipe on the same rows, the lowest recent out-of-fold error chosen, the rest on record."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from studyml.errors import TrainingError
from studyml.frame import Frame
from studyml.hyperparameters import Hyperparameters
from studyml.model import training
from studyml.model.networks import Layout
from studyml.model.recipe import RECIPES, Recipe, portfolio
from studyml.steps.fit_portfolio import fit_portfolio
from studyml.steps.fit_recipe import recent_rows
from tests.evaluation.trainings import log
from tests.steps.retraining import trained_to_say

BOTH = portfolio("auto", "auto", Hyperparameters(), seed=42)
#: How far off a recipe's out-of-fold predictions are: (older rows, newest rows), hours.
Errors = Mapping[str, tuple[float, float]]


@pytest.fixture(scope="module")
def frame() -> Frame:
    return log()


@pytest.fixture
def off(frame: Frame, monkeypatch: pytest.MonkeyPatch) -> Callable[[Errors], None]:
    """Make the recipes' trainings be so far off."""

    def off(errors: Errors) -> None:
        def train(rows: training.Rows, recipe: Recipe, layout: Layout, _: Any = None) -> training.Trained:
            older, newest = errors[recipe.name]
            found = trained_to_say(3.0, rows, recipe, layout)
            hours = rows.hours + np.where(recent_rows(frame), newest, older)
            return training.Trained(found.network, hours, found.curves, found.epochs)

        monkeypatch.setattr(training, "train", train)

    return off


def test_the_lowest_error_on_the_newest_rows_is_chosen_and_not_that_on_all(
    frame: Frame, off: Callable[[Errors], None]
) -> None:
    off({"selected": (0.2, 0.9), "history": (0.8, 0.5)})

    chosen, entries = fit_portfolio(frame, BOTH)

    assert [each.recipe.name for each in entries] == ["selected", "history"]
    assert chosen is entries[1]
    assert chosen.recent_out_of_fold_mae == pytest.approx(0.5, rel=0.05)  # a sum beyond a day is limited
    assert entries[0].out_of_fold_mae == pytest.approx(0.34, rel=0.05)
    assert entries[0].recent_out_of_fold_mae == pytest.approx(0.9, rel=0.05)


def test_the_order_of_the_recipes_does_not_matter(frame: Frame, off: Callable[[Errors], None]) -> None:
    off({"selected": (0.2, 0.4), "history": (0.8, 0.5)})

    assert fit_portfolio(frame, BOTH)[0].recipe.name == "selected"
    assert fit_portfolio(frame, BOTH[::-1])[0].recipe.name == "selected"


def test_what_a_version_says_about_its_portfolio(frame: Frame, off: Callable[[Errors], None]) -> None:
    off({"selected": (0.2, 0.4), "history": (0.2, np.nan)})
    chosen, entries = fit_portfolio(frame, BOTH)

    said = json.loads(json.dumps([each.to_json(chosen) for each in entries], allow_nan=False))

    names = {"architecture", "recipe", "out_of_fold_mae", "recent_out_of_fold_mae", "seconds", "chosen", "note"}
    assert all(set(each) == names for each in said)
    assert [(each["architecture"], each["recipe"], each["chosen"]) for each in said] == [
        ("ensemble", "selected", True),
        ("ensemble", "history", False),
    ]
    assert said[0]["recent_out_of_fold_mae"] == pytest.approx(0.4, rel=0.05)
    assert said[1]["recent_out_of_fold_mae"] is None


def test_a_network_that_does_not_converge_is_chosen_only_where_none_does(
    frame: Frame, off: Callable[[Errors], None]
) -> None:
    off({"selected": (np.nan, np.nan), "history": (9.0, 9.0)})
    assert fit_portfolio(frame, BOTH)[0].recipe.name == "history"

    off({"selected": (np.nan, np.nan), "history": (np.nan, np.nan)})
    chosen, entries = fit_portfolio(frame, BOTH)
    assert chosen.fitted is not None
    assert len(entries) == 2


def test_a_recipe_that_cannot_train_is_left_out_with_its_reason(
    off: Callable[[Errors], None], caplog: pytest.LogCaptureFixture
) -> None:
    off({"selected": (0.0, 0.0), "history": (0.9, 0.9)})
    noise = log(is_noise=True)

    with caplog.at_level(logging.INFO, "studyml"):
        chosen, entries = fit_portfolio(noise, BOTH)

    assert chosen.recipe.name == "history"
    left_out = entries[0].to_json(chosen)
    assert entries[0].fitted is None
    assert left_out["note"].startswith("no input tells anything about the length")
    assert (left_out["seconds"], left_out["out_of_fold_mae"], left_out["chosen"]) == (None, None, False)
    assert "ensemble, recipe selected is left out: no input tells anything" in caplog.text


def test_where_no_recipe_can_train_the_first_reason_is_the_error(off: Callable[[Errors], None]) -> None:
    with pytest.raises(TrainingError, match="no input tells anything about the length"):
        fit_portfolio(log(is_noise=True), [RECIPES["selected"]])
    with pytest.raises(TrainingError, match="too few"):
        fit_portfolio(log().take(np.arange(600) < 6), [RECIPES["guide"]])


def test_the_errors_of_every_recipe_are_logged(
    frame: Frame, off: Callable[[Errors], None], caplog: pytest.LogCaptureFixture
) -> None:
    off({"selected": (0.2, 0.4), "history": (0.8, 0.5)})

    with caplog.at_level(logging.INFO, "studyml"):
        fit_portfolio(frame, BOTH)

    assert f"training ensemble, recipe selected on {len(frame)} sessions" in caplog.text
    assert "ensemble, recipe history: out-of-fold MAE 0.7" in caplog.text
