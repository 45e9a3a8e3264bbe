"""Incidents: one open per kind, with a log of events; a message is an event's text (tables ``incidents`` …)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extras import Json

from studyml.errors import RegistryError

DEGRADED, TASK_FAILED = "degraded", "task_failed"

_COLUMNS = (
    "id, kind, severity, status, title, model_version, opened_as_of, opened_at, updated_as_of, resolved_as_of, figures"
)


@dataclass(frozen=True)
class Incident:
    """One row of ``incidents``."""

    id: int
    kind: str
    severity: str
    status: str
    title: str
    model_version: str | None
    opened_as_of: datetime
    opened_at: datetime
    updated_as_of: datetime
    resolved_as_of: datetime | None
    figures: dict[str, Any]


def open_incident(
    connection: Connection,
    *,
    kind: str,
    severity: str,
    title: str,
    model_version: str | None,
    figures: dict[str, Any],
    as_of: datetime,
    now: datetime,
) -> tuple[int, bool]:
    """Open an incident, or add ``figures`` to the open one of its kind; return its id and whether it is new.

    The caller commits.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO studyml.incidents (kind, severity, status, title, model_version, opened_as_of, opened_at,"
            " updated_as_of, figures) VALUES (%s, %s, 'open', %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (kind) WHERE status = 'open' DO NOTHING RETURNING id",
            (kind, severity, title, model_version, as_of, now, as_of, Json(figures)),
        )
        row = cursor.fetchone()
        if row is not None:
            return int(row[0]), True
        cursor.execute(
            "UPDATE studyml.incidents SET updated_as_of = greatest(updated_as_of, %s), figures = figures || %s"
            " WHERE kind = %s AND status = 'open' RETURNING id",
            (as_of, Json(figures), kind),
        )
        updated = cursor.fetchone()
    if updated is None:
        raise RegistryError(f"the incident of kind {kind} was resolved at this moment: run this again.")
    return int(updated[0]), False


def add_event(
    connection: Connection,
    incident_id: int,
    *,
    event: str,
    as_of: datetime,
    now: datetime,
    actor: str,
    note: str | None = None,
    subject: str | None = None,
    body: str | None = None,
) -> int:
    """Log an event; one with a subject and a body is a message to deliver. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO studyml.incident_events (incident_id, event, as_of, recorded_at, actor, note, message_subject,"
            " message_body) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (incident_id, event, as_of, now, actor, note, subject, body),
        )
        return int((cursor.fetchone() or (0,))[0])


def resolve(connection: Connection, incident_id: int, *, as_of: datetime, now: datetime, actor: str, note: str) -> None:
    """Close an open incident; raises RegistryError where there is none of this id. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.incidents SET status = 'resolved', resolved_as_of = %s WHERE id = %s AND status = 'open'",
            (as_of, incident_id),
        )
        if cursor.rowcount != 1:
            raise RegistryError(f"there is no open incident {incident_id}: 'studyml alerts list' shows those that are.")
    add_event(connection, incident_id, event="resolved", as_of=as_of, now=now, actor=actor, note=note)


def open_of_kind(connection: Connection, kind: str) -> Incident | None:
    """The open incident of a kind."""
    found = _query(connection, "WHERE status = 'open' AND kind = %s", (kind,))
    return found[0] if found else None


def is_told(connection: Connection, kind: str, as_of: datetime) -> bool:
    """Whether an incident of the kind, open or closed, already holds what the night of ``as_of`` found."""
    return bool(_query(connection, "WHERE kind = %s AND updated_as_of >= %s LIMIT 1", (kind, as_of)))


def newest_event_at(connection: Connection, incident_id: int) -> datetime:
    """When the newest event of an incident was recorded."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(recorded_at) FROM studyml.incident_events WHERE incident_id = %s", (incident_id,))
        recorded: datetime = (cursor.fetchone() or (None,))[0]
    return recorded


def list_incidents(connection: Connection, *, only_open: bool = True) -> list[Incident]:
    """Incidents, newest first."""
    return _query(connection, "WHERE status = 'open' OR NOT %s ORDER BY id DESC", (only_open,))


def degraded_without_retraining(connection: Connection) -> Incident | None:
    """The open degradation for which no retraining has been decided yet: it makes one due, once."""
    found = _query(
        connection,
        "WHERE status = 'open' AND kind = %s AND NOT EXISTS (SELECT FROM studyml.retraining_runs r"
        " WHERE r.incident_id = incidents.id AND r.decision IN ('promoted', 'fallback', 'rejected'))",
        (DEGRADED,),
    )
    return found[0] if found else None


def _query(connection: Connection, condition: str, parameters: tuple[Any, ...]) -> list[Incident]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM studyml.incidents {condition}", parameters)
        return [Incident(*row) for row in cursor.fetchall()]
