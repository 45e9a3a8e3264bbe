"""Search hyperparameters: one row and one task per trial, all judged on the same newest training rows.

The holdout is left out of every trial, so that a found configuration can still be judged honestly; it enters use
only through settings, a training and the gates.
"""

import itertools
import logging
import time
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import numpy as np

from studyml.database.connection import Connection
from studyml.database.trials import find_trial, list_trials, plan_rows, record_result
from studyml.errors import RegistryError, StudymlError, TrainingError
from studyml.evaluation.holdout import newest_rows
from studyml.evaluation.metrics import mean_absolute_error, root_mean_squared_error
from studyml.features.encoder import fit_encoder
from studyml.model import network
from studyml.model.recipe import Recipe
from studyml.monitoring.ledger import new_labels
from studyml.settings import Settings
from studyml.steps.opening import own_database
from studyml.steps.training_data import LABEL, read_training_data

_logger = logging.getLogger("studyml")

#: The guide's grid (guide.md, Hyperparameter Tuning), on the network that is deployed: its layers scaled by width.
GRID = {"neurons": (32, 64, 128), "dropout": (0.1, 0.2, 0.3), "learning_rate": (0.001, 0.01, 0.1)}
_VALIDATION_FRACTION = 0.25


def plan_trials(
    settings: Settings, *, as_of: datetime, now: datetime, trials: int | None = None, seed: int = 42
) -> list[dict[str, Any]]:
    """Record a new search, the whole grid or ``trials`` of it drawn by ``seed``; return search and trial ids."""
    grid = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
    if trials is not None and trials < len(grid):
        chosen = np.random.default_rng(seed).choice(len(grid), size=max(trials, 1), replace=False)
        grid = [grid[position] for position in sorted(chosen.tolist())]
    with own_database(settings) as connection:
        search_id = f"search_{now:%Y%m%d_%H%M%S_%f}"
        ids = plan_rows(connection, search_id, grid, as_of=as_of, seed=seed)
        connection.commit()
    _logger.info("%d trials planned", len(ids))
    return [{"search_id": search_id, "trial_id": trial_id} for trial_id in ids]


def run_trial(settings: Settings, *, trial_id: int) -> dict[str, Any]:
    """Train one configuration and store how it measured, in hours; a finished trial is not run again."""
    with own_database(settings) as connection:
        trial = find_trial(connection, trial_id)
        if trial.status == "done":
            return {"trial_id": trial_id, "validation_mae": trial.validation_mae}
        started = time.monotonic()
        try:
            mae, rmse, epochs = _measure(settings, connection, trial.as_of, trial.parameters, trial.seed)
        except StudymlError as error:
            record_result(connection, trial_id, error=str(error))
            connection.commit()
            raise
        seconds = time.monotonic() - started
        record_result(connection, trial_id, mae=mae, rmse=rmse, epochs=epochs, seconds=seconds)
        connection.commit()
    _logger.info("trial %d %s: MAE %.3f h after %d epochs", trial_id, trial.parameters, mae, epochs)
    return {"trial_id": trial_id, "validation_mae": mae}


def _measure(
    settings: Settings, connection: Connection, as_of: datetime, parameters: dict[str, Any], seed: int
) -> tuple[float, float, int]:
    _, newest = new_labels(connection, consumed_through=0, as_of=as_of)
    frame = read_training_data(settings, connection, as_of=as_of, through_outcome_id=newest).frame
    connection.commit()  # no transaction stays open while a network trains
    if len(frame) < settings.retrain_min_labels:
        raise TrainingError(
            f"{len(frame)} labelled sessions are too few to tune on: {settings.retrain_min_labels} are needed."
        )
    dates, ids = frame["session_date"].astype(np.int64), frame["id"].astype(np.int64)
    seen = frame.take(~newest_rows(dates, ids, settings.holdout_fraction))
    judged = newest_rows(seen["session_date"].astype(np.int64), seen["id"].astype(np.int64), _VALIDATION_FRACTION)
    fitting, judging = seen.take(~judged), seen.take(judged)
    encoder = fit_encoder(fitting)
    trained = network.train(
        encoder.encode(fitting), fitting[LABEL].astype(np.float64), _recipe(settings, parameters, seed)
    )
    predicted = network.predict(trained, encoder.encode(judging))
    actual = judging[LABEL].astype(np.float64)
    if not np.isfinite(predicted).all():
        raise TrainingError(f"the network of {parameters} does not converge: its predictions are not numbers.")
    return mean_absolute_error(actual, predicted), root_mean_squared_error(actual, predicted), trained.epochs


def _recipe(settings: Settings, parameters: dict[str, Any], seed: int) -> Recipe:
    guide = Recipe(settings.architecture, epochs=settings.epochs, batch_size=settings.batch_size, seed=seed)
    widest = int(parameters["neurons"])
    layers = tuple(max(4, units * widest // guide.layers[0]) for units in guide.layers)
    dropouts = (*(float(parameters["dropout"]) for _ in guide.layers[:-1]), 0.0)
    return replace(guide, layers=layers, dropouts=dropouts, learning_rate=float(parameters["learning_rate"]))


def choose_best(settings: Settings, *, search_id: str) -> dict[str, Any]:
    """The trial of a search with the lowest validation MAE; raises RegistryError where none succeeded."""
    with own_database(settings) as connection:
        trials = [trial for trial in list_trials(connection, search_id) if trial.validation_mae is not None]
    if not trials:
        raise RegistryError("no trial of this search succeeded: see the errors in studyml.tuning_trials.")
    best = min(trials, key=lambda trial: trial.validation_mae or 0.0)
    _logger.info("best of %d trials: %s, MAE %.3f h", len(trials), best.parameters, best.validation_mae)
    return asdict(best) | {"as_of": best.as_of.isoformat()}
