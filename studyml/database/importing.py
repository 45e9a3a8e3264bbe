"""CSV files into the source's tables: COPY into typed staging tables, refuse in SQL, then one transaction.

PostgreSQL itself reads the numbers and dates, so a file of a million rows never passes through Python values.
"""

import csv
import io
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg2
import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from studyml.contract import LABEL_FUTURE_HOURS, OPTIONAL, TABLES, Column, impossible_reason
from studyml.database.quarantine import QuarantinedRow
from studyml.database.source_tables import all_columns, sql_type
from studyml.errors import InputError

Progress = Callable[[str, float], None]

_TELL_SECONDS = 1.0
_TYPE_WORDS = {"bigint": "a whole number", "double precision": "a number", "timestamp": "a date and time"}


@dataclass(frozen=True)
class ImportedFile:
    """What became of one file: rows read, kept and quarantined, and unusual values by column."""

    name: str
    read: int
    kept: int
    quarantined: tuple[QuarantinedRow, ...] = ()
    unusual: dict[str, int] = field(default_factory=dict)
    ignored_columns: tuple[str, ...] = ()


class _CountingReader(io.RawIOBase):
    """Reads a file for COPY and tells how far it is, as a share of the bytes."""

    def __init__(self, path: Path, skip: int, progress: Progress) -> None:
        super().__init__()
        self._file, self._path, self._progress = path.open("rb"), path, progress
        self._file.seek(skip)
        self._size, self._done, self._told = max(path.stat().st_size, 1), skip, time.monotonic()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._done += len(piece)
        if time.monotonic() - self._told >= _TELL_SECONDS:
            self._told = time.monotonic()
            self._progress(self._path.name, self._done / self._size)
        return piece

    def close(self) -> None:
        self._file.close()
        super().close()


def read_header(directory: Path, table: str) -> tuple[list[str], int]:
    """The header of ``table``.csv and the bytes it takes; raises InputError naming a missing file or column."""
    path = directory / f"{table}.csv"
    if not path.is_file():
        raise InputError(
            f"{path} does not exist: the folder must hold students.csv, topics.csv and study_sessions.csv."
        )
    with path.open("rb") as file:
        line = file.readline()
    try:
        names = next(csv.reader([line.decode("utf-8-sig")]), [])
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is not UTF-8 text: save it as CSV in UTF-8.") from None
    names = [name.strip() for name in names]
    for column in TABLES[table]:
        if column.header not in names:
            raise InputError(f"{path.name} has no column {column.header}: add it to the header (values may be empty).")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"{path.name} has the column {twice[0]} twice: keep one of them.")
    return names, len(line)


def stage_file(connection: Connection, directory: Path, table: str, progress: Progress) -> tuple[str, ...]:
    """COPY one file into its staging table ``pg_temp.staged_<table>``; return the columns that were ignored.

    Raises InputError naming file, line, column and value of what cannot be read, and of an id that stands twice.
    """
    names, header_bytes = read_header(directory, table)
    path = directory / f"{table}.csv"
    known = {column.header: column for column in all_columns(table)}
    fields = [
        sql.SQL("{} " + (sql_type(known[name]) if name in known else "text")).format(
            sql.Identifier(_target(known, name))
        )
        for name in names
    ]
    staging = sql.Identifier(f"staged_{table}")
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "CREATE TEMP TABLE {} (file_line bigint GENERATED ALWAYS AS IDENTITY (START 2), {}) ON COMMIT DROP"
            ).format(staging, sql.SQL(", ").join(fields))
        )
        quoted = sql.SQL(", ").join(sql.Identifier(_target(known, name)) for name in names)
        copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, FORCE_NULL ({}), ENCODING 'UTF8')").format(
            staging, quoted, quoted
        )
        reader = _CountingReader(path, header_bytes, progress)
        try:
            cursor.copy_expert(copy, reader)
        except (psycopg2.DataError, psycopg2.errors.CharacterNotInRepertoire) as error:
            raise InputError(_unreadable(path.name, known, error)) from None
        finally:
            reader.close()
        cursor.execute(sql.SQL("ANALYZE {}").format(staging))
    _refuse_bad_ids(connection, path.name, table)
    return tuple(name for name in names if name not in known)


def _target(known: dict[str, Column], header: str) -> str:
    return known[header].name if header in known else f"ignored: {header}"[:63]


def _unreadable(file: str, known: dict[str, Column], error: psycopg2.Error) -> str:
    context = error.diag.context or ""
    place = re.search(r"line (\d+)(?:, column ([^:]+))?(?:: \"(.*)\")?", context, re.DOTALL)
    line = int(place[1]) + 1 if place else 0
    headers = {column.name: column.header for column in known.values()}
    if place and place[2]:
        wanted = next((words for kind, words in _TYPE_WORDS.items() if kind in str(error)), "usable")
        value = (place[3] or "")[:60]
        header = headers.get(place[2], place[2])
        return f"{file} line {line}: {header} '{value}' is not {wanted}: correct it and load again."
    words = (error.diag.message_primary or "cannot be read").rstrip(".")
    return f"{file} line {line}: {words}: correct the file and load again."


