"""CSV files into the source's tables: COPY into typed staging tables, refuse in SQL, then one transaction.

PostgreSQL itself reads the numbers and dates, so a file of a million rows never passes through Python values.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg2
import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from studyml.contract import (
    EARLIEST,
    LABEL_FUTURE_HOURS,
    LATEST,
    TABLES,
    Bound,
    Column,
    column,
    reason_words,
)
from studyml.database.csv_files import CountingReader, CsvFile, Progress
from studyml.database.source_tables import all_columns, sql_type
from studyml.errors import InputError

_KIND_WORDS = {"id": "a whole number", "number": "a number", "time": "a date and time such as 2026-03-01T14:30+00:00"}
_EXAMPLES = 5
# PostgreSQL's context of a failed COPY: table, line and, where a value is at fault, column and value.
_PLACE = re.compile(r"COPY \S+, line (\d+)(?:, column ([^:]+?))?(?:: \"(.*)\")?\s*$", re.DOTALL)
_CUT = 60


@dataclass(frozen=True)
class ImportedFile:
    """What became of one file: rows read, kept and quarantined (the first few told), unusual values by column."""

    name: str
    read: int
    kept: int
    quarantined: int = 0
    examples: tuple[str, ...] = ()
    unusual: dict[str, int] = field(default_factory=dict)
    ignored_columns: tuple[str, ...] = ()


def open_refusals(connection: Connection) -> None:
    """Create the table ``pg_temp.refused``, which holds what an import refuses until it is recorded."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE refused (source text, row_id text, column_name text, reason text, row_values jsonb,"
            " record bigint) ON COMMIT DROP"
        )


def import_file(
    connection: Connection, schema: str, table: str, file: CsvFile, *, now: datetime, progress: Progress
) -> ImportedFile:
    """Stage one file, refuse what is impossible, and merge the rest into the source's table. The caller commits.

    Raises InputError naming file, line, column and value of what cannot be read, and of an id that stands twice.
    """
    read = _stage(connection, table, file, progress)
    _refuse_bad_ids(connection, table, file)
    for spec, condition, reason in _refusals(schema, table, now):
        _take_out(connection, table, spec, condition, reason)
    unusual = _count_unusual(connection, table)
    kept = _merge(connection, schema, table, file)
    known = _known(table)
    ignored = tuple(name for name in file.headers if name and name not in known)
    return ImportedFile(file.path.name, read, kept, read - kept, _examples(connection, table), unusual, ignored)


def _known(table: str) -> dict[str, Column]:
    return {each.header: each for each in all_columns(table)}


def _targets(table: str, file: CsvFile) -> list[str]:
    """The staging table's columns: a header that is not in the contract is known by its position only."""
    known = _known(table)
    return [
        known[name].name if name in known else f"ignored_{position}"
        for position, name in enumerate(file.headers, start=1)
    ]


def _staged(table: str) -> sql.Identifier:
    return sql.Identifier(f"staged_{table}")


def _stage(connection: Connection, table: str, file: CsvFile, progress: Progress) -> int:
    types = {each.name: sql_type(each) for each in all_columns(table)}
    targets = _targets(table, file)
    fields = [sql.SQL("{} " + types.get(name, "text")).format(sql.Identifier(name)) for name in targets]
    names = sql.SQL(", ").join(map(sql.Identifier, targets))
    with connection.cursor() as cursor:
        # A date is read year first or not at all: 01/02/2026 means two days, and the server's own order is not ours.
        cursor.execute("SET LOCAL DateStyle = 'ISO, YMD'")
        cursor.execute(
            sql.SQL("CREATE TEMP TABLE {} (record bigint GENERATED ALWAYS AS IDENTITY, {}) ON COMMIT DROP").format(
                _staged(table), sql.SQL(", ").join(fields)
            )
        )
        copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, FORCE_NULL ({}), ENCODING 'UTF8')")
        reader = CountingReader(file, progress)
        try:
            cursor.copy_expert(copy.format(_staged(table), names, names), reader, size=1 << 16)
        except psycopg2.DataError as error:
            raise InputError(_unreadable(table, file, error)) from None
        finally:
            reader.close()
        read = int(cursor.rowcount)
        cursor.execute(sql.SQL("ANALYZE {}").format(_staged(table)))
    return read


