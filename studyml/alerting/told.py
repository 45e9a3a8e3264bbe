"""What was told of an incident, to whom it still matters, and what a silence held back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from psycopg2.extensions import connection as Connection

from studyml.alerting.degraded_message import DEGRADED_TITLE
from studyml.alerting.incidents import (
    DEGRADED,
    EVENT_COLUMNS,
    OF_SEVERAL,
    PAGE,
    TICKET,
    Event,
    Incident,
    find_incident,
)
from studyml.alerting.message import is_worse, title_of

#: Kinds of whose messages none stands for another: of a degradation one says that its retraining did not help.
_TOLD_APART = (*OF_SEVERAL, DEGRADED)


def was_told(connection: Connection, incident_id: int, severities: Sequence[str] = (PAGE, TICKET)) -> bool:
    """Whether an incident has had a message of these severities since it was opened or reopened last."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM studyml.incident_events WHERE incident_id = %(id)s AND message_body IS NOT NULL"
            " AND NOT held_back AND coalesce(severity, 'page') = ANY(%(severities)s)"
            " AND id >= (SELECT max(id) FROM studyml.incident_events WHERE incident_id = %(id)s"
            " AND event IN ('opened', 'reopened')))",
            {"id": incident_id, "severities": list(severities)},
        )
        return bool((cursor.fetchone() or (False,))[0])


def is_believed_open(connection: Connection, incident_id: int) -> bool:
    """Whether somebody was told of an incident and not, since then, that it is over: a silence may have kept that."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT bool_or(event <> 'resolved') FROM studyml.incident_events WHERE incident_id = %(id)s"
            " AND message_body IS NOT NULL AND NOT held_back AND id >= (SELECT coalesce(max(id), 0)"
            " FROM studyml.incident_events WHERE incident_id = %(id)s AND event = 'resolved'"
            " AND message_body IS NOT NULL AND NOT held_back)",
            {"id": incident_id},
        )
        return bool((cursor.fetchone() or (False,))[0])


def held_back(connection: Connection, *, since: datetime) -> list[tuple[Incident, Event]]:
    """What a silence held back after ``since`` and nothing followed: messages of open incidents, and recoveries.

    The newest of each incident, and of those of _TOLD_APART the newest about each of them: of a degradation its figures
    make no other.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT incident_id, {EVENT_COLUMNS} FROM (SELECT DISTINCT ON (incident_id, topic) * FROM (SELECT e.*,"
            " CASE WHEN i.kind = ANY(%(several)s) AND position(%(degraded)s IN e.message_subject) = 0"
            " THEN e.message_subject END AS topic FROM studyml.incident_events e"
            " JOIN studyml.incidents i ON i.id = e.incident_id WHERE e.message_body IS NOT NULL"
            " AND e.recorded_at > %(since)s AND e.id >= (SELECT max(b.id) FROM studyml.incident_events b"
            " WHERE b.incident_id = e.incident_id AND b.event IN ('opened', 'reopened'))) AS told"
            " ORDER BY incident_id, topic, id DESC) AS newest WHERE held_back ORDER BY id",
            {"several": list(_TOLD_APART), "degraded": DEGRADED_TITLE, "since": since},
        )
        found = [(find_incident(connection, incident_id), Event(*rest)) for incident_id, *rest in cursor.fetchall()]
    return [(each, event) for each, event in found if (each.status == "open") == (event.event != "resolved")]


def paged_at(connection: Connection, incident_id: int) -> datetime | None:
    """When the newest message to the pager about an incident was written; None where there was none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(recorded_at) FROM studyml.incident_events"
            " WHERE incident_id = %s AND message_body IS NOT NULL AND NOT held_back AND severity = %s",
            (incident_id, PAGE),
        )
        found: datetime | None = (cursor.fetchone() or (None,))[0]
    return found


def as_told(incident: Incident, events: Sequence[Event], as_of: datetime) -> Incident | None:
    """An incident as it was after a night, by its ``events``: None where it was not open; its title and severity then.

    The title is that of the newest message that opened it or made it worse.
    """
    seen = [each for each in events if each.as_of <= as_of]
    turns = [each.event for each in seen if each.event in ("opened", "reopened", "resolved")]
    if not turns or turns[-1] == "resolved":
        return None
    told = [each for each in seen if is_turn_for_the_worse(each.event, each.message_subject)]
    if not told:
        return incident
    title, severity = title_of(told[-1].message_subject or ""), told[-1].severity or incident.severity
    return replace(incident, title=title, severity=severity)


def is_turn_for_the_worse(event: str, subject: str | None) -> bool:
    """Whether an event has a message that opened an incident, reopened it, or made a page of a ticket."""
    return subject is not None and (event in ("opened", "reopened") or is_worse(subject))
