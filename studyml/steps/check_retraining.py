"""Decide whether a retraining is due, by the count of new labels, a degradation, or a person's word."""

import logging
from datetime import datetime, timedelta
from typing import TypeGuard

from studyml.alerting.incidents import DEGRADED, Incident, back_since, degraded_without_retraining, open_of_kind
from studyml.database.connection import Connection, advisory_lock
from studyml.database.nights import is_replay
from studyml.database.quarantine import record_quarantined
from studyml.monitoring.ledger import new_labels, training_labels
from studyml.registry.approvals import waiting
from studyml.registry.retraining import (
    abandon_undecided,
    breaker_open,
    consumed_through,
    newest_in_a_row,
    newest_undecided,
    open_run,
    undecided_run,
)
from studyml.registry.trials import challenger
from studyml.registry.versions import Version, champion, reject
from studyml.settings import Settings
from studyml.steps.opening import own_database
from studyml.steps.recipients import redacted
from studyml.steps.training_data import read_training_data, too_few_since

_logger = logging.getLogger("studyml")

#: A retraining that has not been decided for so long was killed.
ABANDONED_AFTER = timedelta(hours=12)


def check_retraining(
    settings: Settings,
    *,
    as_of: datetime,
    now: datetime,
    reason: str | None = None,
    force: bool = False,
    dag_run_id: str | None = None,
) -> int | None:
    """Open a retraining run and return its id, or record why none is due and return None.

    ``reason`` is a person's note. Due without a champion, with ``force``, once for a degradation, and with enough new
    labels unless a version is on trial or waits for approval; never in a replay, nor while there are fewer labels since
    ``training_from`` than it takes, but for a first one.
    """
    with own_database(settings) as connection, advisory_lock(connection, "check_retraining"):
        begun = undecided_run(connection, as_of=as_of, dag_run_id=dag_run_id)
        if begun is not None and (dag_run_id is not None or now - begun.started_at < ABANDONED_AFTER):
            _logger.info("retraining %d is under way", begun.id)
            return begun.id
        for version in abandon_undecided(connection, now=now, started_before=now - ABANDONED_AFTER):
            reject(connection, version)
        consumed = consumed_through(connection)
        count, newest = new_labels(connection, consumed_through=consumed, as_of=as_of)
        if count >= settings.retrain_min_labels and not is_replay(connection, as_of):
            count -= _refused(settings, connection, as_of, consumed, newest)
        incident = degraded_without_retraining(connection)
        cause, note = _due(connection, settings, as_of, count, incident, force)
        cause, note = _unless_held_up(connection, settings, as_of, cause, note, force)
        run_id = open_run(
            connection,
            as_of=as_of,
            now=now,
            reason=cause,
            new_labels=count,
            labels_needed=settings.retrain_min_labels,
            newest_outcome_id=newest,
            incident_id=incident.id if cause and incident else None,
            note=f"{note}; {redacted(settings, reason)}" if reason else note,
            dag_run_id=dag_run_id,
        )
        connection.commit()
    _logger.info("retraining %s: %s", "due" if cause else "skipped", note)
    return run_id if cause else None


def _due(
    connection: Connection, settings: Settings, as_of: datetime, count: int, incident: Incident | None, force: bool
) -> tuple[str | None, str]:
    needed = settings.retrain_min_labels
    counted = f"{count} new labels, {needed} needed"
    if is_replay(connection, as_of):
        return None, f"a replay never retrains ({counted})"
    if champion(connection) is None:
        return "first", f"no version serves yet ({counted})"
    if force:
        return "forced", f"asked for by a person ({counted})"
    if incident is not None:
        return "degraded", f"incident {incident.id}: {incident.title} ({counted})"
    return ("new_labels" if count >= needed else None), counted


def _unless_held_up(
    connection: Connection, settings: Settings, as_of: datetime, cause: str | None, note: str, force: bool
) -> tuple[str | None, str]:
    """The cause, or None with what stands against it; nothing does against a first version."""
    if cause == "new_labels":
        cause, note = _unless_under_way(connection, cause, note)
    if cause not in (None, "first") and not force:
        cause, note = _unless_stopped(connection, settings, as_of, cause, note)
    if cause not in (None, "first"):
        # No try is made meanwhile, and no label used up.
        too_few = too_few_since(settings, connection, as_of)
        cause, note = (cause, note) if too_few is None else (None, f"{note}; {too_few}")
    begun = newest_undecided(connection)
    if cause is None and begun is not None:
        since = f"the retraining begun at {begun.started_at:%Y-%m-%d %H:%M} UTC"
        note = f"{note}; {since} runs, or was killed: then studyml retrain --force begins another"
    return cause, note


def _unless_under_way(connection: Connection, cause: str, note: str) -> tuple[str | None, str]:
    """New labels alone do not bring another candidate while one is on trial or waits: no trial would ever end.

    Nor while another retraining is not decided, which may be using them. They are not used up, so the retraining is due
    as soon as that one is decided. A candidate from before a degradation knows nothing of it, and holds up nothing.
    """
    if newest_undecided(connection) is not None:
        return None, note
    degraded = open_of_kind(connection, DEGRADED)
    since = None if degraded is None else back_since(connection, degraded.id) or degraded.opened_as_of

    def holds_up(version: Version | None) -> TypeGuard[Version]:
        return version is not None and (since is None or version.as_of >= since)

    if holds_up(tried := challenger(connection)):
        return None, f"{note}; they wait until the trial of {tried.version} is decided"
    if holds_up(waits := waiting(connection)):
        return None, f"{note}; they wait until {waits.version} is approved or rejected"
    return cause, note


def _unless_stopped(
    connection: Connection, settings: Settings, as_of: datetime, cause: str, note: str
) -> tuple[str | None, str]:
    """The breaker: after so many failures in a row, the same data are not tried again.

    It closes with as many labels, new since the last try, as make a retraining due, or by ``--force``.
    """
    tries = newest_in_a_row(connection)
    if not breaker_open(tries, settings.retraining_failures):
        return cause, note
    since, _ = new_labels(connection, consumed_through=tries[0].consumed_through or 0, as_of=as_of)
    if since >= settings.retrain_min_labels:
        return cause, note
    return None, (
        f"{settings.retraining_failures} retrainings failed in a row, and only {since} labels are new since the last"
        f" ({settings.retrain_min_labels} needed): see the incident, or retrain with --force"
    )


def _refused(settings: Settings, connection: Connection, as_of: datetime, consumed: int, newest: int) -> int:
    """How many of the new labels training would refuse for their features or keys: nothing is learned from them."""
    refused = read_training_data(settings, connection, as_of=as_of, through_outcome_id=newest, history=False).refused
    record_quarantined(connection, refused, as_of)
    used_up, _ = training_labels(connection, through_outcome_id=consumed)
    return len({int(row.row_id) for row in refused}.difference(used_up.tolist()))
