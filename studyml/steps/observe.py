"""Observe which labels arrived, changed or went away since the last night, each once."""

import logging
from datetime import datetime, timedelta

import numpy as np

from studyml.contract import LABEL_FUTURE_HOURS, column, impossible_reason
from studyml.database.connection import advisory_lock
from studyml.database.nights import is_replay
from studyml.database.quarantine import QuarantinedRow, record_quarantined
from studyml.database.source import read_labels
from studyml.features.definition import impossible
from studyml.frame import NULL_INTEGER, Frame, to_microseconds
from studyml.monitoring.ledger import find_changes, newest_observation, record_changes, recorded_outcomes
from studyml.settings import Settings
from studyml.steps.opening import own_database, read_source, refuse_future
from studyml.steps.update_history import update_history

_logger = logging.getLogger("studyml")


def observe(settings: Settings, *, as_of: datetime, now: datetime, compare_all: bool = False) -> dict[str, int | bool]:
    """Record new, corrected and removed labels of sessions dated up to ``as_of``, and continue the histories.

    A replay records nothing, and neither does a night older than the newest observation: the ledger only grows
    forward, so that what a later night has seen is not taken for removed.

    Corrections are looked for among the last ``correction_window_days``, with ``compare_all`` among all sessions.
    Returns the counts of new, corrected, removed and quarantined labels.
    """
    refuse_future(as_of, now)
    with own_database(settings) as connection, advisory_lock(connection, "observe"):
        newest = newest_observation(connection)
        if is_replay(connection, as_of) or (newest is not None and as_of < newest):
            _logger.info("nothing to observe: the ledger already says what was known at %s", as_of.isoformat())
            return {"new": 0, "corrected": 0, "removed": 0, "quarantined": 0, "replay": True}
        future = now + timedelta(hours=LABEL_FUTURE_HOURS)
        labels = read_source(
            settings,
            lambda source: read_labels(source, settings.source_schema, through=as_of, impossible_after=future),
        )
        usable, refused = _refuse_impossible(labels, future)
        since = None if compare_all else as_of - timedelta(days=settings.correction_window_days)
        changes = find_changes(usable, recorded_outcomes(connection), correction_from=since)
        record_changes(
            connection,
            changes,
            as_of=as_of,
            now=now,
            horizon_days=settings.scoring_horizon_days,
        )
        record_quarantined(connection, refused, as_of)
        update_history(settings, connection)
        connection.commit()
    counts: dict[str, int | bool] = {
        "new": sum(change.first for change in changes),
        "corrected": sum(not change.first and change.hours is not None for change in changes),
        "removed": sum(change.hours is None for change in changes),
        "quarantined": len(refused),
        "replay": False,
    }
    _logger.info(
        "observed %(new)d new labels, %(corrected)d corrected, %(removed)d removed, %(quarantined)d refused", counts
    )
    return counts


def _refuse_impossible(labels: Frame, impossible_after: datetime) -> tuple[Frame, list[QuarantinedRow]]:
    spec = column("study_sessions", "actual_duration")
    hours, dates = labels["actual_duration"].astype(np.float64), labels["session_date"].astype(np.int64)
    wrong = impossible(spec, hours)
    future = dates > to_microseconds(impossible_after)
    undated = dates == NULL_INTEGER
    unusable = ~np.isnan(hours) & (wrong | future | undated)
    refused = []
    for row in np.flatnonzero(unusable):
        if wrong[row]:
            name, reason = spec.name, impossible_reason(spec, float(hours[row]))
        elif undated[row]:
            name, reason = "session_date", "session_date is missing or impossible"
        else:
            name, reason = spec.name, "actual_duration is given for a session more than 24 h in the future"
        refused.append(QuarantinedRow("study_sessions", str(labels["id"][row]), name, reason))
    return labels.with_columns(actual_duration=np.where(unusable, np.nan, hours)), refused
