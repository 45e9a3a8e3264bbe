"""A copy of the study app's tables in which every label is hidden until it would have arrived.

Only what the nights read is copied: the features and the labels, never name, address or breaks_taken.
"""

import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from studyml.contract import EARLIEST, LATEST, STUDENTS, Column, column
from studyml.database.connection import words_of
from studyml.database.scratch import SCHEMA, SOURCE_SCHEMA
from studyml.database.source import SESSION_FEATURES, TOPIC_COLUMNS
from studyml.database.source_tables import sql_type
from studyml.errors import SourceError

_LABEL = column("study_sessions", "actual_duration")
_TABLES: dict[str, tuple[Column, ...]] = {
    "students": STUDENTS,
    "topics": TOPIC_COLUMNS,
    "study_sessions": (*SESSION_FEATURES, _LABEL),
}
_LABELS = sql.Identifier(SCHEMA, "labels")
_SESSIONS = sql.Identifier(SOURCE_SCHEMA, "study_sessions")
_BUFFER_BYTES = 64 << 20


@dataclass(frozen=True)
class Copied:
    """Rows of the copy, and how many sessions are labelled."""

    students: int
    topics: int
    sessions: int
    labelled: int


def copy_source(source: Connection, schema: str, scratch: Connection) -> Copied:
    """Copy the source's tables, cast to the contract's types, rows as they are. The caller commits ``scratch``.

    Raises SourceError where a column is missing or cannot be cast.
    """
    with scratch.cursor() as cursor:
        for name in (SCHEMA, SOURCE_SCHEMA):
            cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    rows = {table: _copy(source, schema, scratch, table, columns) for table, columns in _TABLES.items()}
    with scratch.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT count(actual_duration) FROM {}").format(_SESSIONS))
        (labelled,) = cursor.fetchone() or (0,)
    return Copied(rows["students"], rows["topics"], rows["study_sessions"], labelled)


def _copy(source: Connection, schema: str, scratch: Connection, table: str, columns: tuple[Column, ...]) -> int:
    names = sql.SQL(", ").join(sql.Identifier(each.name) for each in columns)
    casts = sql.SQL(", ").join(sql.SQL("{}::" + sql_type(each)).format(sql.Identifier(each.name)) for each in columns)
    fields = sql.SQL(", ").join(
        sql.SQL("{} " + sql_type(each) + (" PRIMARY KEY" if each.name == "id" else "")).format(
            sql.Identifier(each.name)
        )
        for each in columns
    )
    target = sql.Identifier(SOURCE_SCHEMA, table)
    query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(casts, sql.Identifier(schema, table))
    with tempfile.SpooledTemporaryFile(_BUFFER_BYTES) as rows, scratch.cursor() as into:
        try:
            with source.cursor() as out:
                out.copy_expert(query, rows)
        except (psycopg2.ProgrammingError, psycopg2.DataError) as error:
            if isinstance(error, psycopg2.errors.InsufficientPrivilege):
                raise
            words = words_of(error)
            raise SourceError(
                f"the source table {schema}.{table} is not as the data contract needs it ({words}): correct it, or"
                " give studyml a view that is."
            ) from error
        rows.seek(0)
        into.execute(sql.SQL("CREATE TABLE {} ({})").format(target, fields))
        into.copy_expert(sql.SQL("COPY {} ({}) FROM STDIN").format(target, names), rows)
        count = int(into.rowcount)
        into.execute(sql.SQL("ANALYZE {}").format(target))
    return count


def hide_labels(scratch: Connection, delay: timedelta) -> None:
    """Move every label aside, with the moment at which it arrives: the session's end and ``delay``. No commit.

    An impossible length adds nothing to the date, and a label without a usable date is there from the beginning: the
    nights refuse both, as they would have.
    """
    arrives = sql.SQL(
        "CASE WHEN session_date >= {earliest} AND session_date < {latest} THEN session_date + {delay}"
        " + make_interval(secs => 3600 * CASE WHEN actual_duration > 0 AND actual_duration <= {longest}"
        " THEN actual_duration ELSE 0 END) ELSE '-infinity' END"
    ).format(
        earliest=sql.Literal(EARLIEST),
        latest=sql.Literal(LATEST),
        delay=sql.Literal(delay),
        longest=sql.Literal(_LABEL.at_most),
    )
    with scratch.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "CREATE TABLE {labels} AS SELECT id AS session_id, {arrives} AS arrives_at, actual_duration"
                " FROM {sessions} WHERE actual_duration IS NOT NULL"
            ).format(labels=_LABELS, arrives=arrives, sessions=_SESSIONS)
        )
        cursor.execute(sql.SQL("CREATE INDEX ON {} (arrives_at)").format(_LABELS))
        cursor.execute(sql.SQL("UPDATE {} SET actual_duration = NULL").format(_SESSIONS))


def reveal_labels(scratch: Connection, through: datetime) -> int:
    """Show the labels that have arrived by ``through``; return how many are new. The caller commits.

    What was shown stays shown: nights are lived in order.
    """
    with scratch.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "WITH due AS (DELETE FROM {labels} WHERE arrives_at <= {through} RETURNING session_id, actual_duration)"
                " UPDATE {sessions} s SET actual_duration = due.actual_duration FROM due WHERE s.id = due.session_id"
            ).format(labels=_LABELS, sessions=_SESSIONS, through=sql.Literal(through))
        )
        return int(cursor.rowcount)


def arrivals(scratch: Connection, rank: int) -> tuple[datetime, datetime] | None:
    """When the label of this rank (1 is the first; at most the last) and the last label arrive; None without any.

    Counts usable labels that are hidden still.
    """
    query = sql.SQL(
        "SELECT (array_agg(arrives_at ORDER BY arrives_at))[least({rank}, count(*))], max(arrives_at) FROM {labels}"
        " WHERE isfinite(arrives_at) AND actual_duration > 0 AND actual_duration <= {longest}"
    ).format(rank=sql.Literal(rank), labels=_LABELS, longest=sql.Literal(_LABEL.at_most))
    with scratch.cursor() as cursor:
        cursor.execute(query)
        ranked, last = cursor.fetchone() or (None, None)
    return None if ranked is None else (ranked, last)
