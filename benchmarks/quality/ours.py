"""Our own recipes as predictors of the table: every architecture with every recipe, and the default, ``auto``."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.log import Log, hours_of
from benchmarks.quality.missing import with_gaps_in_turn
from studyml.errors import TrainingError
from studyml.evaluation.intervals import COVERAGES, coverage_by_length, fit_intervals, interval_coverage
from studyml.hyperparameters import Hyperparameters
from studyml.interval import bounds
from studyml.model.recipe import ARCHITECTURES, RECIPES, Recipe, portfolio
from studyml.steps.fit_recipe import Fitted, choose, fit_recipe, limited, predict_hours

Floats = NDArray[np.float64]

AUTO = "auto"
GUIDES_NETWORK = "mlp/guide"
NAMES = (*(f"{architecture}/{recipe}" for architecture in ARCHITECTURES for recipe in RECIPES), AUTO)
#: The code that a result of ours depends on.
CODE = ("studyml/model", "studyml/features", "studyml/evaluation", "studyml/steps/fit_recipe.py", "studyml/interval.py")


@dataclass(frozen=True)
class Forecast:
    """Hours [test rows] of a predictor (None: nothing could be learned), the seconds of its fit, and more."""

    hours: Floats | None
    seconds: float
    details: dict[str, Any]


def name_of(recipe: Recipe) -> str:
    """How a recipe is called in the table."""
    return f"{recipe.architecture}/{recipe.name}"


def auto_recipes(seed: int) -> tuple[Recipe, ...]:
    """The portfolio that the default settings train."""
    return portfolio("auto", "auto", Hyperparameters(), seed=seed)


def fit_auto(log: Log, seed: int, *, gaps: bool) -> dict[str, Forecast]:
    """The forecasts of ``auto`` and of each recipe that it chooses from; ``gaps`` adds what missing values do."""
    fitted: list[Fitted] = []
    found: dict[str, Forecast] = {}
    for recipe in auto_recipes(seed):
        made = _fit(log, recipe)
        found[name_of(recipe)] = made if isinstance(made, Forecast) else _forecast(log, made)
        if isinstance(made, Fitted):
            fitted.append(made)
    seconds = sum(each.seconds for each in found.values())
    try:
        chosen = choose(fitted, log.training)
    except TrainingError as error:
        return {**found, AUTO: Forecast(None, seconds, {"why": str(error)})}
    of_chosen = found[name_of(chosen.recipe)]
    details = {"chosen": name_of(chosen.recipe), "coverage": coverage(log, chosen)}
    if gaps:
        details["gaps"] = with_gaps_in_turn(log, lambda frame: predict_hours(chosen, frame), seed)
    return {**found, AUTO: Forecast(of_chosen.hours, seconds, details)}


def fit_one(log: Log, name: str, seed: int) -> Forecast:
    """The forecast of one architecture and recipe, such as ``mlp/guide``."""
    architecture, recipe = name.split("/")
    made = _fit(log, replace(RECIPES[recipe], architecture=architecture, seed=seed))
    return made if isinstance(made, Forecast) else _forecast(log, made)


def _fit(log: Log, recipe: Recipe) -> Fitted | Forecast:
    try:
        return fit_recipe(log.training, recipe)
    except TrainingError as error:
        return Forecast(None, 0.0, {"why": str(error)})


def _forecast(log: Log, fitted: Fitted) -> Forecast:
    return Forecast(limited(predict_hours(fitted, log.test)), fitted.seconds, {})


def coverage(log: Log, fitted: Fitted) -> dict[str, Any]:
    """For each nominal coverage, the share of test outcomes inside, overall and by tenth of predicted length."""
    intervals = fit_intervals(hours_of(log.training), fitted.out_of_fold)
    test = log.test
    actual, predicted = hours_of(test), limited(predict_hours(fitted, test))
    found: dict[str, Any] = {}
    for nominal, (lower, upper) in zip(COVERAGES, bounds(predicted, intervals), strict=True):
        tenths = coverage_by_length(actual, predicted, lower, upper)
        found[f"{nominal:.0%}"] = {
            "overall": interval_coverage(actual, lower, upper),
            "tenths": [each.coverage for each in tenths],
            "hours": [each.from_hours for each in tenths],
        }
    return found
