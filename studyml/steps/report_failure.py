"""Tell the on-call engineer that a task failed for good."""

import logging
from datetime import datetime

from studyml.alerting.incidents import TASK_FAILED, add_event, open_incident, open_of_kind
from studyml.alerting.message import Links, failure_message
from studyml.alerting.messenger import send
from studyml.alerting.outbox import deliver
from studyml.database.connection import Connection, advisory_lock
from studyml.database.nights import is_replay
from studyml.errors import DatabaseError, SchemaError
from studyml.settings import Settings
from studyml.steps.opening import own_database
from studyml.steps.recipients import recipients, redacted, secrets

_logger = logging.getLogger("studyml")

#: DAGs whose as_of is a night, so that an old one means a replay, which pages nobody.
_NIGHTS = ("studyml_nightly", "studyml_score")
#: Runs every few minutes: without an outbox, which knows what was told, its failures would page as often.
DELIVERY_DAG = "studyml_alerts"
_LOCK_SECONDS = 60
#: What follows the error in a message is what to do: a long one would push it out of sight, or past a service's limit.
_ERROR_LENGTH = 1500


def report_failure(
    settings: Settings,
    *,
    dag_id: str,
    task_id: str,
    dag_run_id: str,
    as_of: datetime,
    error: str,
    now: datetime,
) -> None:
    """Open the incident of failed tasks, or add to it, and send one message for each task while it is open.

    Where our database is the failure, the message goes out directly: there is no outbox to keep it. Only the DAG that
    delivers messages then writes to its log alone: the night, the commands and the heartbeat tell of the database.
    """
    error, dag_run_id = _short(redacted(settings, error)), redacted(settings, dag_run_id)
    links = Links(settings.runbook_url, settings.airflow_url)
    message = failure_message(
        dag_id=dag_id, task_id=task_id, dag_run_id=dag_run_id, as_of=as_of, error=error, links=links
    )
    recorded = False
    try:
        with own_database(settings) as connection:
            if dag_id in _NIGHTS and is_replay(connection, as_of):
                _logger.info("a failed replay pages nobody")
                return
            with advisory_lock(connection, "report_failure", wait_seconds=_LOCK_SECONDS):
                _record(connection, f"{dag_id}.{task_id}", message, as_of, error, now)
            recorded = True
            deliver(connection, recipients(settings), now=now, secrets=secrets(settings))
    except (DatabaseError, SchemaError) as unreachable:
        _logger.error("%s", redacted(settings, str(unreachable)))
        if not recorded and dag_id != DELIVERY_DAG:
            _logger.error("The message about the failed task goes out without the outbox.")
            for address in settings.alert_addresses:
                send(address, *message)


def _record(
    connection: Connection, task: str, message: tuple[str, str], as_of: datetime, error: str, now: datetime
) -> None:
    present = open_of_kind(connection, TASK_FAILED)
    is_told = present is not None and task in present.figures
    incident_id, is_new = open_incident(
        connection,
        kind=TASK_FAILED,
        severity="page",
        title=message[0].removeprefix("studyml: "),
        model_version=None,
        figures={task: error},
        as_of=as_of,
        now=now,
    )
    add_event(
        connection,
        incident_id,
        event="opened" if is_new else "updated",
        as_of=as_of,
        now=now,
        actor="studyml",
        note=f"{task}: {error}",
        subject=None if is_told else message[0],
        body=None if is_told else message[1],
    )
    connection.commit()


def _short(error: str) -> str:
    return error if len(error) <= _ERROR_LENGTH else error[:_ERROR_LENGTH].rstrip() + " … (more in the task's log)"
