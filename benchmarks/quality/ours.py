"""Our own recipes as predictors of the table: every architecture with every recipe, and the default, ``auto``.

``auto/served`` is the default as a retraining uses it: the newest fifth of the rows is the gates' holdout, which no
network learns from, and moves the intervals.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.log import Log, hours_of
from benchmarks.quality.missing import with_gaps_in_turn
from studyml.errors import TrainingError
from studyml.evaluation.intervals import COVERAGES, coverage_by_length, fit_intervals, interval_coverage
from studyml.hyperparameters import Hyperparameters
from studyml.interval import Interval, bounds
from studyml.model.recipe import ARCHITECTURES, RECIPES, Recipe, portfolio
from studyml.settings import Settings
from studyml.steps.fit_portfolio import Entry, fit_portfolio
from studyml.steps.fit_recipe import Fitted, fit_recipe, limited, predict_hours
from studyml.steps.newest_level import split_rows, with_newest_level

Floats = NDArray[np.float64]

AUTO, SERVED = "auto", "auto/served"
GUIDES_NETWORK = "mlp/guide"
NAMES = (*(f"{architecture}/{recipe}" for architecture in ARCHITECTURES for recipe in RECIPES), SERVED, AUTO)
#: The code that a result of ours depends on.
CODE = (
    *("studyml/model", "studyml/features", "studyml/interval.py"),
    *(
        f"studyml/evaluation/{name}.py"
        for name in ("folds", "holdout", "intervals", "level", "metrics", "paired", "shift")
    ),
    *(f"studyml/steps/{name}.py" for name in ("fit_portfolio", "fit_recipe", "newest_level")),
)
HOLDOUT_SHARE = Settings.model_fields["holdout_fraction"].default


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
    try:
        chosen, entries = fit_portfolio(log.training, auto_recipes(seed))
    except TrainingError as error:
        return {AUTO: Forecast(None, 0.0, {"why": str(error)})}
    found = {name_of(each.recipe): _forecast_of_entry(log, each) for each in entries}
    seconds = sum(each.seconds for each in found.values())
    fitted = _trained(chosen)
    intervals = fit_intervals(hours_of(log.training), fitted.out_of_fold)
    details = {"chosen": name_of(chosen.recipe), "coverage": coverage(log, fitted, intervals)}
    if gaps:
        details["gaps"] = with_gaps_in_turn(log, lambda frame: predict_hours(fitted, frame), seed)
    return {**found, AUTO: Forecast(found[name_of(chosen.recipe)].hours, seconds, details)}


def fit_served(log: Log, seed: int) -> Forecast:
    """The forecast of what a retraining would serve, whatever its gates say."""
    rows = log.training
    split = split_rows(rows, holdout_fraction=HOLDOUT_SHARE, follow=True)
    fitting, holdout = with_newest_level(rows, split.changes).take(~split.held), rows.take(split.held)
    try:
        chosen, entries = fit_portfolio(fitting, auto_recipes(seed))
    except TrainingError as error:
        return Forecast(None, 0.0, {"why": str(error)})
    fitted = _trained(chosen)
    newest = (hours_of(holdout), limited(predict_hours(fitted, holdout)))
    intervals = fit_intervals(hours_of(fitting), fitted.out_of_fold, newest=newest)
    seconds = sum(each.fitted.seconds for each in entries if each.fitted is not None)
    details = {"chosen": name_of(chosen.recipe), "coverage": coverage(log, fitted, intervals)}
    return Forecast(limited(predict_hours(fitted, log.test)), seconds, details)


def _trained(entry: Entry) -> Fitted:
    if entry.fitted is None:
        raise AssertionError("the chosen entry of a portfolio is trained")
    return entry.fitted


def _forecast_of_entry(log: Log, entry: Entry) -> Forecast:
    return Forecast(None, 0.0, {"why": entry.note}) if entry.fitted is None else _forecast(log, entry.fitted)


def fit_one(log: Log, name: str, seed: int) -> Forecast:
    """The forecast of one architecture and recipe, such as ``mlp/guide``."""
    architecture, recipe = name.split("/")
    try:
        return _forecast(log, fit_recipe(log.training, replace(RECIPES[recipe], architecture=architecture, seed=seed)))
    except TrainingError as error:
        return Forecast(None, 0.0, {"why": str(error)})


def _forecast(log: Log, fitted: Fitted) -> Forecast:
    return Forecast(limited(predict_hours(fitted, log.test)), fitted.seconds, {})


def coverage(log: Log, fitted: Fitted, intervals: Sequence[Interval]) -> dict[str, Any]:
    """For each nominal coverage, the share of test outcomes inside, overall and by tenth of predicted length."""
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
