"""What a session lacks when it is scored costs accuracy, and never more than not having a model at all."""

from dataclasses import replace

import pytest

from benchmarks.quality.log import simulated_log
from benchmarks.quality.missing import EVERYTHING, HISTORY, KNOWN_BEFORE, RATES, with_gaps_in_turn
from studyml.contract import MINIMUM_HOURS
from studyml.model.recipe import AUTO_RECIPES, RECIPES
from studyml.steps.fit_recipe import fit_recipe, predict_hours


@pytest.mark.parametrize("name", AUTO_RECIPES)
def test_no_feature_missing_or_unseen_at_any_rate_makes_it_worse_than_the_median(name: str) -> None:
    log = simulated_log("guide", 600, 200)
    fitted = fit_recipe(log.training, replace(RECIPES[name], architecture="ensemble"))

    found = with_gaps_in_turn(log, lambda frame: predict_hours(fitted, frame), seed=0)

    errors = {(row["feature"], row["kind"]): row["maes"] for row in found["rows"]}
    assert {feature for feature, _ in errors} == {*KNOWN_BEFORE, HISTORY, EVERYTHING}
    assert all(len(maes) == len(RATES) for maes in errors.values())
    worst = {key: max(maes) for key, maes in errors.items() if key[0] != EVERYTHING}
    assert max(worst.values()) <= found["median"], max(worst, key=lambda key: worst[key])
    assert found["complete"] < min(errors["estimated_base_time", "missing"]), "it matters"
    assert found["finite"]
    assert found["shortest"] >= MINIMUM_HOURS
