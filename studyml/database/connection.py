"""Connections to PostgreSQL whose failures are sentences."""

import re
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import psycopg2.errors
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn

from studyml.errors import DatabaseError, LockBusyError, SchemaError, SourceError, StudymlError

__all__ = ["Connection", "advisory_lock", "connect", "describe", "translate"]

CONNECT_TIMEOUT_SECONDS = 10
_LOCK_NAMESPACE = 0x5374_7564


def describe(url: str) -> str:
    """Host, port and database of an address, without user and password."""
    try:
        parts = parse_dsn(url)
    except psycopg2.ProgrammingError:
        return "an address that cannot be parsed"
    return f"{parts.get('host', 'localhost')}:{parts.get('port', '5432')}/{parts.get('dbname', '')}"


@contextmanager
def connect(url: str, *, statement_timeout_seconds: int = 1800, timezone: str = "UTC") -> Iterator[Connection]:
    """One connection, closed at the end; a transaction left open is rolled back.

    Raises DatabaseError where the server cannot be reached or a statement fails, SchemaError where our tables
    are missing.
    """
    try:
        connection = psycopg2.connect(
            url,
            application_name="studyml",
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            client_encoding="UTF8",
            options=f"-c statement_timeout={statement_timeout_seconds * 1000} -c TimeZone={timezone}"
            " -c idle_in_transaction_session_timeout=3600000",
        )
    except psycopg2.ProgrammingError:
        # What libpq says of an address that it cannot parse quotes parts of it, passwords too.
        raise DatabaseError(
            "the database's address cannot be parsed: write special characters of user and password as %XX."
        ) from None
    except psycopg2.Error as error:
        raise _unreachable(url, error) from None
    try:
        yield connection
    except psycopg2.Error as error:
        if error.cursor is not None and error.cursor.connection is not connection:
            raise  # another database's, opened around this one: its own sentence names it
        raise translate(url, error) from error
    finally:
        connection.close()


@contextmanager
def advisory_lock(connection: Connection, name: str, *, wait_seconds: float = 600) -> Iterator[None]:
    """Hold the session lock ``name`` in our database; raise LockBusyError after ``wait_seconds``.

    The lock dies with its connection, so a killed process never leaves one behind.
    """
    key = zlib.crc32(name.encode()) - 2**31
    waited, pause = 0.0, 0.05
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", (_LOCK_NAMESPACE, key))
            (taken,) = cursor.fetchone() or (False,)
        connection.commit()
        if taken:
            break
        if waited >= wait_seconds:
            raise LockBusyError(f"another process holds the lock '{name}': wait until it ends, then run this again.")
        time.sleep(pause)
        waited, pause = waited + pause, min(pause * 2, 2.0)
    try:
        yield
    finally:
        if not connection.closed:
            connection.rollback()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", (_LOCK_NAMESPACE, key))
            connection.commit()


def _unreachable(url: str, error: psycopg2.Error) -> StudymlError:
    words = words_of(error)
    return DatabaseError(
        f"PostgreSQL at {describe(url)} cannot be reached ({words}): check that it runs, and that address, user and"
        " password are right."
    )


def translate(url: str, error: psycopg2.Error) -> StudymlError:
    """The sentence for a failed statement; the original error stays attached as its cause."""
    words, place = words_of(error), describe(url)
    if isinstance(error, psycopg2.errors.UndefinedTable | psycopg2.errors.InvalidSchemaName) and "studyml." in words:
        return SchemaError(f"the schema studyml at {place} is not as this version needs it: run 'studyml db upgrade'.")
    if isinstance(error, psycopg2.errors.UndefinedTable | psycopg2.errors.UndefinedColumn):
        return SourceError(f"the database at {place} lacks something the data contract names: {words}.")
    if isinstance(error, psycopg2.errors.InsufficientPrivilege):
        return DatabaseError(
            f"the database user may not do this at {place} ({words}): grant it, see docs/operations.md."
        )
    if isinstance(error, psycopg2.errors.LockNotAvailable):
        return LockBusyError(f"a table at {place} stayed locked by readers ({words}): run this again when they end.")
    if isinstance(error, psycopg2.errors.QueryCanceled):
        return DatabaseError(f"a statement at {place} took too long ({words}): see STUDYML_STATEMENT_TIMEOUT_SECONDS.")
    return DatabaseError(f"PostgreSQL at {place} refused or lost a statement: {words}.")


def words_of(error: psycopg2.Error) -> str:
    """What PostgreSQL says first, in one line without its full stop, and without the value that it refuses."""
    text = str(error.diag.message_primary or error).strip()
    if isinstance(error, psycopg2.DataError):
        # Before it is cut: a value may hold a line break, and then its closing quote would be gone.
        text = re.sub(r'".*"', '"…"', text, flags=re.DOTALL)
    line = next(iter(text.splitlines()), type(error).__name__)
    line = re.sub(r"postgres(ql)?://\S+", "postgresql://…", line)
    return re.sub(r"\s+", " ", line).strip().rstrip(".")
