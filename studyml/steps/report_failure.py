"""Tell the on-call engineer that a task failed for good."""

import logging
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import unquote

from studyml.alerting.incidents import PAGE, TASK_FAILED, open_of_kind
from studyml.alerting.lifecycle import Moment, Problem, report_problem, send
from studyml.alerting.message import Links, Message
from studyml.alerting.messages import failure_message
from studyml.alerting.outbox import deliver
from studyml.alerting.outbox import send as send_directly
from studyml.database.connection import Connection, advisory_lock
from studyml.database.nights import is_replay
from studyml.errors import DatabaseError, SchemaError
from studyml.settings import Settings
from studyml.steps.opening import own_database

_logger = logging.getLogger("studyml")

#: DAGs whose as_of is a night, so that an old one means a replay, which pages nobody.
_NIGHTS = ("studyml_nightly", "studyml_score")
_LOCK_SECONDS = 60
#: Shorter parts of an address are words such as "services", not secrets.
_SECRET_LENGTH = 8


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

    Where our database is the failure, the message goes out directly: there is no outbox to keep it.
    """
    error = _without_secrets(settings, error)
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
                _record(settings, connection, f"{dag_id}.{task_id}", message, Moment(as_of, now), error)
            recorded = True
            deliver(connection, settings.alert_addresses, now=now)
    except (DatabaseError, SchemaError) as unreachable:
        _logger.error("%s", unreachable)
        if not recorded:
            _logger.error("The message about the failed task goes out without the outbox.")
            for address in settings.alert_addresses:
                send_directly(address, message.subject, message.body)


def _record(settings: Settings, connection: Connection, task: str, message: Message, at: Moment, error: str) -> None:
    present = open_of_kind(connection, TASK_FAILED)
    told = present is not None and task in present.figures
    note = f"{task}: {error}"
    problem = Problem(
        TASK_FAILED, PAGE, lambda _: message, figures={task: error}, note=note if told else None, repeats=True
    )
    event = report_problem(connection, problem, at, cool_off=timedelta(days=settings.incident_cool_off_days))
    if event == "updated" and present is not None and not told:
        send(connection, present.id, TASK_FAILED, PAGE, message, at, event="updated", note=note)
    connection.commit()


def _without_secrets(settings: Settings, text: str) -> str:
    """The text without what addresses hide: a library's own error may quote one."""
    for secret in sorted(set(_secrets(settings)), key=len, reverse=True):
        text = text.replace(secret, "…")
    return re.sub(r"://[^/\s@]+@", "://…@", text)


def _secrets(settings: Settings) -> Iterator[str]:
    for address in (settings.database, settings.source):
        yield from _password(address)
    for address in (*settings.alert_addresses, settings.heartbeat_url.get_secret_value()):
        yield from _password(address)
        parts = re.split(r"[/?&=]", address)
        yield from (part for part in parts if len(part) >= _SECRET_LENGTH and not re.search(r"[:.]|localhost", part))


def _password(address: str) -> Iterator[str]:
    found = re.search(r"://[^/\s:@]*:([^/\s@]+)@", address)
    if found:
        yield from (found[1], unquote(found[1]))
