"""Alembic, driven from the code: ``studyml db upgrade``."""

from pathlib import Path

import psycopg2

from studyml.database.connection import CONNECT_TIMEOUT_SECONDS, Connection, connect, describe, translate
from studyml.errors import DatabaseError, SchemaError

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def upgrade(url: str) -> list[str]:
    """Migrate the database to the newest revision, in one transaction; return what a person should know.

    The notices name everything that the migrating user was not allowed to do (create roles, grant), so that an
    administrator can do it later. Raises DatabaseError where the database cannot be reached or refuses.
    """
    import sqlalchemy
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    _require_schemas(url)
    # The driver parses the address, as everywhere: SQLAlchemy's own parser reads some passwords differently.
    notices = _Notices()
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg2://", creator=lambda: _open(url, notices), poolclass=sqlalchemy.pool.NullPool
    )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        with engine.connect() as engine_connection:
            config.attributes["connection"] = engine_connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise SchemaError(
            f"the schema studyml at {describe(url)} is at a revision that this version does not know ({error}):"
            " install the newer studyml that made it."
        ) from None
    except psycopg2.Error as error:
        raise translate(url, error) from error
    except sqlalchemy.exc.DBAPIError as error:
        if isinstance(error.orig, psycopg2.Error):
            raise translate(url, error.orig) from error
        raise
    finally:
        engine.dispose()
    return notices.told


def _require_schemas(url: str) -> None:
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT has_database_privilege(current_database(), 'CREATE')")
        (may_create,) = cursor.fetchone() or (False,)
        cursor.execute("SELECT to_regnamespace('studyml') IS NOT NULL AND to_regnamespace('analytics') IS NOT NULL")
        (has_schemas,) = cursor.fetchone() or (False,)
        if not (may_create or has_schemas):
            raise DatabaseError(
                "the database user may not create the schemas studyml and analytics: create both and make it their"
                " owner."
            )


class _Notices:
    """Collects what the migrations tell a person; a list would be emptied by SQLAlchemy after every statement."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def append(self, line: str) -> None:
        # Only our own notices speak to a person; the server's ("already exists, skipping") do not.
        _, marker, words = line.partition("studyml: ")
        if marker:
            self.told.append(words.strip())


def _open(url: str, notices: _Notices) -> Connection:
    connection = psycopg2.connect(url, connect_timeout=CONNECT_TIMEOUT_SECONDS, application_name="studyml")
    connection.notices = notices  # type: ignore[assignment]  # psycopg2 takes whatever has append()
    return connection
