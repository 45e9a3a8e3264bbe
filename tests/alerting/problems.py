"""Problems that are reported and are over, and what incidents and messages they leave."""

from datetime import timedelta
from typing import Any

from studyml.alerting import incidents, lifecycle, silences
from studyml.alerting.incidents import DEGRADED, PAGE, Incident
from studyml.alerting.lifecycle import Moment, Problem
from studyml.alerting.message import Message
from studyml.database.connection import Connection
from tests.conftest import END

COOL_OFF = timedelta(days=3)


def at(night: float, hours: float = 0) -> Moment:
    moment = END + timedelta(days=night)
    return Moment(moment, moment + timedelta(hours=1 + hours))


def report(
    connection: Connection,
    night: float = 0,
    severity: str = PAGE,
    kind: str = DEGRADED,
    note: str | None = None,
    title: str = "it is bad",
    version: str | None = None,
    **figures: Any,
) -> str:
    def message(incident_id: int) -> Message:
        return Message(f"{title} ({severity})", f"incident {incident_id}")

    problem = Problem(kind, severity, message, model_version=version, figures=figures, note=note)
    return lifecycle.report_problem(connection, problem, at(night), cool_off=COOL_OFF)


def recover(connection: Connection, night: float = 0) -> Incident | None:
    return lifecycle.report_recovery(
        connection, DEGRADED, lambda incident: Message("it is over", f"{incident.id}"), at(night), note="healthy"
    )


def messages(connection: Connection) -> list[tuple[str, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT event, severity, message_subject FROM studyml.incident_events"
            " WHERE message_body IS NOT NULL AND NOT held_back"
            " ORDER BY id"
        )
        return cursor.fetchall()


def events(connection: Connection) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT event FROM studyml.incident_events ORDER BY id")
        return [event for (event,) in cursor.fetchall()]


def only(connection: Connection) -> Incident:
    [found] = incidents.list_incidents(connection, only_open=False)
    return found


def escalate(connection: Connection, hours: float) -> list[int]:
    return lifecycle.escalate(
        connection, at(0, hours), after=timedelta(hours=4), message=lambda each: Message(f"nobody: {each.id}", "x")
    )


def silence(connection: Connection, first_night: float, last_night: float, kind: str = DEGRADED) -> None:
    silences.add_silence(
        connection, kind, starts_at=at(first_night).now, ends_at=at(last_night).now, actor="ann", note="exams"
    )
