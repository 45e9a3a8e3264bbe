"""Which levels the categories of the study app's tables have."""

from collections.abc import Mapping

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from studyml.contract import STUDENTS
from studyml.database.binary import array_literal
from studyml.database.source import SESSION_FEATURES, TOPIC_COLUMNS, Ids

#: More levels than this are not worth a column each; the rest counts as unseen.
MAXIMUM_LEVELS = 200


def read_vocabularies(
    connection: Connection, schema: str, *, ids: Mapping[str, Ids] | None = None
) -> dict[str, tuple[str, ...]]:
    """The levels of every category, most frequent first, at most MAXIMUM_LEVELS each.

    ``ids`` by table: only the levels of the categories of these tables, and of these rows.
    """
    tables = {"students": STUDENTS, "topics": TOPIC_COLUMNS, "study_sessions": SESSION_FEATURES}
    found: dict[str, tuple[str, ...]] = {}
    for table in tables if ids is None else ids:
        where: sql.Composable = sql.SQL("true")
        if ids is not None:
            where = sql.SQL("id = ANY({}::bigint[])").format(array_literal(ids[table]))
        for column in tables[table]:
            if column.kind == "category":
                found[column.name] = _levels(connection, schema, table, column.name, where)
    return found


def _levels(connection: Connection, schema: str, table: str, name: str, where: sql.Composable) -> tuple[str, ...]:
    query = sql.SQL(
        "SELECT {0}::text FROM {1} WHERE {0}::text <> '' AND {3} GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {2}"
    ).format(sql.Identifier(name), sql.Identifier(schema, table), sql.Literal(MAXIMUM_LEVELS), where)
    with connection.cursor() as cursor:
        cursor.execute(query)
        return tuple(level for (level,) in cursor.fetchall())
