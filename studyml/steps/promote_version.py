"""Make an older version champion by hand, when the present one is damaged or a person knows better."""

from datetime import datetime

from studyml.database.connection import advisory_lock
from studyml.errors import RegistryError
from studyml.registry.versions import champion, find, promote
from studyml.settings import Settings
from studyml.steps.opening import own_database
from studyml.steps.serving import open_version

#: A candidate is decided by its retraining; what is quarantined stays so.
_STATUSES = ("retired", "rejected")


def promote_version(settings: Settings, version: str, *, now: datetime, actor: str, reason: str) -> str | None:
    """Verify a retired or rejected version and make it champion; return the version it replaces.

    The present champion may be damaged: it is not opened. Raises ArtifactError where the version itself is
    damaged, RegistryError where it is of another status; nothing changes then.
    """
    with own_database(settings) as connection, advisory_lock(connection, "registry"):
        found, present = find(connection, version), champion(connection)
        if present is not None and present.version == version:
            raise RegistryError(f"{version} is the champion already: nothing to do.")
        open_version(settings, found)
        replacing = None if present is None else present.version
        promote(
            connection,
            version,
            replacing=replacing,
            as_of=now,
            now=now,
            actor=actor,
            reason=reason,
            statuses=_STATUSES,
        )
        connection.commit()
    return replacing
