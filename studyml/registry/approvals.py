"""The candidate that waits for a person's word."""

from datetime import datetime

from psycopg2.extensions import connection as Connection

from studyml.registry.versions import Version, select


def waiting(connection: Connection) -> Version | None:
    """The version that passed the gates and awaits approval."""
    found = select(connection, "WHERE status = 'awaiting_approval'", ())
    return found[0] if found else None


def await_approval(connection: Connection, version: str) -> None:
    """Let a published candidate wait; one that waits already is rejected before. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.model_versions SET status = 'awaiting_approval' WHERE version = %s"
            " AND status = 'candidate'",
            (version,),
        )


def waiting_since(connection: Connection, version: str) -> datetime | None:
    """When the retraining that brought ``version`` was decided."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT decided_at FROM studyml.retraining_runs WHERE version = %s AND decision = 'awaiting_approval'"
            " ORDER BY id DESC LIMIT 1",
            (version,),
        )
        row = cursor.fetchone()
    return None if row is None else row[0]
