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


def note_answer(connection: Connection, version: str, note: str) -> None:
    """Add what became of ``version`` to the reasons of the retraining that brought it. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.retraining_runs SET reasons = reasons || %s"
            " WHERE version = %s AND decision = 'awaiting_approval'",
            ([note], version),
        )


def waits_since(connection: Connection, version: str) -> tuple[datetime, str] | None:
    """When the retraining that brought ``version`` was decided, and why it was due."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT decided_at, coalesce(note, 'it was due') FROM studyml.retraining_runs"
            " WHERE version = %s AND decision = 'awaiting_approval' ORDER BY id DESC LIMIT 1",
            (version,),
        )
        row = cursor.fetchone()
    return None if row is None else (row[0], row[1])
