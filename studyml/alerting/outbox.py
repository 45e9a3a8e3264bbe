"""Delivery of messages: at least once to each address of their severity, retried with backoff by every later round.

An address is known in the database by a fingerprint only, since it holds a secret.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from psycopg2.extensions import connection as Connection

from studyml.alerting.messenger import Answer, fingerprint, scheme, send
from studyml.alerting.redaction import redact

#: A message that could not be delivered for so long is dead: it is listed, no longer sent.
GIVE_UP_AFTER = timedelta(days=14)
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=6)

#: So often a message is tried before later ones of its incident go ahead of it: the receiver may refuse it alone. That
#: an incident is over waits for longer, since a pager that hears of the end before the beginning would ring on.
_AHEAD_AFTER, _OVER_AFTER = 2, 10

UNCONFIGURED = "the address is no longer configured"

# What older code wrote has no severity: it was for those who are paged.
_SEVERITY = "coalesce(e.severity, 'page')"
# That it is over is for everyone who was told of it, with whatever urgency, and for nobody else.
_IS_FOR = f"""(e.event <> 'resolved' AND a.severity = {_SEVERITY}
    OR e.event = 'resolved' AND EXISTS (SELECT FROM studyml.incident_events t
        WHERE t.incident_id = e.incident_id AND t.id < e.id AND t.message_body IS NOT NULL AND NOT t.held_back
        AND coalesce(t.severity, 'page') = a.severity
        AND t.id > coalesce((SELECT max(id) FROM studyml.incident_events earlier
            WHERE earlier.incident_id = e.incident_id AND earlier.event = 'resolved' AND earlier.id < e.id
            AND earlier.message_body IS NOT NULL AND NOT earlier.held_back), 0)))"""


@dataclass(frozen=True)
class Addresses:
    """Apprise addresses by the severity of the messages that they get; each is a secret."""

    page: tuple[str, ...] = ()
    ticket: tuple[str, ...] = ()
    escalation: tuple[str, ...] = ()

    def all(self) -> tuple[str, ...]:
        """Every address, once."""
        return tuple(dict.fromkeys((*self.page, *self.ticket, *self.escalation)))


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
    event: str
    attempts: int
    accepted_by: tuple[str, ...]


def backoff(attempts: int) -> timedelta:
    """How long a message waits after so many failed attempts (1, 2, …): it doubles up to LONGEST_WAIT.

    >>> [str(backoff(attempts)) for attempts in (1, 2, 3, 9, 10, 1000)]
    ['0:01:00', '0:02:00', '0:04:00', '4:16:00', '6:00:00', '6:00:00']
    """
    doublings = min(attempts - 1, 10)
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)


def deliver(connection: Connection, addresses: Addresses, *, now: datetime, secrets: Collection[str] = ()) -> Delivered:
    """Send every message that is due and that an address of its severity has not had yet, each in its own transaction.

    A message is marked only after Apprise accepted it, and its row is locked meanwhile: two deliverers never send
    the same one, a killed one leaves it pending. An address that fails is left alone for the rest of this round, unless
    it accepted another message in it; one that accepts any gets its waiting ones at once, in their order. None of
    ``secrets`` leaves in a message.
    """
    if not addresses.all():
        return Delivered(0, _pending(connection), 0)
    dead = _enqueue(connection, addresses, now)
    answering = {fingerprint(address): address for address in addresses.all()}
    sent, accepting = 0, set[str]()
    while (item := _next(connection, answering, accepting, now)) is not None:
        subject, body = redact(item.subject, secrets), redact(item.body, secrets)
        answer = send(item.address, subject, body, recovery=item.event == "resolved", accepted_by=item.accepted_by)
        name = fingerprint(item.address)
        _mark(connection, item, answer, now)
        if answer.refusal is None:
            sent += 1
            if name not in accepting:
                _hurry(connection, name, now)
            accepting.add(name)
        elif name not in accepting and answer.accepted_by <= set(item.accepted_by):
            del answering[name]
        connection.commit()
    connection.rollback()
    return Delivered(sent, _pending(connection), dead)


def _enqueue(connection: Connection, addresses: Addresses, now: datetime) -> int:
    """Queue what each address has to get; return how many messages were given up for their age.

    A new address gets what nobody has had yet, and what a removed one was still owed: no old news otherwise. A
    severity without an address keeps what waits. Rows that another deliverer holds are left to it.
    """
    pairs = ((severity, address) for severity, found in asdict(addresses).items() for address in found)
    wanted = sorted({(severity, fingerprint(address)) for severity, address in pairs})
    values = {
        "severities": [severity for severity, _ in wanted],
        "fingerprints": [name for _, name in wanted],
        "since": now - GIVE_UP_AFTER,
        "removed": UNCONFIGURED,
    }
    with connection.cursor() as cursor:
        cursor.execute(_BURY_REMOVED, values)
        cursor.execute(_INSERT, values)
        cursor.execute(_BURY_OLD, values)
        given_up = cursor.rowcount
    connection.commit()
    return int(given_up)


_BURY_REMOVED = f"""
    UPDATE studyml.deliveries SET status = 'dead', last_error = %(removed)s, next_attempt_at = NULL WHERE id IN (
        SELECT d.id FROM studyml.deliveries d JOIN studyml.incident_events e ON e.id = d.event_id
        WHERE d.status = 'pending' AND {_SEVERITY} = ANY(%(severities)s)
        AND NOT EXISTS (SELECT FROM unnest(%(severities)s, %(fingerprints)s) AS a (severity, fingerprint)
            WHERE a.fingerprint = d.address_fingerprint AND {_IS_FOR})
        FOR UPDATE OF d SKIP LOCKED)