def _unreadable(table: str, file: CsvFile, error: psycopg2.Error) -> str:
    name, place = file.path.name, _PLACE.search(error.diag.context or "")
    words = (error.diag.message_primary or "it cannot be read").rstrip(".")
    if place is None:
        return f"{name} cannot be read ({words}): correct the file and load again."
    line, target, value = file.line_of_copy(int(place[1])), place[2], " ".join((place[3] or "").split())
    if isinstance(error, psycopg2.errors.CharacterNotInRepertoire):
        return f"{name} line {line} is not UTF-8 text: save the file as CSV in UTF-8."
    spec = {each.name: each for each in all_columns(table)}.get(target or "")
    if spec is not None:
        shown = value if len(value) <= _CUT else value[:_CUT] + "…"
        return (
            f"{name} line {line}: {spec.header} '{shown}' is not {_KIND_WORDS[spec.kind]}: correct it and load again."
        )
    if words.startswith("missing data"):
        words = "the line is empty" if not value else f"there are fewer values than the {len(file.headers)} columns"
    elif words.startswith("extra data"):
        words = f"there are more values than the {len(file.headers)} columns"
    return f"{name} line {line}: {words}: correct the file and load again."


def _refuse_bad_ids(connection: Connection, table: str, file: CsvFile) -> None:
    header, name = TABLES[table][0].header, file.path.name
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT min(record) FROM {} WHERE id IS NULL").format(_staged(table)))
        (record,) = cursor.fetchone() or (None,)
        if record is not None:
            raise InputError(f"{name} line {file.line_of(record)}: {header} is empty: every row needs one.")
        cursor.execute(
            sql.SQL(
                "SELECT id, min(record), max(record) FROM {} GROUP BY id HAVING count(*) > 1 ORDER BY 2 LIMIT 1"
            ).format(_staged(table))
        )
        row = cursor.fetchone()
    if row is not None:
        first, again = file.line_of(row[1]), file.line_of(row[2])
        raise InputError(f"{name}: {header} {row[0]} stands on line {first} and again on line {again}: keep one row.")


Refusal = tuple[Column, sql.Composable, sql.Composable]


def _refusals(schema: str, table: str, now: datetime) -> Iterator[Refusal]:
    """(column at fault, condition, reason) of everything that makes a row of the staging table ``s`` impossible."""
    for spec in TABLES[table]:
        value = sql.Identifier("s", spec.name)
        if spec.required and spec.name != "id":
            yield spec, sql.SQL("{} IS NULL").format(value), sql.Literal(f"{spec.header} is missing")
        if spec.kind == "time":
            bounds = sql.Literal(EARLIEST), sql.Literal(LATEST)
            words = f", not between the years {EARLIEST.year} and {LATEST.year}"
            yield (
                spec,
                sql.SQL("{0} < {1} OR {0} >= {2}").format(value, *bounds),
                _worded((f"{spec.header} is ", words), value),
            )
        elif spec.kind == "number":
            tests = _impossible(spec, value)
            yield spec, sql.SQL(" OR ").join(tests.values()), _reason(spec, value, tests)
    if table == "study_sessions":
        yield _future_label(now)
        for name, target in (("student_id", "students"), ("topic_id", "topics")):
            yield _dangling(schema, column(table, name), target)


def _impossible(spec: Column, value: sql.Identifier) -> dict[Bound, sql.Composable]:
    # In PostgreSQL NaN is greater than every number, infinity included.
    tests: dict[Bound, sql.Composable] = {"finite": sql.SQL("({0} >= 'infinity' OR {0} = '-infinity')").format(value)}
    if spec.above is not None:
        tests["above"] = sql.SQL("{} <= {}").format(value, sql.Literal(spec.above))
    if spec.at_most is not None:
        tests["at_most"] = sql.SQL("{} > {}").format(value, sql.Literal(spec.at_most))
    return tests


def _reason(spec: Column, value: sql.Identifier, tests: dict[Bound, sql.Composable]) -> sql.Composable:
    cases = [
        sql.SQL("WHEN {} THEN {}").format(test, _worded(reason_words(spec, bound), value))
        for bound, test in tests.items()
    ]
    return sql.SQL("CASE {} END").format(sql.SQL(" ").join(cases))


