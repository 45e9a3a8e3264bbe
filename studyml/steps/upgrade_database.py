"""Create or migrate our schemas."""

from studyml.database.migrate import upgrade
from studyml.database.schema import REVISION
from studyml.settings import Settings


def upgrade_database(settings: Settings) -> tuple[str, list[str]]:
    """Migrate; return the revision, and what the migrating user was not allowed to do.

    Raises DatabaseError where the database cannot be reached or refuses, SchemaError where it is newer than this code.
    """
    notices = upgrade(settings.database)
    return REVISION, notices
