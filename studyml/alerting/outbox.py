"""Delivery of messages through Apprise: at least once to each address, retried by every later run.

An address is known in the database by a fingerprint only, since it holds a secret.
"""

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg2.extensions import connection as Connection

#: A message that could not be delivered for so long is dead: it is listed, no longer sent.
GIVE_UP_AFTER = timedelta(days=14)

_UNCONFIGURED = "the address is no longer configured"
# They log addresses or their paths, and a path is often the secret.
_TALKATIVE = ("apprise", "urllib3", "requests")

_logger = logging.getLogger("studyml")


@dataclass(frozen=True)
class Delivered:
    """What one round of delivery did, in messages times addresses; ``dead`` were given up in this round."""

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
    """The kind of an address, such as slack or mailtos; nothing else of it.

    >>> scheme("slack://token"), scheme("token-without-a-scheme")
    ('slack', 'no scheme')
    """
    found = re.match(r"([a-z][a-z0-9+]{0,20})://", address, re.IGNORECASE)
    return found[1] if found else "no scheme"


def deliver(connection: Connection, addresses: Sequence[str], *, now: datetime) -> Delivered:
    """Send every message that an address has not had yet, each in its own transaction.

    A message is marked only after Apprise accepted it, and its row is locked meanwhile: two deliverers never send
    the same one, a killed one leaves it pending. An address that fails is left alone for the rest of this round.
    """
    if not addresses:
        return Delivered(0, _pending(connection), 0)
    dead = _enqueue(connection, addresses, now)
    answering = {fingerprint(address): address for address in addresses}
    sent = 0
    while (item := _next(connection, answering)) is not None:
        delivered = send(item.address, item.subject, item.body)
        _mark(connection, item, delivered, now)
        connection.commit()
        sent += delivered
        if not delivered:
            del answering[fingerprint(item.address)]
    connection.rollback()
    return Delivered(sent, _pending(connection), dead)


def _enqueue(connection: Connection, addresses: Sequence[str], now: datetime) -> int:
    """Queue what each address has to get; return how many messages were given up for their age.

    A new address gets what nobody has had yet, and what a removed one was still owed: no old news otherwise.
    """
    known = sorted({fingerprint(address) for address in addresses})
    since = now - GIVE_UP_AFTER
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.deliveries SET status = 'dead', last_error = %s"
            " WHERE status = 'pending' AND NOT address_fingerprint = ANY(%s)",
            (_UNCONFIGURED, known),
        )
        cursor.execute(
            "INSERT INTO studyml.deliveries AS d (event_id, address_fingerprint, status)"
            " SELECT e.id, address, 'pending' FROM studyml.incident_events e CROSS JOIN unnest(%(known)s) AS address"
            " WHERE e.message_body IS NOT NULL AND e.recorded_at > %(since)s"
            " AND NOT EXISTS (SELECT FROM studyml.deliveries s WHERE s.event_id = e.id"
            " AND s.address_fingerprint = address AND s.status <> 'dead')"
            " AND (NOT EXISTS (SELECT FROM studyml.deliveries s WHERE s.event_id = e.id AND s.status = 'sent')"
            " OR EXISTS (SELECT FROM studyml.deliveries s WHERE s.event_id = e.id AND s.last_error = %(removed)s))"
            " ORDER BY e.id, address"
            " ON CONFLICT (event_id, address_fingerprint) DO UPDATE SET status = 'pending', last_error = NULL"
            " WHERE d.status = 'dead'",
            {"known": known, "since": since, "removed": _UNCONFIGURED},
        )
        cursor.execute(
            "UPDATE studyml.deliveries d SET status = 'dead', last_error = coalesce(last_error, 'never accepted')"
            " FROM studyml.incident_events e WHERE e.id = d.event_id AND d.status = 'pending' AND e.recorded_at <= %s",
            (since,),
        )
        given_up = cursor.rowcount
    connection.commit()
    return int(given_up)


def _next(connection: Connection, addresses: dict[str, str]) -> _Item | None:
    """The next message to send, locked; those that failed before come last, so that none holds up the others."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.id, d.address_fingerprint, e.message_subject, e.message_body FROM studyml.deliveries d"
            " JOIN studyml.incident_events e ON e.id = d.event_id"
            " WHERE d.status = 'pending' AND d.address_fingerprint = ANY(%s)"
            " ORDER BY d.attempts, d.id LIMIT 1 FOR UPDATE OF d SKIP LOCKED",
            (list(addresses),),
        )
        row = cursor.fetchone()
    return None if row is None else _Item(int(row[0]), addresses[row[1]], str(row[2]), str(row[3]))


def send(address: str, subject: str, body: str) -> bool:
    """Hand one message to Apprise; False where it was not accepted. The address never reaches a log."""
    import apprise

    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    messenger = apprise.Apprise()
    if not messenger.add(address):
        _logger.error("alert address %s (%s) is not one that Apprise knows", fingerprint(address), scheme(address))
        return False
    # Services that page open an alert for a failure only: Apprise's default type is a note to them.
    accepted = bool(
        messenger.notify(
            title=subject, body=body, body_format=apprise.NotifyFormat.TEXT, notify_type=apprise.NotifyType.FAILURE
        )
    )
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


def _pending(connection: Connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM studyml.deliveries WHERE status = 'pending'")
        (pending,) = cursor.fetchone() or (0,)
    connection.rollback()
    return int(pending)