def _worded(words: tuple[str, ...], value: sql.Identifier) -> sql.Composable:
    between = sql.SQL(" || {}::text || ").format(value)
    found: sql.Composable = sql.Literal(words[0])
    for following in words[1:]:
        found = found + between + sql.Literal(following)
    return found


def _future_label(now: datetime) -> Refusal:
    spec, limit = column("study_sessions", "actual_duration"), now + timedelta(hours=LABEL_FUTURE_HOURS)
    condition = sql.SQL("s.actual_duration IS NOT NULL AND s.session_date > {}").format(sql.Literal(limit))
    reason = f"{spec.name} is given for a session more than {LABEL_FUTURE_HOURS} h in the future"
    return spec, condition, sql.Literal(reason)


def _dangling(schema: str, spec: Column, target: str) -> Refusal:
    condition = sql.SQL(
        "NOT EXISTS (SELECT FROM {staged} t WHERE t.id = {value})"
        " AND NOT EXISTS (SELECT FROM {stored} t WHERE t.id = {value})"
    ).format(staged=_staged(target), stored=sql.Identifier(schema, target), value=sql.Identifier("s", spec.name))
    words = f"{spec.name} ", f" has no row in {target} that could be used"
    return spec, condition, _worded(words, sql.Identifier("s", spec.name))


def _take_out(
    connection: Connection, table: str, spec: Column, condition: sql.Composable, reason: sql.Composable
) -> None:
    # Only the contract's columns are kept: one that nobody knows may hold what is personal, too.
    kept = [each for each in all_columns(table) if not each.personal]
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "WITH gone AS (DELETE FROM {staged} s WHERE {condition} RETURNING s.*, {reason} AS why)"
                " INSERT INTO refused SELECT {source}, id::text, {column}, why, (SELECT jsonb_object_agg(key, value)"
                " FROM jsonb_each(to_jsonb(gone)) WHERE key = ANY({kept})), record FROM gone"
            ).format(
                staged=_staged(table),
                condition=condition,
                reason=reason,
                source=sql.Literal(f"{table}.csv"),
                column=sql.Literal(spec.header),
                kept=sql.Literal([each.name for each in kept]),
            )
        )


def _examples(connection: Connection, table: str) -> tuple[str, ...]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT row_id, reason FROM refused WHERE source = %s ORDER BY record LIMIT %s", (f"{table}.csv", _EXAMPLES)
        )
        return tuple(f"row {row_id} quarantined: {reason}" for row_id, reason in cursor.fetchall())


def _count_unusual(connection: Connection, table: str) -> dict[str, int]:
    ranged = [each for each in TABLES[table] if each.usual]
    counts = [
        sql.SQL("count(*) FILTER (WHERE {} NOT BETWEEN {} AND {})").format(
            sql.Identifier(each.name), *map(sql.Literal, each.usual or ())
        )
        for each in ranged
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(counts), _staged(table)))
        row: Sequence[int] = cursor.fetchone() or ()
    return {each.name: int(count) for each, count in zip(ranged, row, strict=True) if count}


def _merge(connection: Connection, schema: str, table: str, file: CsvFile) -> int:
    """Insert the staged rows and update those that changed; return how many rows were staged."""
    known = {each.name for each in all_columns(table)}
    names = [name for name in _targets(table, file) if name in known]
    others = [name for name in names if name != "id"]
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "INSERT INTO {table} AS t ({names}) SELECT {names} FROM {staged} ORDER BY id ON CONFLICT (id) DO UPDATE"
                " SET ({others}) = ROW({new}) WHERE ({old}) IS DISTINCT FROM ({new})"
            ).format(
                table=sql.Identifier(schema, table),
                staged=_staged(table),
                names=sql.SQL(", ").join(map(sql.Identifier, names)),
                others=sql.SQL(", ").join(map(sql.Identifier, others)),
                new=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in others),
                old=sql.SQL(", ").join(sql.Identifier("t", name) for name in others),
            )
        )
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(_staged(table)))
        return int((cursor.fetchone() or (0,))[0])
