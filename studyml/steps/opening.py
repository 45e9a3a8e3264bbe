"""How every step opens what it works on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TypeVar

from studyml.database.connection import Connection, connect
from studyml.database.schema import require_schema
from studyml.database.source import read_consistently, require_source
from studyml.errors import InputError
from studyml.registry.store import ArtifactStore, store_at
from studyml.settings import Settings

Result = TypeVar("Result")
#: Clocks of two machines may differ by so much.
_CLOCK_DIFFERENCE = timedelta(minutes=5)


@contextmanager
def own_database(settings: Settings) -> Iterator[Connection]:
    """A connection to our own database, migrated to exactly this code's revision.

    Raises DatabaseError where it cannot be reached, SchemaError where it is not migrated.
    """
    with connect(settings.database, statement_timeout_seconds=settings.statement_timeout_seconds) as connection:
        require_schema(connection)
        yield connection


def artifact_store(settings: Settings) -> ArtifactStore:
    """Where versions, builds and snapshots are kept; nothing is asked of it yet."""
    return store_at(settings.artifact_root, settings.artifact_cache)


def refuse_future(as_of: datetime, now: datetime) -> None:
    """Raise InputError for a night that has not come: once finished, it would make the next real one a replay."""
    if as_of > now + _CLOCK_DIFFERENCE:
        raise InputError(f"the night of {as_of.isoformat()} is in the future: give an as_of up to now.")


def read_source(settings: Settings, work: Callable[[Connection], Result]) -> Result:
    """Read the study app's tables in one consistent transaction; raises SourceError where they are missing."""

    def checked(connection: Connection) -> Result:
        require_source(connection, settings.source_schema)
        return work(connection)

    return read_consistently(settings.source, settings.source_timezone, settings.statement_timeout_seconds, checked)
