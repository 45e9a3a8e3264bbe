"""What maintenance removes from the predictions: builds that nobody will finish, and nights older than the policy."""

from datetime import datetime

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from studyml.database.replaced import drop_old_replaced


def drop_abandoned_builds(connection: Connection, *, started_before: datetime) -> list[str]:
    """Drop the build tables of runs that never finished, and mark those runs failed; return the tables' names."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.scoring_runs SET status = 'failed' WHERE status = 'running' AND started_at < %s",
            (started_before,),
        )
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN studyml.scoring_runs r ON c.relname IN ('predictions_build_' || r.id, 'refused_build_' || r.id)"
            " WHERE n.nspname = 'studyml' AND r.status <> 'running'"
        )
        names = [str(name) for (name,) in cursor.fetchall()]
        for name in names:
            cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier("studyml", name)))
    return names


def drop_old_partitions(connection: Connection, *, before: datetime, lock_timeout_seconds: float) -> list[str]:
    """Drop the nights older than ``before``; return their partitions' names. Copies beside outcomes stay."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", (f"{int(lock_timeout_seconds * 1000)}ms",))
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'studyml.predictions'::regclass AND c.relname < %s ORDER BY 1",
            (f"predictions_{before:%Y%m%dT%H%M%S%f}",),
        )
        names = [str(name) for (name,) in cursor.fetchall()]
        for name in names:
            cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier("studyml", name)))
    drop_old_replaced(connection, before=before)
    return names


def versions_being_scored(connection: Connection, *, started_after: datetime) -> set[str]:
    """The versions of scoring runs that may still be at work."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT unnest(versions) FROM studyml.scoring_runs WHERE status = 'running' AND started_at > %s",
            (started_after,),
        )
        return {str(version) for (version,) in cursor.fetchall()}
