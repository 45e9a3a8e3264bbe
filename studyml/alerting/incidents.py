"""Incidents: one open per kind, with a log of events; a message is an event's text (tables ``incidents`` …)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extras import Json

from studyml.errors import RegistryError

DEGRADED = "degraded"
CONTRACT_BROKEN = "contract_broken"
NO_NEW_LABELS = "no_new_labels"
RETRAINING_FAILING = "retraining_failing"
SCORING_LATE = "scoring_late"
NIGHT_MISSING = "night_missing"
TASK_FAILED = "task_failed"
KINDS = (DEGRADED, CONTRACT_BROKEN, NO_NEW_LABELS, RETRAINING_FAILING, SCORING_LATE, NIGHT_MISSING, TASK_FAILED)

#: Kinds of which one incident may be about several things.
OF_SEVERAL = (CONTRACT_BROKEN, TASK_FAILED)

PAGE, TICKET, ESCALATION = "page", "ticket", "escalation"

_COLUMNS = (
    "id, kind, severity, status, title, model_version, opened_as_of, opened_at, updated_as_of, resolved_as_of,"
    " resolved_at, acknowledged_by, acknowledged_at, escalated_at, times_reopened, figures"
)
EVENT_COLUMNS = "id, event, as_of, recorded_at, actor, note, severity, message_subject, message_body, held_back"


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
    resolved_at: datetime | None
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    escalated_at: datetime | None
    times_reopened: int
    figures: dict[str, Any]

    def is_reopened_at(self, as_of: datetime, cool_off: timedelta) -> bool:
        """Whether its problem, found again in a night, reopens it: it was resolved within ``cool_off`` before."""
        resolved = self.resolved_as_of
        return resolved is not None and timedelta(0) <= as_of - resolved <= cool_off


@dataclass(frozen=True)
class Event:
    """One row of ``incident_events``."""

    id: int
    event: str
    as_of: datetime
    recorded_at: datetime
    actor: str
    note: str | None
    severity: str | None
    message_subject: str | None
    message_body: str | None
    held_back: bool


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
) -> int | None:
    """Open an incident and return its id; None where one of its kind is open. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO studyml.incidents (kind, severity, status, title, model_version, opened_as_of, opened_at,"
            " updated_as_of, figures) VALUES (%s, %s, 'open', %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (kind) WHERE status = 'open' DO NOTHING RETURNING id",
            (kind, severity, title, model_version, as_of, now, as_of, Json(figures)),
        )
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def update_open(
    connection: Connection,
    incident_id: int,
    *,
    severity: str,
    title: str,
    model_version: str | None,
    figures: dict[str, Any],
    as_of: datetime,
) -> None:
    """Bring an open incident up to date, adding ``figures``; raises RegistryError where it is not open.

    The caller commits.
    """
    _change(
        connection,
        incident_id,
        # Who took on a ticket has not answered a page.
        "updated_as_of = %s, title = %s, model_version = coalesce(%s, model_version),"
        " figures = figures || %s,"
        " acknowledged_by = CASE WHEN severity = %s THEN acknowledged_by END,"
        " acknowledged_at = CASE WHEN severity = %s THEN acknowledged_at END, severity = %s",
        (as_of, title, model_version, Json(figures), severity, severity, severity),
    )


