"""Delivery of messages through Apprise: at least once to each address, retried by every later run.

An address is known in the database by a fingerprint only, since it holds a secret.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg2.extensions import connection as Connection

#: A message that could not be delivered for so long is dead: it is listed, no longer sent.
GIVE_UP_AFTER = timedelta(days=14)

_logger = logging.getLogger("studyml")


@dataclass(frozen=True)
class Delivered:
    """What one round of delivery did, in messages times addresses."""

    sent: int
    pending: int
    dead: int


@dataclass(frozen=True)
class _Item:
    id: int
    address: str
    subject: str
    body: str


def fingerprint(address: str) -> str:
    """A name for an address that gives nothing of it away."""
    return hashlib.sha256(address.encode()).hexdigest()[:12]


def scheme(address: str) -> str:
    """The kind of an address, such as slack or mailtos."""
    return address.partition("://")[0]


def deliver(connection: Connection, addresses: Sequence[str], *, now: datetime) -> Delivered:
    """Send every message that an address has not had yet, each in its own transaction.

    A message is marked only after Apprise accepted it, and its row is locked meanwhile: two deliverers never send
    the same one, a killed one leaves it pending.
    """
    _enqueue(connection, addresses, now)
    by_fingerprint = {fingerprint(address): address for address in addresses}
    sent = 0
    seen: list[int] = []
    while (item := _next(connection, by_fingerprint, seen)) is not None:
        seen.append(item.id)
        delivered = send(item.address, item.subject, item.body)
        _mark(connection, item, delivered, now)
        connection.commit()
        sent += delivered
    connection.rollback()
    return Delivered(sent, *_rest(connection))


def _enqueue(connection: Connection, addresses: Sequence[str], now: datetime) -> None:
    with connection.cursor() as cursor:
        for address in addresses:
            cursor.execute(
                "INSERT INTO studyml.deliveries (event_id, address_fingerprint, status)"
                " SELECT id, %s, 'pending' FROM studyml.incident_events"
                " WHERE message_body IS NOT NULL AND recorded_at > %s ON CONFLICT DO NOTHING",
                (fingerprint(address), now - GIVE_UP_AFTER),
            )
        cursor.execute(
            "UPDATE studyml.deliveries d SET status = 'dead', last_error = coalesce(last_error, 'never accepted')"
            " FROM studyml.incident_events e WHERE e.id = d.event_id AND d.status = 'pending' AND e.recorded_at <= %s",
            (now - GIVE_UP_AFTER,),
        )
        cursor.execute(
            "UPDATE studyml.deliveries SET status = 'dead', last_error = 'the address is no longer configured'"
            " WHERE status = 'pending' AND NOT address_fingerprint = ANY(%s)",
            ([fingerprint(address) for address in addresses],),
        )
    connection.commit()


def _next(connection: Connection, addresses: dict[str, str], seen: list[int]) -> _Item | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.id, d.address_fingerprint, e.message_subject, e.message_body FROM studyml.deliveries d"
            " JOIN studyml.incident_events e ON e.id = d.event_id"
            " WHERE d.status = 'pending' AND d.address_fingerprint = ANY(%s) AND NOT d.id = ANY(%s)"
            " ORDER BY d.id LIMIT 1 FOR UPDATE OF d SKIP LOCKED",
            (list(addresses), seen),
        )
        row = cursor.fetchone()
    return None if row is None else _Item(int(row[0]), addresses[row[1]], str(row[2]), str(row[3]))


def send(address: str, subject: str, body: str) -> bool:
    """Hand one message to Apprise; False where it was not accepted. The address never reaches a log."""
    import apprise

    # Apprise names hosts and paths in its own log lines, and a path is often the secret.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    messenger = apprise.Apprise()
    if not messenger.add(address):
        _logger.error("alert address %s (%s) is not one that Apprise knows", fingerprint(address), scheme(address))
        return False
    accepted = bool(messenger.notify(title=subject, body=body, body_format=apprise.NotifyFormat.TEXT))
    if not accepted:
        _logger.error("alert address %s (%s) did not accept the message", fingerprint(address), scheme(address))
    return accepted


def _mark(connection: Connection, item: _Item, delivered: bool, now: datetime) -> None:
    error = None if delivered else f"{scheme(item.address)} address did not accept the message"
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.deliveries SET status = %s, attempts = attempts + 1, last_attempt_at = %s,"
            " sent_at = CASE WHEN %s THEN %s END, last_error = %s WHERE id = %s",
            ("sent" if delivered else "pending", now, delivered, now, error, item.id),
        )


def _rest(connection: Connection) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'dead')"
            " FROM studyml.deliveries"
        )
        pending, dead = cursor.fetchone() or (0, 0)
    connection.rollback()
    return int(pending), int(dead)
