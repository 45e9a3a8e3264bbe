"""The source's tables as ``load`` and ``simulate`` make them; a schema that studyml did not make is refused."""

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from studyml.contract import OPTIONAL, TABLES, Column
from studyml.errors import SourceError

#: The comment by which we know our own tables again.
MARK = "created by studyml"

_TYPES = {
    "id": "bigint",
    "integer": "bigint",
    "number": "double precision",
    "category": "text",
    "time": "timestamptz",
}
_REFERENCES = {"student_id": "students", "topic_id": "topics"}


def all_columns(table: str) -> tuple[Column, ...]:
    """The contract's columns of a table and the optional ones."""
    return (*TABLES[table], *OPTIONAL[table])


def sql_type(column: Column) -> str:
    """The PostgreSQL type in which we store a column."""
    return _TYPES[column.kind]


def ensure_source_tables(connection: Connection, schema: str) -> None:
    """Create the three tables where they are missing; raise SourceError where they are somebody else's.

    Their foreign keys come with ``ensure_references`` after the rows: checked at once, not row by row.
    """
    marks = [_mark(connection, schema, table) for table in TABLES]
    if all(mark == MARK for mark in marks):
        return
    foreign = [table for table, mark in zip(TABLES, marks, strict=True) if mark not in (MARK, None)]
    if foreign or any(mark == MARK for mark in marks):
        named = (foreign or list(TABLES))[0]
        raise SourceError(
            f"{schema}.{named} was not created by studyml and is read-only to it: load into another database, or set"
            " STUDYML_SOURCE_SCHEMA to a new schema."
        )
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        for table in TABLES:
            parts = sql.SQL(", ").join(_define(column) for column in all_columns(table))
            cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(schema, table), parts))
            cursor.execute(
                sql.SQL("COMMENT ON TABLE {} IS {}").format(sql.Identifier(schema, table), sql.Literal(MARK))
            )


def _mark(connection: Connection, schema: str, table: str) -> str | None:
    """None where the table does not exist, its comment or an empty text where it does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(obj_description(c.oid, 'pg_class'), '') FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
            (schema, table),
        )
        row = cursor.fetchone()
    return None if row is None else str(row[0])


def _define(column: Column) -> sql.Composed:
    words = sql.SQL("{} " + sql_type(column)).format(sql.Identifier(column.name))
    if column.name == "id":
        return words + sql.SQL(" PRIMARY KEY")
    return words + sql.SQL(" NOT NULL") if column.required else words


def ensure_references(connection: Connection, schema: str) -> None:
    """Add the foreign keys of study_sessions where they are missing."""
    with connection.cursor() as cursor:
        for name, target in _REFERENCES.items():
            cursor.execute(
                "SELECT FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace"
                " WHERE n.nspname = %s AND c.conname = %s",
                (schema, f"study_sessions_{name}_fkey"),
            )
            if cursor.fetchone() is None:
                cursor.execute(
                    sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {}").format(
                        sql.Identifier(schema, "study_sessions"),
                        sql.Identifier(f"study_sessions_{name}_fkey"),
                        sql.Identifier(name),
                        sql.Identifier(schema, target),
                    )
                )


def count_sessions(connection: Connection, schema: str) -> int:
    """Rows of study_sessions."""
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, "study_sessions")))
        return int((cursor.fetchone() or (0,))[0])