def reopen(
    connection: Connection, incident_id: int, *, severity: str, title: str, figures: dict[str, Any], as_of: datetime
) -> None:
    """Open a resolved incident again, unacknowledged; of its figures only which retraining was told stays.

    The caller commits.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.incidents SET status = 'open', severity = %s, title = %s,"
            " figures = jsonb_strip_nulls(jsonb_build_object('asked', figures -> 'asked')) || %s,"
            " updated_as_of = %s, resolved_as_of = NULL, resolved_at = NULL,"
            " acknowledged_by = NULL, acknowledged_at = NULL, escalated_at = NULL,"
            " times_reopened = times_reopened + 1 WHERE id = %s",
            (severity, title, Json(figures), as_of, incident_id),
        )


def close_open(connection: Connection, incident_id: int, *, as_of: datetime, now: datetime) -> None:
    """Close an open incident; raises RegistryError where there is none of this id. The caller commits."""
    _change(connection, incident_id, "status = 'resolved', resolved_as_of = %s, resolved_at = %s", (as_of, now))


def set_acknowledged(connection: Connection, incident_id: int, *, name: str, now: datetime) -> None:
    """Record who takes care of an open incident; raises RegistryError where it is not open. The caller commits."""
    _change(connection, incident_id, "acknowledged_by = %s, acknowledged_at = %s", (name, now))


def set_untaken(connection: Connection, incident_id: int) -> None:
    """Nobody has taken on what came to an open incident of several things, nor was it escalated. The caller commits."""
    _change(connection, incident_id, "acknowledged_by = NULL, acknowledged_at = NULL, escalated_at = NULL", ())


def set_escalated(connection: Connection, incident_id: int, *, now: datetime) -> None:
    """Record that an open incident was escalated. The caller commits."""
    _change(connection, incident_id, "escalated_at = %s", (now,))


def add_figures(connection: Connection, incident_id: int, figures: dict[str, Any]) -> None:
    """Add ``figures`` to those of an open incident. The caller commits."""
    _change(connection, incident_id, "figures = figures || %s", (Json(figures),))


def set_failures(connection: Connection, incident_id: int, figures: dict[str, Any], *, title: str) -> None:
    """Replace the figures and the title of an open incident by those of what is left of it. The caller commits."""
    _change(connection, incident_id, "figures = %s, title = %s", (Json(figures), title))


def _change(connection: Connection, incident_id: int, assignments: str, values: tuple[Any, ...]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE studyml.incidents SET {assignments} WHERE id = %s AND status = 'open'", (*values, incident_id)
        )
        if cursor.rowcount != 1:
            raise RegistryError(f"there is no open incident {incident_id}: 'studyml alerts list' shows those that are.")


def add_event(
    connection: Connection,
    incident_id: int,
    *,
    event: str,
    as_of: datetime,
    now: datetime,
    actor: str,
    note: str | None = None,
    severity: str | None = None,
    subject: str | None = None,
    body: str | None = None,
    held_back: bool = False,
) -> int:
    """Log an event; one with a subject and a body is a message to the addresses of ``severity``, unless held back.

    The caller commits.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO studyml.incident_events (incident_id, event, as_of, recorded_at, actor, note, severity,"
            " message_subject, message_body, held_back) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (incident_id, event, as_of, now, actor, note, severity, subject, body, held_back),
        )
        return int((cursor.fetchone() or (0,))[0])


def open_of_kind(connection: Connection, kind: str) -> Incident | None:
    """The open incident of a kind."""
    found = _query(connection, "WHERE status = 'open' AND kind = %s", (kind,))
    return found[0] if found else None


def newest_of_kind(connection: Connection, kind: str) -> Incident | None:
    """The incident of a kind that was opened last, open or not."""
    found = _query(connection, "WHERE kind = %s ORDER BY id DESC LIMIT 1", (kind,))
    return found[0] if found else None


def newest_event_at(connection: Connection, incident_id: int, *, before: datetime) -> datetime | None:
    """When the newest event of an incident up to ``before`` was recorded; None without one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(recorded_at) FROM studyml.incident_events WHERE incident_id = %s AND recorded_at <= %s",
            (incident_id, before),
        )
        recorded: datetime | None = (cursor.fetchone() or (None,))[0]
    return recorded


def back_since(connection: Connection, incident_id: int) -> datetime | None:
    """The night in which the problem of an incident came back the last time; None where it was never over."""
    return max((each.as_of for each in list_events(connection, incident_id) if each.event == "reopened"), default=None)


def find_incident(connection: Connection, incident_id: int) -> Incident:
    """The incident; raises RegistryError where there is none of this id."""
    found = _query(connection, "WHERE id = %s", (incident_id,))
    if not found:
        raise RegistryError(f"there is no incident {incident_id}: 'studyml alerts list --all' shows those there are.")
    return found[0]


def list_events(connection: Connection, incident_id: int) -> list[Event]:
    """What happened to an incident, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {EVENT_COLUMNS} FROM studyml.incident_events WHERE incident_id = %s ORDER BY id", (incident_id,)
        )
        return [Event(*row) for row in cursor.fetchall()]


def list_incidents(connection: Connection, *, only_open: bool = True) -> list[Incident]:
    """Incidents, newest first."""
    return _query(connection, "WHERE status = 'open' OR NOT %s ORDER BY id DESC", (only_open,))


def degraded_without_retraining(connection: Connection) -> Incident | None:
    """The open degradation for which no retraining is under way or decided: it makes one due, once."""
    found = _query(
        connection,
        "WHERE status = 'open' AND kind = %s AND NOT EXISTS (SELECT FROM studyml.retraining_runs r"
        " WHERE r.incident_id = incidents.id"
        " AND coalesce(r.decision, 'under way') NOT IN ('skipped', 'failed', 'abandoned'))",
        (DEGRADED,),
    )
    return found[0] if found else None


def _query(connection: Connection, condition: str, parameters: tuple[Any, ...]) -> list[Incident]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM studyml.incidents {condition}", parameters)
        return [Incident(*row) for row in cursor.fetchall()]
