"""The revision of the schema ``studyml`` that this code needs."""

from psycopg2.extensions import connection as Connection

from studyml.errors import SchemaError

#: The newest migration; a test holds it against the migrations folder.
REVISION = "0008"


def current_revision(connection: Connection) -> str | None:
    """The revision that the database is at, or None where it was never migrated."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('studyml.alembic_version') IS NOT NULL")
        (exists,) = cursor.fetchone() or (False,)
        if not exists:
            return None
        cursor.execute("SELECT version_num FROM studyml.alembic_version")
        row = cursor.fetchone()
    return str(row[0]) if row else None


def require_schema(connection: Connection) -> None:
    """Raise SchemaError unless the database is at exactly the revision of this code."""
    found = current_revision(connection)
    connection.rollback()
    if found is None:
        raise SchemaError("the schema studyml does not exist in this database: run 'studyml db upgrade'.")
    if found != REVISION:
        raise SchemaError(
            f"the schema studyml is at revision {found} and this code needs {REVISION}: run 'studyml db upgrade'"
            " with the newer of the two."
        )
