"""Train the candidate of a retraining run and build its version aside, with every error of its holdout."""

import logging
from datetime import datetime
from functools import partial

import numpy as np

from studyml.database.connection import Connection, advisory_lock
from studyml.database.quarantine import record_quarantined
from studyml.errors import ArtifactError, TrainingError
from studyml.frame import to_datetime
from studyml.registry.retraining import CONSUMING, RetrainingRun, failure_recorded, find_run, set_version
from studyml.registry.store import is_taken
from studyml.registry.versions import champion, find, record_lineage, record_training, reserve
from studyml.settings import Settings
from studyml.steps.build_candidate import Built, build_candidate
from studyml.steps.opening import artifact_store, own_database
from studyml.steps.serving import ServedModel, open_version
from studyml.steps.training_data import TrainingData, read_training_data

_logger = logging.getLogger("studyml")


def train_candidate(settings: Settings, *, retraining_run_id: int, now: datetime) -> str | None:
    """Train and build the run's candidate; return its version, or None where labels are too few for a network.

    The candidate is judged by ``evaluate_candidate``; nothing serves it yet. Run again, it trains again under the
    same version. Raises ArtifactError where the champion that it would be held against is damaged.
    """
    with own_database(settings) as connection, advisory_lock(connection, f"retraining {retraining_run_id}"):
        run = find_run(connection, retraining_run_id)
        if run.decision in CONSUMING:
            return run.version
        with failure_recorded(connection, run.id, now):
            present = champion(connection)
            # What the candidate is to be held against must be whole: better known before a training than after.
            opened = None if present is None else open_version(settings, present)
            return _train(settings, connection, run, now, opened)


def _train(
    settings: Settings, connection: Connection, run: RetrainingRun, now: datetime, present: ServedModel | None
) -> str | None:
    data = _read(settings, connection, run, present)
    record_quarantined(connection, data.refused, run.as_of)
    connection.commit()
    rows = len(data.frame)
    _logger.info("%d labelled sessions to learn from, %d refused", rows, len(data.refused))
    if rows < settings.retrain_min_labels:
        _logger.info("fewer than %d: no network is trained, the fallback will do", settings.retrain_min_labels)
        return None
    version = _reserve(settings, connection, run, now)
    connection.commit()  # no transaction stays open while a network trains
    try:
        built = build_candidate(settings, run, version, data.frame, now)
    except TrainingError as error:
        _logger.warning("no network: %s", error)
    except OSError as error:
        raise ArtifactError(
            f"version {version} cannot be built in {artifact_store(settings).local} ({error.strerror or error}): check"
            " permissions and free space."
        ) from error
    else:
        _record(connection, version, built)
    return version


def _read(settings: Settings, connection: Connection, run: RetrainingRun, present: ServedModel | None) -> TrainingData:
    """The rows, with the sequences where the candidate or the champion that it is held against reads them."""
    return read_training_data(
        settings,
        connection,
        as_of=run.as_of,
        through_outcome_id=run.consumed_through or 0,
        sequences=settings.architecture == "lstm" or (present is not None and present.reads_sequences),
    )


def _reserve(settings: Settings, connection: Connection, run: RetrainingRun, now: datetime) -> str:
    if run.version is not None and find(connection, run.version).status == "candidate":
        return run.version
    version = reserve(
        connection,
        architecture=settings.architecture,
        recipe=settings.recipe,
        is_fallback=False,
        as_of=run.as_of,
        now=now,
        dag_run_id=run.dag_run_id,
        is_taken=partial(is_taken, artifact_store(settings)),
    )
    set_version(connection, run.id, version)
    return version


def _record(connection: Connection, version: str, built: Built) -> None:
    dates = built.frame["session_date"][~built.held]
    record_training(
        connection,
        version,
        training_from=to_datetime(int(dates[0])),
        training_through=to_datetime(int(dates[-1])),
        training_rows=int((~built.held).sum()),
        holdout_rows=int(built.held.sum()),
        metrics=built.metrics,
        architecture=built.recipe.architecture,
        recipe=built.recipe.name,
    )
    record_lineage(connection, version, built.lineage)
    connection.commit()
    mae = built.metrics.get("mae")
    _logger.info(
        "%s: MAE %s h on %d held-out sessions (median %.3f, estimate %.3f, log-linear %.3f)",
        version,
        "not finite" if mae is None or not np.isfinite(mae) else f"{mae:.3f}",
        *(built.metrics[name] for name in ("holdout_rows", "median_mae", "estimate_mae", "log_linear_mae")),
    )
