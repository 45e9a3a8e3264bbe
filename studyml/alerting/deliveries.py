"""The outbox for people: what was sent, what waits, what was given up, and giving that another try."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg2.extensions import connection as Connection

from studyml.alerting.outbox import GIVE_UP_AFTER, UNCONFIGURED
from studyml.errors import RegistryError

#: A dead letter is news for so long: it is listed and counted, later only with all others.
DEAD_IS_NEWS = timedelta(days=14)

# A message dies of age, or with its address before that: it was alive until about then.
_ALIVE_UNTIL = "greatest(d.last_attempt_at, e.recorded_at + %(give_up_after)s)"

# Without an attempt and with a time for one: that is how the outbox knows it from what is too old to be sent.
_REVIVE = "UPDATE studyml.deliveries SET status = 'pending', attempts = 0, next_attempt_at = %(now)s, last_error = NULL"


@dataclass(frozen=True)
class Delivery:
    """One message to one address, which is known by its fingerprint only."""

    id: int
    recorded_at: datetime
    incident_id: int
    severity: str
    subject: str
    address: str
    status: str
    attempts: int
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    sent_at: datetime | None
    last_error: str | None


def list_deliveries(connection: Connection, *, now: datetime, every: bool = False) -> list[Delivery]:
    """What waits and what died in the last DEAD_IS_NEWS, or ``every`` delivery; newest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.id, e.recorded_at, e.incident_id, coalesce(e.severity, 'page'), e.message_subject,"
            " d.address_fingerprint, d.status, d.attempts, d.last_attempt_at, d.next_attempt_at, d.sent_at,"
            " d.last_error FROM studyml.deliveries d JOIN studyml.incident_events e ON e.id = d.event_id"
            f" WHERE %(every)s OR d.status = 'pending' OR d.status = 'dead' AND {_ALIVE_UNTIL} > %(since)s"
            " ORDER BY d.id DESC",
            {**_span(now), "every": every},
        )
        return [Delivery(*row) for row in cursor.fetchall()]


def undelivered(connection: Connection, *, now: datetime) -> tuple[int, int]:
    """(messages that failed and wait, those given up in the last DEAD_IS_NEWS).

    What was owed to an address that was taken out of the settings is not counted: others get it in its place.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE d.status = 'pending'), count(*) FILTER (WHERE d.status = 'dead'"
            f" AND d.last_error IS DISTINCT FROM %(removed)s AND {_ALIVE_UNTIL} > %(since)s)"
            " FROM studyml.deliveries d JOIN studyml.incident_events e ON e.id = d.event_id"
            " WHERE d.status <> 'sent'",
            {**_span(now), "removed": UNCONFIGURED},
        )
        waiting, dead = cursor.fetchone() or (0, 0)
    return int(waiting), int(dead)


def retry(connection: Connection, delivery_id: int, *, addresses: Collection[str], now: datetime) -> None:
    """Make a dead letter, or one that waits for its next attempt, due at once. The caller commits.

    ``addresses`` are the fingerprints of those that are configured. Raises RegistryError where none of this id waits
    or was given up, or where its address is not configured.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT address_fingerprint FROM studyml.deliveries WHERE id = %s AND status <> 'sent'", (delivery_id,)
        )
        row = cursor.fetchone()
        if row is None:
            raise RegistryError(
                f"no message {delivery_id} waits or was given up: 'studyml alerts deliveries' shows those that are."
            )
        if row[0] not in addresses:
            raise RegistryError(
                f"the address of message {delivery_id} ({row[0]}) is not configured: put it back into"
                " STUDYML_ALERT_URLS, STUDYML_TICKET_URLS or STUDYML_ESCALATION_URLS first."
            )
        cursor.execute(f"{_REVIVE} WHERE id = %(id)s AND status <> 'sent'", {"now": now, "id": delivery_id})


def retry_all(connection: Connection, *, addresses: Collection[str], now: datetime) -> int:
    """Make due at once what waits for these fingerprints, and what they were given up on in the last DEAD_IS_NEWS.

    Returns how many messages. The caller commits.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_REVIVE} WHERE id IN (SELECT d.id FROM studyml.deliveries d"
            " JOIN studyml.incident_events e ON e.id = d.event_id WHERE d.address_fingerprint = ANY(%(addresses)s)"
            f" AND (d.status = 'pending' OR d.status = 'dead' AND {_ALIVE_UNTIL} > %(since)s))",
            {**_span(now), "now": now, "addresses": list(addresses)},
        )
        return int(cursor.rowcount)


def _span(now: datetime) -> dict[str, object]:
    return {"since": now - DEAD_IS_NEWS, "give_up_after": GIVE_UP_AFTER}
