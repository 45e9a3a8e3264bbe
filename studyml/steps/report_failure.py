"""Tell the on-call engineer that a task failed for good."""

import logging
from datetime import datetime

from studyml.alerting.incidents import TASK_FAILED, add_event, open_incident
from studyml.alerting.message import failure_message
from studyml.alerting.outbox import deliver, send
from studyml.errors import DatabaseError, SchemaError
from studyml.settings import Settings
from studyml.steps.opening import own_database

_logger = logging.getLogger("studyml")


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
    """Open the incident of a failed task (one message while it is open) and deliver it.

    Where our database is the failure, the message goes out directly: there is no outbox to keep it.
    """
    subject, body = failure_message(
        dag_id=dag_id,
        task_id=task_id,
        dag_run_id=dag_run_id,
        as_of=as_of,
        error=error,
        runbook_url=settings.runbook_url,
        airflow_url=settings.airflow_url,
    )
    try:
        with own_database(settings) as connection:
            incident_id, is_new = open_incident(
                connection,
                kind=TASK_FAILED,
                severity="page",
                title=subject.removeprefix("studyml: "),
                model_version=None,
                figures={"dag_id": dag_id, "task_id": task_id, "dag_run_id": dag_run_id, "error": error},
                as_of=as_of,
                now=now,
            )
            event = "opened" if is_new else "updated"
            message = (subject, body) if is_new else (None, None)
            add_event(
                connection,
                incident_id,
                event=event,
                as_of=as_of,
                now=now,
                actor="studyml",
                note=error,
                subject=message[0],
                body=message[1],
            )
            connection.commit()
            deliver(connection, settings.alert_addresses, now=now)
    except (DatabaseError, SchemaError) as unreachable:
        _logger.error("%s The message goes out without the outbox.", unreachable)
        for address in settings.alert_addresses:
            send(address, subject, body)
