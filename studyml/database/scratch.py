"""The database in which a backtest lives its nights: made or found empty, marked as a backtest's, emptied or dropped.

Nothing but what carries the mark is ever deleted.
"""

from contextlib import closing
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import make_dsn, parse_dsn
from psycopg2.extras import Json

from studyml.database.connection import CONNECT_TIMEOUT_SECONDS, connect, describe, translate
from studyml.errors import DatabaseError, InputError

#: Holds the mark, and the labels that are hidden still; the source's tables stand in the other.
SCHEMA, SOURCE_SCHEMA = "backtest", "backtest_source"
_OURS = (SCHEMA, SOURCE_SCHEMA, "studyml", "analytics")
_SUFFIX = "_backtest"
#: PostgreSQL cuts longer names silently, which would lead to another database.
_LONGEST_NAME = 63


def scratch_name(url: str) -> str:
    """The name of the scratch database beside the database at ``url``.

    >>> scratch_name("postgresql://me@server/studyml")
    'studyml_backtest'
    """
    parts = parse_dsn(url)
    name = parts.get("dbname") or parts.get("user") or "studyml"
    short = name.encode()[: _LONGEST_NAME - len(_SUFFIX)].decode(errors="ignore")
    return short + _SUFFIX if short + _SUFFIX != name else _SUFFIX + short


def beside(url: str, name: str) -> str:
    """The address of the database ``name`` on the server of ``url``, with the same login."""
    return make_dsn(url, dbname=name)


def create_scratch(url: str) -> str:
    """Create the scratch database beside the one at ``url`` unless it exists; return its address.

    Raises DatabaseError where the login may not create databases.
    """
    name = scratch_name(url)
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
        exists = cursor.fetchone() is not None
    if not exists:
        try:
            _execute_alone(url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg2.errors.DuplicateDatabase:
            pass  # another backtest was a moment faster: the lock decides between the two
        except psycopg2.errors.InsufficientPrivilege:
            raise DatabaseError(
                f"the database user may not create the database {name} at {describe(url)}: have an empty one made, and"
                " name it with --workspace postgresql://user:password@host:5432/name."
            ) from None
        except psycopg2.Error as error:
            raise translate(url, error) from error
    return beside(url, name)


def drop_scratch(url: str) -> None:
    """Drop the scratch database beside the one at ``url``, cutting connections to it.

    One that the login could not create again was made for it by somebody else, and stays.
    """
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")
        (may_create,) = cursor.fetchone() or (False,)
    if not may_create:
        return
    try:
        _execute_alone(
            url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(scratch_name(url)))
        )
    except psycopg2.Error as error:
        raise translate(url, error) from error


def _execute_alone(url: str, statement: sql.Composed) -> None:
    """Databases are created and dropped outside of a transaction."""
    with closing(psycopg2.connect(url, connect_timeout=CONNECT_TIMEOUT_SECONDS)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


def find_parameters(connection: Connection) -> dict[str, Any] | None:
    """What the backtest of this database was begun with; None in an empty database.

    Raises InputError where the database holds anything that is not a backtest.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{SCHEMA}.parameters",))
        (is_marked,) = cursor.fetchone() or (False,)
        if is_marked:
            cursor.execute(sql.SQL("SELECT document FROM {}").format(sql.Identifier(SCHEMA, "parameters")))
            document: dict[str, Any] = (cursor.fetchone() or ({},))[0]
            return document
        cursor.execute(_FOREIGN)
        found = cursor.fetchone()
        cursor.execute("SELECT current_database()")
        (name,) = cursor.fetchone() or ("",)
    if found is not None:
        raise InputError(
            f"the database {name} holds {found[0]}, which is not a backtest's: name an empty database with --workspace."
        )
    return None


#: Anything that somebody made: a table, view, sequence, function or schema that no extension brought.
_FOREIGN = """
SELECT words FROM (
    SELECT n.nspname || '.' || c.relname AS words, c.oid, 'pg_class'::regclass AS class, n.nspname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL
    SELECT n.nspname || '.' || p.proname || '()', p.oid, 'pg_proc'::regclass, n.nspname
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    UNION ALL
    SELECT 'the schema ' || nspname, oid, 'pg_namespace'::regclass, nspname FROM pg_namespace WHERE nspname <> 'public'
) AS made
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = made.class AND d.objid = made.oid AND d.deptype = 'e')
ORDER BY words LIMIT 1
"""


def mark(connection: Connection, parameters: dict[str, Any]) -> None:
    """Note what the backtest is begun with: from now on the database is its own. The caller commits."""
    table = sql.Identifier(SCHEMA, "parameters")
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
        cursor.execute(sql.SQL("CREATE TABLE {} (document jsonb NOT NULL)").format(table))
        cursor.execute(sql.SQL("INSERT INTO {} VALUES (%s)").format(table), (Json(parameters),))


def empty_scratch(connection: Connection) -> None:
    """Delete the backtest that the database holds; raises InputError where it holds anything else. It commits."""
    if find_parameters(connection) is None:
        return
    # Partitions of many nights are more locks than one transaction may hold: they go one by one, the mark goes last.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.oid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = to_regclass('studyml.predictions')"
        )
        for (partition,) in cursor.fetchall():
            cursor.execute(f"DROP TABLE {partition}")
            connection.commit()
        for schema in reversed(_OURS):
            cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))
            connection.commit()
