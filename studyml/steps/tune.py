"""Search hyperparameters of the network that is deployed: one row and one task per trial, a proposal at the end.

Every trial is judged by its error out of fold, on the same student-grouped folds; the holdout, which the gates need
untouched, is left out of every one. A found configuration enters use only through settings, a training and the gates.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np

from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS
from studyml.database.connection import Connection, advisory_lock
from studyml.database.trials import (
    Search,
    Trial,
    find_trial,
    list_trials,
    plan_rows,
    put_back,
    record_done,
    record_failed,
    start_trial,
)
from studyml.errors import RegistryError, TrainingError
from studyml.evaluation.metrics import mean_absolute_error, root_mean_squared_error
from studyml.evaluation.proposal import Measured, Proposal, propose
from studyml.features.definition import FEATURES
from studyml.frame import Frame
from studyml.hyperparameters import WITHOUT_EFFECT
from studyml.model.recipe import Recipe
from studyml.model.search_space import configurations
from studyml.monitoring.ledger import new_labels
from studyml.settings import Settings
from studyml.steps.fit_recipe import fit_recipe
from studyml.steps.newest_level import split_rows, with_newest_level
from studyml.steps.opening import own_database
from studyml.steps.training_data import LABEL, read_training_data
from studyml.steps.tuned_recipe import tuned_names, tuned_recipe

_logger = logging.getLogger("studyml")

#: Folds of a trial: the guide's cv=3.
FOLDS = 3
#: A trial whose process was killed this often has failed: the search goes on without it.
MOST_ATTEMPTS = 3

Tell = Callable[[str], None]


def _log(line: str) -> None:
    _logger.info("%s", line)


def plan_trials(
    settings: Settings,
    *,
    as_of: datetime,
    strategy: str = "grid",
    trials: int | None = None,
    seed: int = 42,
    architecture: str | None = None,
    recipe: str | None = None,
) -> list[dict[str, Any]]:
    """Record a search, and return the search's and the trials' ids; the current setting is trial 0.

    The same search again (the same rows, recipe, strategy and seed) finds the trials that it has, so that what is
    done stays done; more trials are added to it. ``architecture`` and ``recipe`` default to what is deployed.
    """
    with own_database(settings) as connection:
        names = tuned_names(settings, connection, architecture, recipe)
        without = WITHOUT_EFFECT.get(names[0], frozenset())
        numbered = {0: {}, **configurations(strategy, trials, seed, without=without)}
        base = tuned_recipe(settings, *names, {}, seed=seed)
        seen, newest = _rows(settings, connection, as_of, base)
        search = Search(_search_id(seen, newest, base, strategy), as_of, *names, strategy, seed)
        ids = plan_rows(connection, search, numbered)
        connection.commit()
        finished = sum(each.is_finished for each in list_trials(connection, search.id) if each.id in ids)
    _logger.info(
        "%s: %d trials of %s (%s) on %d sessions, %d of them finished before",
        *(search.id, len(ids), *names, len(seen), finished),
    )
    return [{"search_id": search.id, "trial_id": trial_id} for trial_id in ids]


def _rows(settings: Settings, connection: Connection, as_of: datetime, base: Recipe) -> tuple[Frame, int]:
    """The labelled sessions but the holdout, and the newest outcome among them. Ends the transaction."""
    _, newest = new_labels(connection, consumed_through=0, as_of=as_of)
    sequences = base.architecture == "lstm"
    frame = read_training_data(settings, connection, as_of=as_of, through_outcome_id=newest, sequences=sequences).frame
    connection.commit()  # no transaction stays open while a network trains
    if len(frame) < settings.retrain_min_labels:
        since = "" if settings.training_from is None else f" since {settings.training_from}"
        raise TrainingError(
            f"{len(frame)} labelled sessions{since} are too few to tune on: {settings.retrain_min_labels} are needed."
        )
    split = split_rows(frame, holdout_fraction=settings.holdout_fraction, follow=settings.level_changes == "follow")
    return with_newest_level(frame, split.changes).take(~split.held), newest


def _search_id(frame: Frame, newest: int, base: Recipe, strategy: str) -> str:
    """A name that the same rows, recipe (its seed among it) and strategy give again.

    Only what was read counts: what is computed from it may differ in the last digit from machine to machine.
    """
    digest = hashlib.sha256(json.dumps([newest, strategy, FOLDS, asdict(base)], sort_keys=True).encode())
    for name in ("id", "student_id", "topic_id", "session_date", *FEATURES, LABEL):
        digest.update(name.encode())
        values = frame[name]
        if name in frame.vocabularies:
            # A code is no identity: it changes when the source knows one category more. The last two are -2 and -1.
            levels = [*frame.vocabularies[name], "\x00unseen", "\x00missing"]
            digest.update("\x1f".join(levels[code] for code in values.tolist()).encode())
        else:
            digest.update(np.ascontiguousarray(values).tobytes())
    return f"{base.architecture}_{base.name}_{strategy}_{digest.hexdigest()[:12]}"


def run_trial(settings: Settings, *, trial_id: int, tell: Tell = _log) -> dict[str, Any]:
    """Train one configuration on every fold and store how it measured, in hours; a finished trial is not run again.

    One that does not converge is a failed trial with its reason, not an error. Raises RegistryError where the rows or
    the settings are no longer those of the search.
    """
    with own_database(settings) as connection, advisory_lock(connection, f"tuning trial {trial_id}"):
        trial = find_trial(connection, trial_id)
        if not trial.is_finished:
            _run(settings, connection, trial)
            trial = find_trial(connection, trial_id)
    words = f"trial {trial.number}, {_words(trial.parameters)}"
    if trial.status == "failed":
        tell(f"{words}: failed, {trial.error}")
    else:
        tell(f"{words}: {trial.validation_mae:.3f} h after {trial.epochs} epochs")
    return {"trial_id": trial_id, "status": trial.status, "validation_mae": trial.validation_mae}


def _run(settings: Settings, connection: Connection, trial: Trial) -> None:
    if trial.attempts >= MOST_ATTEMPTS:
        reason = f"its process was killed in {trial.attempts} attempts: it may need more memory than there is."
        record_failed(connection, trial.id, reason, seconds=None)
        connection.commit()
        return
    search = trial.search
    base, wanted = (
        tuned_recipe(settings, search.architecture, search.recipe, parameters, seed=search.seed)
        for parameters in ({}, trial.parameters)
    )
    seen, newest = _rows(settings, connection, search.as_of, base)
    if _search_id(seen, newest, base, search.strategy) != search.id:
        raise RegistryError(
            f"the sessions or the settings of a training are no longer those that {search.id} was planned with:"
            " start the search again."
        )
    start_trial(connection, trial.id)
    connection.commit()
    started = time.monotonic()
    try:
        measured = _measure(seen, wanted)
    except KeyboardInterrupt:
        put_back(connection, trial.id)
        connection.commit()
        raise
    except TrainingError as error:
        record_failed(connection, trial.id, str(error), seconds=time.monotonic() - started)
    else:
        record_done(connection, trial.id, **measured, seconds=time.monotonic() - started)
    connection.commit()


def _measure(seen: Frame, recipe: Recipe) -> dict[str, Any]:
    fitted = fit_recipe(seen, recipe, folds=FOLDS)
    if not np.isfinite(fitted.out_of_fold).all():
        raise TrainingError("the network does not converge: its predictions are not numbers.")
    actual = seen[LABEL].astype(np.float64)
    predicted = np.clip(fitted.out_of_fold, MINIMUM_HOURS, MAXIMUM_HOURS)
    by_fold = [
        mean_absolute_error(actual[fitted.folds == fold], predicted[fitted.folds == fold])
        for fold in np.unique(fitted.folds)
    ]
    return {
        "mae": float(np.mean(by_fold)),
        "rmse": root_mean_squared_error(actual, predicted),
        "fold_maes": by_fold,
        "epochs": max(len(each["loss"]) for each in fitted.curves["members"]),
    }


def choose_best(settings: Settings, *, search_id: str, tell: Tell = _log) -> dict[str, Any]:
    """What to do after a search, as JSON: the proposal, its table, and the line that sets it.

    Raises RegistryError where no trial succeeded.
    """
    with own_database(settings) as connection:
        trials = list_trials(connection, search_id)
    measured = [
        Measured(each.number, each.parameters, each.validation_mae, each.fold_maes)
        for each in trials
        if each.validation_mae is not None
    ]
    if not measured:
        raise RegistryError("no trial of this search succeeded: see the errors in studyml.tuning_trials.")
    proposal = propose(measured)
    counts = {status: sum(each.status == status for each in trials) for status in ("done", "failed")}
    line = None if proposal.best.is_current else _line(settings, trials[0].search, proposal.best.parameters)
    _tell(proposal, line, tell)
    return {
        "search_id": search_id,
        "trials": len(trials),
        **counts,
        "table": [_row(each) for each in proposal.table],
        "current": None if proposal.current is None else _row(proposal.current),
        "gain_hours": proposal.gain,
        "standard_error_hours": proposal.standard_error,
        "is_worth_it": proposal.is_worth_it,
        "sentence": proposal.sentence,
        "line": line,
    }


def _row(each: Measured) -> dict[str, Any]:
    return {
        "trial": each.number,
        "parameters": dict(each.parameters),
        "mae": each.mae,
        "deviation": each.deviation,
        "fold_maes": list(each.fold_maes),
    }


def _line(settings: Settings, search: Search, parameters: Mapping[str, Any]) -> str:
    """The line that sets a configuration, with what is set already, for the network that it was found for."""
    hyperparameters = json.dumps({**settings.hyperparameters.model_dump(exclude_none=True), **parameters})
    chosen = {"STUDYML_ARCHITECTURE": search.architecture, "STUDYML_RECIPE": search.recipe}
    configured = {"STUDYML_ARCHITECTURE": settings.architecture, "STUDYML_RECIPE": settings.recipe}
    words = [f"{name}={value}" for name, value in chosen.items() if value != configured[name]]
    return " ".join([*words, f"STUDYML_HYPERPARAMETERS='{hyperparameters}'"])


def _tell(proposal: Proposal, line: str | None, tell: Tell) -> None:
    for each in proposal.table:
        tell(f"{each.mae:.3f} ± {each.deviation:.3f} h  {_words(each.parameters)}")
    tell(proposal.sentence)
    if line is not None and proposal.is_worth_it:
        tell(f"to use it, set this, then train: {line}")
        if "STUDYML_RECIPE=" in line or "STUDYML_ARCHITECTURE=" in line:
            tell("it was found for this network alone: what is auto now, a choice among several, ends with it")


def _words(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in parameters.items()) or "current"
