"""Real small trainings to be diagnosed: the guide's simulated log, a recipe with a fault or without."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from studyml.evaluation.finding import Finding
from studyml.features.history import history_from_log
from studyml.frame import Frame
from studyml.hyperparameters import Hyperparameters
from studyml.model.recipe import RECIPES, Recipe, with_hyperparameters
from studyml.steps.diagnose_training import diagnose_training
from studyml.steps.fit_recipe import fit_recipe, predict_hours
from tests.features.frames import simulated_log

_HOUR = 3_600_000_000


def log(seed: int = 1, *, is_noise: bool = False) -> Frame:
    """The guide's 600 sessions with their history; ``is_noise``: the durations belong to other sessions."""
    frame = simulated_log(seed=seed)
    if is_noise:
        hours = np.random.default_rng(seed).permutation(frame["actual_duration"])
        frame = frame.with_columns(actual_duration=hours)
    ended = frame["session_date"].astype(np.int64) + (frame["actual_duration"].astype(np.float64) * _HOUR).astype(int)
    return history_from_log(frame, ended)


def recipe(name: str, architecture: str = "ensemble", **changes: Any) -> Recipe:
    """A recipe with hyperparameters changed."""
    return with_hyperparameters(replace(RECIPES[name], architecture=architecture), Hyperparameters(**changes))


def diagnosed(frame: Frame, given: Recipe) -> tuple[Finding, ...]:
    """Train on the older four fifths, predict the rest, and diagnose."""
    newest = np.arange(len(frame)) >= round(0.8 * len(frame))
    fitted = fit_recipe(frame.take(~newest), given)
    predicted = np.concatenate([fitted.out_of_fold, predict_hours(fitted, frame.take(newest))])
    return diagnose_training(
        frame, newest, predicted, encoder=fitted.encoder, recipe=asdict(given), curves=fitted.curves
    )


def warnings(found: tuple[Finding, ...]) -> dict[str, Finding]:
    """The warnings by kind."""
    return {each.kind: each for each in found if each.severity == "warning"}
