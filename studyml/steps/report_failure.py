"""Tell the on-call engineer that a task failed for good."""

import logging
from datetime import datetime, timedelta
from functools import partial

from studyml.alerting.incidents import CONTRACT_BROKEN, PAGE, TASK_FAILED, Incident, list_events, open_of_kind
from studyml.alerting.lifecycle import Moment, Problem, report_problem
from studyml.alerting.message import Links, Message
from studyml.alerting.messages import failure_message
from studyml.alerting.outbox import deliver
from studyml.database.connection import Connection, advisory_lock
from studyml.database.nights import is_replay
from studyml.errors import DatabaseError, SchemaError
from studyml.settings import Settings
from studyml.steps.end_failures import ENDED
from studyml.steps.opening import own_database
from studyml.steps.recipients import recipients, redacted, secrets
from studyml.steps.tell_directly import tell_directly

_logger = logging.getLogger("studyml")

#: DAGs whose as_of is a night, so that an old one means a replay, which pages nobody.
_NIGHTS = ("studyml_nightly", "studyml_score")
#: Runs every few minutes: without an outbox, which knows what was told, its failures would page as often.
DELIVERY_DAG = "studyml_alerts"
_LOCK_SECONDS = 60
#: What follows the error in a message is what to do: a long one would push it out of sight, or past a service's limit.
_ERROR_LENGTH = 1500
#: More of it is not even looked through for what nobody may read: that takes time.
_MASKED_LENGTH = 20_000


def report_failure(
    settings: Settings,
    *,
    dag_id: str,
    task_id: str,
    dag_run_id: str,
    as_of: datetime,
    error: str,
    now: datetime,
    source_broken: bool = False,
) -> None:
    """Open the incident of failed tasks, or add to it, and send one message for each task while it is open.

    Tasks of one run that fail with the same error have one cause, and one message.

    With ``source_broken`` the study app's tables are why: that is a broken data contract.

    Where our database is the failure, the message goes out directly, one for a run: there is no outbox to keep it. Only
    the DAG that delivers messages then writes to its log alone: the night, the commands and the heartbeat tell of the
    database.
    """
    error, dag_run_id = _short(redacted(settings, error[:_MASKED_LENGTH])), redacted(settings, dag_run_id)
    links = Links(settings.runbook_url, settings.airflow_url)
    kind = CONTRACT_BROKEN if source_broken else TASK_FAILED
    describe = partial(
        failure_message, dag_id=dag_id, task_id=task_id, dag_run_id=dag_run_id, as_of=as_of, error=error, kind=kind
    )
    recorded = False
    try:
        with own_database(settings) as connection:
            if dag_id in _NIGHTS and is_replay(connection, as_of):
                _logger.info("a failed replay pages nobody")
                return
            with advisory_lock(connection, "watch", wait_seconds=_LOCK_SECONDS):
                _record(
                    settings, connection, kind, f"{dag_id}.{task_id}", describe(links=links), Moment(as_of, now), error
                )
            recorded = True
            deliver(connection, recipients(settings), now=now, secrets=secrets(settings))
    except (DatabaseError, SchemaError) as unreachable:
        _logger.error("%s", redacted(settings, str(unreachable)))
        if not recorded and dag_id != DELIVERY_DAG:
            run = f"{dag_id} {dag_run_id} {as_of.isoformat()}"
            tell_directly(settings, describe(links=links, recorded=False), run=run, now=now)


def _record(
    settings: Settings, connection: Connection, kind: str, task: str, message: Message, at: Moment, error: str
) -> None:
    present = open_of_kind(connection, kind)
    told = present is not None and task in present.figures
    known = told or (present is not None and _is_cause_known(connection, present, task, error, at))
    problem = Problem(
        kind,
        PAGE,
        lambda _: message,
        # Only what was told: the task's own message comes once it fails with another error.
        figures={} if known and not told else {task: error},
        note=f"{task}: {error}",
        repeats=True,
        another=not known,
    )
    report_problem(connection, problem, at, cool_off=timedelta(days=settings.incident_cool_off_days))
    connection.commit()


def _is_cause_known(connection: Connection, incident: Incident, task: str, error: str, at: Moment) -> bool:
    """Whether a message told of this error already, and it met this task before or another one of the same DAG's run.

    The run is known by its DAG and night. Only what happened since the incident was opened or reopened counts, and
    since any of its tasks has succeeded.
    """
    events = list_events(connection, incident.id)
    begun = max(
        event.id for event in events if event.event in ("opened", "reopened") or (event.note or "").startswith(ENDED)
    )
    # A silence puts words before a note.
    same = [event for event in events if event.id >= begun and (event.note or "").endswith(f": {error}")]
    if not any(event.message_body for event in same):
        return False
    dag = task.split(".")[0]
    return any(
        f"{task}: " in str(event.note) or (event.as_of == at.as_of and f"{dag}." in str(event.note)) for event in same
    )


def _short(error: str) -> str:
    return error if len(error) <= _ERROR_LENGTH else error[:_ERROR_LENGTH].rstrip() + " … (more in the task's log)"