"""

_INSERT = f"""
    INSERT INTO studyml.deliveries AS d (event_id, address_fingerprint, status)
    SELECT DISTINCT e.id, a.fingerprint, 'pending' FROM studyml.incident_events e
    JOIN unnest(%(severities)s, %(fingerprints)s) AS a (severity, fingerprint) ON {_IS_FOR}
    WHERE e.message_body IS NOT NULL AND NOT e.held_back AND e.recorded_at > %(since)s
    AND NOT EXISTS (SELECT FROM studyml.deliveries s WHERE s.event_id = e.id
        AND s.address_fingerprint = a.fingerprint AND s.status <> 'dead')
    AND (NOT EXISTS (SELECT FROM studyml.deliveries s WHERE s.event_id = e.id AND s.status = 'sent')
        OR EXISTS (SELECT FROM studyml.deliveries s WHERE s.event_id = e.id AND s.last_error = %(removed)s))
    ORDER BY 1, 2
    ON CONFLICT (event_id, address_fingerprint)
    DO UPDATE SET status = 'pending', attempts = 0, next_attempt_at = NULL, last_error = NULL WHERE d.status = 'dead'
"""

# One that was revived by hand (no attempt yet, and a time for it) gets that attempt whatever its age.
_BURY_OLD = """
    UPDATE studyml.deliveries
    SET status = 'dead', last_error = coalesce(last_error, 'never accepted'), next_attempt_at = NULL WHERE id IN (
        SELECT d.id FROM studyml.deliveries d JOIN studyml.incident_events e ON e.id = d.event_id
        WHERE d.status = 'pending' AND e.recorded_at <= %(since)s
        AND NOT (d.attempts = 0 AND d.next_attempt_at IS NOT NULL)
        FOR UPDATE OF d SKIP LOCKED)
"""


def _next(connection: Connection, addresses: dict[str, str], accepting: Collection[str], now: datetime) -> _Item | None:
    """The next message that is due, locked.

    Those that failed before come last, so that none holds up the others, but for ``accepting`` addresses, which get
    theirs in order. An incident's own come in their order too, unless one is refused again and again, or by a part of
    the receivers; one that was revived by hand (no attempt yet, and a time for it) waits for none.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.id, d.address_fingerprint, e.message_subject, e.message_body, e.event, d.attempts, d.accepted_by"
            " FROM studyml.deliveries d JOIN studyml.incident_events e ON e.id = d.event_id"
            " WHERE d.status = 'pending' AND d.address_fingerprint = ANY(%(addresses)s)"
            " AND (d.next_attempt_at IS NULL OR d.next_attempt_at <= %(now)s)"
            " AND (d.attempts = 0 AND d.next_attempt_at IS NOT NULL OR NOT EXISTS (SELECT FROM studyml.deliveries b"
            " JOIN studyml.incident_events t ON t.id = b.event_id"
            " WHERE b.status = 'pending' AND b.address_fingerprint = d.address_fingerprint"
            " AND t.incident_id = e.incident_id AND t.id < e.id AND b.accepted_by = '{}'"
            " AND b.attempts < CASE e.event WHEN 'resolved' THEN %(over)s ELSE %(ahead)s END))"
            " ORDER BY CASE WHEN d.address_fingerprint = ANY(%(accepting)s) THEN 0 ELSE d.attempts END, d.id"
            " LIMIT 1 FOR UPDATE OF d SKIP LOCKED",
            {
                **{"addresses": list(addresses), "accepting": list(accepting), "now": now},
                **{"over": _OVER_AFTER, "ahead": _AHEAD_AFTER},
            },
        )
        row = cursor.fetchone()
    if row is None:
        return None
    return _Item(int(row[0]), addresses[row[1]], str(row[2]), str(row[3]), str(row[4]), int(row[5]), tuple(row[6]))


def _mark(connection: Connection, item: _Item, answer: Answer, now: datetime) -> None:
    with connection.cursor() as cursor:
        if answer.refusal is not None:
            cursor.execute(
                "UPDATE studyml.deliveries SET attempts = attempts + 1, last_attempt_at = %s, next_attempt_at = %s,"
                " last_error = %s, accepted_by = %s WHERE id = %s",
                (
                    *(now, now + backoff(item.attempts + 1)),
                    *(f"{scheme(item.address)} address {answer.refusal}", sorted(answer.accepted_by)),
                    item.id,
                ),
            )
            return
        cursor.execute(
            "UPDATE studyml.deliveries SET status = 'sent', attempts = attempts + 1, last_attempt_at = %(now)s,"
            " sent_at = %(now)s, next_attempt_at = NULL, last_error = NULL WHERE id = %(id)s",
            {"now": now, "id": item.id},
        )


def _hurry(connection: Connection, name: str, now: datetime) -> None:
    """Make due at once what waits for an address that accepts messages again."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.deliveries SET next_attempt_at = %(now)s WHERE id IN (SELECT id FROM studyml.deliveries"
            " WHERE status = 'pending' AND address_fingerprint = %(fingerprint)s AND next_attempt_at > %(now)s"
            " FOR UPDATE SKIP LOCKED)",
            {"now": now, "fingerprint": name},
        )


def _pending(connection: Connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM studyml.deliveries WHERE status = 'pending'")
        (pending,) = cursor.fetchone() or (0,)
    connection.rollback()
    return int(pending)
