"""Nights as they were lived (table ``nights``): which is the newest finished one, and what is a replay."""

from datetime import datetime

from psycopg2.extensions import connection as Connection


def newest_finished(connection: Connection) -> datetime | None:
    """as_of of the newest finished night."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(as_of) FROM studyml.nights WHERE finished_at IS NOT NULL")
        newest: datetime | None = (cursor.fetchone() or (None,))[0]
    return newest


def finished_before(connection: Connection, as_of: datetime) -> datetime | None:
    """as_of of the newest finished night before ``as_of``."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(as_of) FROM studyml.nights WHERE finished_at IS NOT NULL AND as_of < %s", (as_of,))
        newest: datetime | None = (cursor.fetchone() or (None,))[0]
    return newest


def is_replay(connection: Connection, as_of: datetime) -> bool:
    """Whether a newer night is already finished, so that this one may only recompute (design section 2)."""
    newest = newest_finished(connection)
    return newest is not None and as_of < newest


def begin_night(
    connection: Connection, as_of: datetime, *, replay: bool, now: datetime, dag_run_id: str | None
) -> None:
    """Record that the night runs; a finished one that is run again stays finished until it ends anew."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO studyml.nights (as_of, replay, dag_run_id, started_at, first_started_at)"
            " VALUES (%(as_of)s, %(replay)s, %(dag_run_id)s, %(now)s, %(now)s)"
            " ON CONFLICT (as_of) DO UPDATE SET dag_run_id = excluded.dag_run_id, started_at = excluded.started_at",
            {"as_of": as_of, "replay": replay, "dag_run_id": dag_run_id, "now": now},
        )


def started_at(connection: Connection, as_of: datetime) -> datetime | None:
    """When the night was begun, the last time where it was begun more than once; None where it never was."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT started_at FROM studyml.nights WHERE as_of = %s", (as_of,))
        started: datetime | None = (cursor.fetchone() or (None,))[0]
    return started


def end_night(connection: Connection, as_of: datetime, *, now: datetime) -> bool:
    """Record the end; False where the night never began."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.nights SET finished_at = %(now)s, first_finished_at = coalesce(first_finished_at, %(now)s)"
            " WHERE as_of = %(as_of)s",
            {"now": now, "as_of": as_of},
        )
        return cursor.rowcount == 1


def heartbeat_heard(connection: Connection, as_of: datetime) -> bool:
    """Whether the heartbeat address has answered for the night."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT heartbeat_at IS NOT NULL FROM studyml.nights WHERE as_of = %s", (as_of,))
        return bool((cursor.fetchone() or (False,))[0])


def record_heartbeat(connection: Connection, as_of: datetime, *, now: datetime) -> None:
    """Record that the heartbeat address has answered for the night. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE studyml.nights SET heartbeat_at = %s WHERE as_of = %s", (now, as_of))


def last_finished_at(connection: Connection) -> tuple[datetime, datetime] | None:
    """(as_of, when it finished first) of the newest finished night.

    Neither a replay, which finishes later, nor that night run again says that a further one has run.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT as_of, least(first_finished_at, finished_at) FROM studyml.nights WHERE finished_at IS NOT NULL"
            " ORDER BY as_of DESC LIMIT 1"
        )
        return cursor.fetchone()


def begun_since(connection: Connection, as_of: datetime) -> datetime | None:
    """When the first of the nights after ``as_of`` was begun, the first time; None where there is none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(first_started_at) FROM studyml.nights WHERE as_of > %s", (as_of,))
        begun: datetime | None = (cursor.fetchone() or (None,))[0]
    return begun


def newest_night(connection: Connection) -> datetime | None:
    """as_of of the newest night that was begun."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(as_of) FROM studyml.nights")
        newest: datetime | None = (cursor.fetchone() or (None,))[0]
    return newest


def nights_of_window(connection: Connection, *, after: datetime, before: datetime) -> list[datetime]:
    """The nights in (``after``, ``before``), finished or not, and the newest one up to ``after``; ascending."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT as_of FROM studyml.nights WHERE as_of < %(before)s AND as_of >= coalesce("
            "(SELECT max(as_of) FROM studyml.nights WHERE as_of <= %(after)s), '-infinity') ORDER BY as_of",
            {"after": after, "before": before},
        )
        return [as_of for (as_of,) in cursor.fetchall()]
