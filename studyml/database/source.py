"""The study app's tables, read only: facts through binary COPY, dimensions once, no join on the server.

The source may be another server, a replica, and may type its columns as it likes: everything is cast here, and
naive times are read in the connection's time zone. Name and email are never selected.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np
import psycopg2.errors
from numpy.typing import NDArray
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from studyml.contract import EARLIEST, LATEST, STUDENTS, STUDY_SESSIONS, TOPICS, Column
from studyml.database.binary import array_literal, copy_out
from studyml.database.connection import connect, words_of
from studyml.errors import DatabaseError, SourceError
from studyml.frame import MISSING, NULL_INTEGER, UNSEEN, Frame

Result = TypeVar("Result")
Vocabularies = Mapping[str, tuple[str, ...]]
Ids = NDArray[np.int64]

_TYPES = {"id": ">i8", "integer": ">i8", "time": ">i8", "number": ">f8", "category": ">i4"}
_READ_TRIES = 3

#: Above this many ids one range is read and the rest dropped: cheaper than looking up each.
_MANY_IDS = 50_000
_IDS_AT_ONCE = 5_000

#: What tells a subject from another without a vocabulary; ``features.history.subject_key`` computes the same.
_SUBJECT_KEY = sql.SQL(
    "CASE WHEN nullif(subject::text, '') IS NULL THEN 0::bigint ELSE"
    " ('x' || encode(substr(sha256(convert_to(subject::text, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint END"
)

SESSION_FEATURES = tuple(each for each in STUDY_SESSIONS if each.name not in ("actual_duration", "breaks_taken"))
SESSION_LABELS = tuple(each for each in STUDY_SESSIONS if each.name in ("id", "session_date", "actual_duration"))
SESSION_KEYS = tuple(each for each in STUDY_SESSIONS if each.name in ("id", "student_id", "topic_id"))
TOPIC_COLUMNS = tuple(each for each in TOPICS if each.name != "name")


@contextmanager
def _snapshot(url: str, timezone: str, statement_timeout_seconds: int) -> Iterator[Connection]:
    with connect(url, timezone=timezone, statement_timeout_seconds=statement_timeout_seconds) as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        yield connection


def read_consistently(
    url: str, timezone: str, statement_timeout_seconds: int, work: Callable[[Connection], Result]
) -> Result:
    """Run ``work`` in one READ ONLY, REPEATABLE READ transaction; retried where a replica cancels it.

    Raises DatabaseError where the source cannot be reached, SourceError where a table or column is missing.
    """
    for attempt in range(_READ_TRIES):
        try:
            with _snapshot(url, timezone, statement_timeout_seconds) as connection:
                return work(connection)
        except DatabaseError as error:
            conflict = isinstance(error.__cause__, psycopg2.errors.SerializationFailure)
            if not conflict or attempt == _READ_TRIES - 1:
                raise
            time.sleep(2**attempt)
    raise AssertionError("unreachable: the last attempt returns or raises")


def read_students(
    connection: Connection,
    schema: str,
    vocabularies: Vocabularies,
    columns: Sequence[Column] = STUDENTS,
    *,
    ids: Ids | None = None,
) -> Frame:
    """All students, or those with these ids (ascending): id, the features, ordered by id."""
    return _read_ids(connection, schema, "students", columns, vocabularies, ids)


def read_topics(
    connection: Connection,
    schema: str,
    vocabularies: Vocabularies,
    columns: Sequence[Column] = TOPIC_COLUMNS,
    *,
    ids: Ids | None = None,
) -> Frame:
    """All topics, or those with these ids (ascending): id, the features and ``subject_key``, ordered by id."""
    return _read_ids(connection, schema, "topics", columns, vocabularies, ids, {"subject_key": _SUBJECT_KEY})


def read_sessions_by_id(connection: Connection, schema: str, vocabularies: Vocabularies, ids: Ids) -> Frame:
    """The sessions with these ids (ascending), as far as they exist, as ``read_sessions`` gives them."""
    return _read_ids(connection, schema, "study_sessions", SESSION_FEATURES, vocabularies, ids)


def read_session_keys(connection: Connection, schema: str, ids: Ids) -> Frame:
    """id, student_id and topic_id of the sessions with these ids (ascending), as far as they exist, ordered by id."""
    return _read_ids(connection, schema, "study_sessions", SESSION_KEYS, {}, ids)


def _read_ids(
    connection: Connection,
    schema: str,
    table: str,
    columns: Sequence[Column],
    vocabularies: Vocabularies,
    ids: Ids | None,
    extra: Mapping[str, sql.Composable] | None = None,
) -> Frame:
    """A few thousand ids at a time through the primary key; of very many, their whole range; None: all rows."""
    if ids is None or len(ids) > _MANY_IDS:
        whole: sql.Composable = sql.SQL("true")
        if ids is not None:
            whole = sql.SQL("id BETWEEN {} AND {}").format(sql.Literal(int(ids[0])), sql.Literal(int(ids[-1])))
        found = read_rows(connection, schema, table, columns, vocabularies, whole, extra)
        return found if ids is None else found.take(np.isin(found["id"], ids))
    chunks = [ids[at : at + _IDS_AT_ONCE] for at in range(0, len(ids), _IDS_AT_ONCE)] or [ids]
    wanted = [sql.SQL("id = ANY({}::bigint[])").format(array_literal(chunk)) for chunk in chunks]
    parts = [read_rows(connection, schema, table, columns, vocabularies, where, extra) for where in wanted]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0].columns}
    return Frame(joined, parts[0].vocabularies)


def read_sessions(
    connection: Connection,
    schema: str,
    vocabularies: Vocabularies,
    *,
    after: datetime | None = None,
    through: datetime,
    ids: tuple[int, int] | None = None,
    columns: Sequence[Column] = SESSION_FEATURES,
) -> Frame:
    """Sessions dated in (``after``, ``through``], with ids in the closed range ``ids``, ordered by id.

    Without label and breaks_taken: neither is known before a session (design section 3).
    """
    conditions = [sql.SQL("session_date::timestamptz <= {}").format(sql.Literal(through))]
    if after is not None:
        conditions.append(sql.SQL("session_date::timestamptz > {}").format(sql.Literal(after)))
    if ids is not None:
        conditions.append(sql.SQL("id BETWEEN {} AND {}").format(sql.Literal(ids[0]), sql.Literal(ids[1])))
    return read_rows(connection, schema, "study_sessions", columns, vocabularies, sql.SQL(" AND ").join(conditions))


def read_subjects(connection: Connection, schema: str) -> list[tuple[int, str | None]]:
    """(topic id, subject) of every topic."""
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT id, subject::text FROM {}").format(sql.Identifier(schema, "topics")))
        return [(int(topic_id), subject) for topic_id, subject in cursor.fetchall()]


def count_dated(connection: Connection, schema: str, *, after: datetime, through: datetime) -> int:
    """Sessions dated in (``after``, ``through``]."""
    query = sql.SQL("SELECT count(*) FROM {} WHERE session_date::timestamptz > %s AND session_date::timestamptz <= %s")
    with connection.cursor() as cursor:
        cursor.execute(query.format(sql.Identifier(schema, "study_sessions")), (after, through))
        return int((cursor.fetchone() or (0,))[0])


def has_sessions_until(connection: Connection, schema: str, through: datetime) -> bool:
    """Whether any session is dated up to ``through``."""
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE session_date::timestamptz <= %s)")
    with connection.cursor() as cursor:
        cursor.execute(query.format(sql.Identifier(schema, "study_sessions")), (through,))
        return bool((cursor.fetchone() or (False,))[0])


def count_dated_by_night(
    connection: Connection, schema: str, *, nights: Sequence[datetime], after: datetime, through: datetime
) -> list[int]:
    """Sessions dated in (``after``, ``through``], by the newest of the ``nights`` (ascending) before each.

    [k + 1] for k nights: first those before the first night, then those that each night stood for.
    """
    # width_bucket counts the thresholds up to a date; a night stands for what is dated after it.
    query = sql.SQL(
        "SELECT width_bucket(session_date::timestamptz, %s::timestamptz[]), count(*) FROM {}"
        " WHERE session_date::timestamptz > %s AND session_date::timestamptz <= %s GROUP BY 1"
    ).format(sql.Identifier(schema, "study_sessions"))
    counts = [0] * (len(nights) + 1)
    with connection.cursor() as cursor:
        cursor.execute(query, ([night + timedelta(microseconds=1) for night in nights], after, through))
        for bucket, count in cursor.fetchall():
            counts[bucket] = count
    return counts


def require_source(connection: Connection, schema: str) -> None:
    """Raise SourceError unless the three tables exist."""
    with connection.cursor() as cursor:
        for table in ("students", "topics", "study_sessions"):
            cursor.execute("SELECT to_regclass(%s)", (f'"{schema}"."{table}"',))
            if (cursor.fetchone() or (None,))[0] is None:
                raise SourceError(
                    f"the source has no table {schema}.{table}: set STUDYML_SOURCE_URL and STUDYML_SOURCE_SCHEMA, or"
                    " fill a database with 'studyml load' or 'studyml simulate'."
                )


def read_rows(
    connection: Connection,
    schema: str,
    table: str,
    columns: Sequence[Column],
    vocabularies: Vocabularies,
    where: sql.Composable | None = None,
    extra: Mapping[str, sql.Composable] | None = None,
) -> Frame:
    """The rows of a table that fulfil a condition, cast to the data contract, ordered by id.

    Raises SourceError where the table is not as the contract needs it.
    """
    extra = extra or {}
    query = select_rows(schema, table, columns, vocabularies, where or sql.SQL("true"), tuple(extra.values()))
    with as_contract(schema, table):
        arrays = copy_out(connection, query, column_types(columns) | dict.fromkeys(extra, ">i8"))
    kept = {column.name: vocabularies[column.name] for column in columns if column.kind == "category"}
    return Frame(arrays, kept)


def column_types(columns: Sequence[Column]) -> dict[str, str]:
    """How each of these columns arrives through binary COPY."""
    return {column.name: _TYPES[column.kind] for column in columns}


def select_rows(
    schema: str,
    table: str,
    columns: Sequence[Column],
    vocabularies: Vocabularies,
    where: sql.Composable,
    extra: Sequence[sql.Composable] = (),
) -> sql.Composed:
    """What selects these columns, then the extra expressions, ordered by id."""
    expressions = [*(_expression(column, vocabularies) for column in columns), *extra]
    return sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY id").format(
        sql.SQL(", ").join(expressions), sql.Identifier(schema, table), where
    )


@contextmanager
def as_contract(schema: str, table: str) -> Iterator[None]:
    """Raise SourceError where a statement fails because the table is not as the data contract says."""
    try:
        yield
    except (psycopg2.ProgrammingError, psycopg2.DataError) as error:
        if isinstance(error, psycopg2.errors.InsufficientPrivilege):
            raise
        words = words_of(error)
        raise SourceError(
            f"the source table {schema}.{table} is not as the data contract needs it ({words}): correct it, or give"
            " studyml a view that is."
        ) from error


def _expression(column: Column, vocabularies: Vocabularies) -> sql.Composable:
    name = sql.Identifier(column.name)
    if column.kind == "number":
        # NULL becomes NaN, and what is NaN in the source becomes infinite: missing is one thing, impossible another.
        return sql.SQL(
            "CASE WHEN {0} IS NULL THEN 'NaN' ELSE coalesce(nullif({0}::double precision, 'NaN'), 'Infinity') END"
        ).format(name)
    if column.kind == "time":
        return sql.SQL(
            "CASE WHEN {0}::timestamptz >= {1} AND {0}::timestamptz < {2} THEN {0}::timestamptz ELSE '-infinity' END"
        ).format(name, sql.Literal(EARLIEST), sql.Literal(LATEST))
    if column.kind == "category":
        return sql.SQL(
            "CASE WHEN nullif({0}::text, '') IS NULL THEN {2}"
            " ELSE coalesce(array_position({1}, {0}::text) - 1, {3}) END"
        ).format(
            name,
            sql.SQL("{}::text[]").format(sql.Literal(list(vocabularies[column.name]))),
            sql.Literal(MISSING),
            sql.Literal(UNSEEN),
        )
    return sql.SQL("coalesce({}::bigint, {}::bigint)").format(name, sql.SQL(f"'{NULL_INTEGER}'"))