def _refuse_bad_ids(connection: Connection, file: str, table: str) -> None:
    header = TABLES[table][0].header
    staging = sql.Identifier(f"staged_{table}")
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT min(file_line) FROM {} WHERE id IS NULL").format(staging))
        (line,) = cursor.fetchone() or (None,)
        if line is not None:
            raise InputError(f"{file} line {line}: {header} is empty: every row needs one.")
        cursor.execute(
            sql.SQL(
                "SELECT id, min(file_line), max(file_line) FROM {} GROUP BY id HAVING count(*) > 1 ORDER BY 2 LIMIT 1"
            ).format(staging)
        )
        row = cursor.fetchone()
    if row is not None:
        raise InputError(f"{file}: {header} {row[0]} stands on line {row[1]} and again on line {row[2]}: keep one row.")


def refuse_rows(connection: Connection, schema: str, table: str, now: datetime) -> list[QuarantinedRow]:
    """Take the impossible rows out of a staging table and return them with their reasons."""
    refused: list[QuarantinedRow] = []
    for column in TABLES[table]:
        if column.required and column.name != "id":
            refused += _take_out(connection, table, column, sql.SQL("{0} IS NULL"), partial(_missing, column))
        elif column.kind == "number":
            refused += _take_out(connection, table, column, _impossible(column), partial(impossible_reason, column))
    if table == "study_sessions":
        limit = now + timedelta(hours=LABEL_FUTURE_HOURS)
        label = next(column for column in TABLES[table] if column.name == "actual_duration")
        condition = sql.SQL("{{0}} IS NOT NULL AND session_date > {}").format(sql.Literal(limit)).as_string(connection)
        reason = "actual_duration is given for a session more than 24 h in the future"
        refused += _take_out(connection, table, label, sql.SQL(condition), lambda _: reason)
        for name, target in (("student_id", "students"), ("topic_id", "topics")):
            column = next(each for each in TABLES[table] if each.name == name)
            refused += _take_out(connection, table, column, _dangling(schema, target, connection), _dangles(target))
    return refused


def _missing(column: Column, _: float) -> str:
    return f"{column.header} is missing"


def _impossible(column: Column) -> sql.SQL:
    # In PostgreSQL NaN is greater than every number, infinity included.
    tests = ["{0} >= 'infinity'", "{0} = '-infinity'"]
    if column.above is not None:
        tests.append(f"{{0}} <= {column.above}")
    if column.at_most is not None:
        tests.append(f"{{0}} > {column.at_most}")
    return sql.SQL(" OR ".join(tests))


def _dangling(schema: str, target: str, connection: Connection) -> sql.SQL:
    condition = sql.SQL(
        "NOT EXISTS (SELECT FROM {staged} t WHERE t.id = {{0}})"
        " AND NOT EXISTS (SELECT FROM {stored} t WHERE t.id = {{0}})"
    ).format(staged=sql.Identifier(f"staged_{target}"), stored=sql.Identifier(schema, target))
    return sql.SQL(condition.as_string(connection))


def _dangles(target: str) -> Callable[[float], str]:
    singular = target.removesuffix("s")
    return lambda value: f"{singular}_id {value} has no row in {target} that could be used"


def _take_out(
    connection: Connection, table: str, column: Column, condition: sql.SQL, reason: Callable[[float], str]
) -> list[QuarantinedRow]:
    personal = [each.name for each in OPTIONAL[table] if each.personal]
    name = sql.SQL("s.{}").format(sql.Identifier(column.name))
    query = sql.SQL("DELETE FROM {} s WHERE {} RETURNING s.id, s.file_line, {}, to_jsonb(s) - %s::text[]").format(
        sql.Identifier(f"staged_{table}"), condition.format(name), name
    )
    with connection.cursor() as cursor:
        cursor.execute(query, (["file_line", *personal],))
        return [
            QuarantinedRow(f"{table}.csv", str(row_id), column.header, reason(value), values)
            for row_id, _, value, values in cursor.fetchall()
        ]


def count_unusual(connection: Connection, table: str) -> dict[str, int]:
    """Values outside the documented range by column, only those that occur."""
    ranged = [column for column in TABLES[table] if column.usual]
    if not ranged:
        return {}
    counts = sql.SQL(", ").join(
        sql.SQL("count(*) FILTER (WHERE {} NOT BETWEEN {} AND {})").format(
            sql.Identifier(column.name), *map(sql.Literal, column.usual or ())
        )
        for column in ranged
    )
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {} FROM {}").format(counts, sql.Identifier(f"staged_{table}")))
        row: Sequence[int] = cursor.fetchone() or ()
    return {column.name: int(count) for column, count in zip(ranged, row, strict=True) if count}


def merge_staged(connection: Connection, schema: str, table: str) -> int:
    """Insert the staged rows and update those that changed; return how many rows were staged."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 1 AND NOT attisdropped",
            (f"pg_temp.staged_{table}",),
        )
        known = {column.name for column in all_columns(table)}
        names = [name for (name,) in cursor.fetchall() if name in known]
        others = [name for name in names if name != "id"]
        cursor.execute(
            sql.SQL(
                "INSERT INTO {table} AS t ({names}) SELECT {names} FROM {staged} ORDER BY id ON CONFLICT (id) DO UPDATE"
                " SET ({others}) = ROW({new}) WHERE ({old}) IS DISTINCT FROM ({new})"
            ).format(
                table=sql.Identifier(schema, table),
                staged=sql.Identifier(f"staged_{table}"),
                names=sql.SQL(", ").join(map(sql.Identifier, names)),
                others=sql.SQL(", ").join(map(sql.Identifier, others)),
                new=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in others),
                old=sql.SQL(", ").join(sql.Identifier("t", name) for name in others),
            )
        )
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(f"staged_{table}")))
        return int((cursor.fetchone() or (0,))[0])
