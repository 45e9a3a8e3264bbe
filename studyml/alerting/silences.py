"""Silences: for how long no message is sent about incidents of a kind (table ``silences``)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg2.extensions import connection as Connection

#: Longer than this nobody remembers what was silenced.
LONGEST_SILENCE = timedelta(days=31)


@dataclass(frozen=True)
class Silence:
    """One row of ``silences``."""

    id: int
    kind: str
    starts_at: datetime
    ends_at: datetime
    actor: str
    note: str


def add_silence(
    connection: Connection, kind: str, *, starts_at: datetime, ends_at: datetime, actor: str, note: str
) -> int:
    """Silence a kind of incident from ``starts_at`` to ``ends_at``; return the silence's id. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO studyml.silences (kind, starts_at, ends_at, actor, note) VALUES (%s, %s, %s, %s, %s)"
            " RETURNING id",
            (kind, starts_at, ends_at, actor, note),
        )
        return int((cursor.fetchone() or (0,))[0])


def end_silences(connection: Connection, kind: str, *, now: datetime, actor: str) -> int:
    """End the silences of a kind that are in force, and note who did; return how many. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.silences SET ends_at = %(now)s, note = note || %(ended)s WHERE kind = %(kind)s"
            " AND starts_at < %(now)s AND ends_at > %(now)s",
            {"kind": kind, "now": now, "ended": f"; ended by {actor}"},
        )
        return int(cursor.rowcount)


def silences_in_force(connection: Connection, *, now: datetime) -> list[Silence]:
    """The silences that are in force at ``now``, by kind."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, kind, starts_at, ends_at, actor, note FROM studyml.silences"
            " WHERE starts_at <= %(now)s AND ends_at > %(now)s ORDER BY kind, ends_at DESC",
            {"now": now},
        )
        return [Silence(*row) for row in cursor.fetchall()]


def silenced_until(connection: Connection, kind: str, *, now: datetime) -> datetime | None:
    """The end of the silence in force over a kind, None without one."""
    ends = [each.ends_at for each in silences_in_force(connection, now=now) if each.kind == kind]
    return max(ends, default=None)
