"""Make another version champion by hand, when the present one is damaged or a person knows better."""

from datetime import datetime

from studyml.errors import ChampionChangedError, RegistryError
from studyml.registry.versions import champion, find, promote
from studyml.settings import Settings
from studyml.steps.opening import own_database
from studyml.steps.recipients import redacted
from studyml.steps.serving import open_version

#: A candidate is decided by its retraining; what is quarantined serves only where a person says so.
_STATUSES = ("retired", "rejected")


def promote_version(
    settings: Settings, version: str, *, now: datetime, actor: str, reason: str, from_quarantine: bool = False
) -> str | None:
    """Verify a retired or rejected version and make it champion; return the version it replaces.

    The present champion may be damaged: it is not opened. Raises ArtifactError where the version itself is
    damaged, RegistryError where it is of another status, quarantined ones without ``from_quarantine`` among them;
    nothing changes then.
    """
    with own_database(settings) as connection:
        found, present = find(connection, version), champion(connection)
        if present is not None and present.version == version:
            raise RegistryError(f"{version} is the champion already: nothing to do.")
        if found.status == "quarantined" and not from_quarantine:
            raise RegistryError(
                f"{version} was taken back and is quarantined: to make it serve all the same, add --from-quarantine."
            )
        open_version(settings, found)
        replacing = None if present is None else present.version
        statuses = (*_STATUSES, *(("quarantined",) if from_quarantine else ()))
        try:
            promote(
                connection,
                version,
                replacing=replacing,
                as_of=now,
                now=now,
                actor=redacted(settings, actor),
                reason=redacted(settings, reason),
                statuses=statuses,
            )
        except ChampionChangedError:
            raise changed_meanwhile(replacing) from None
        connection.commit()
    return replacing


def changed_meanwhile(present: str | None) -> RegistryError:
    """What a person is told whose view of the champion is no longer true."""
    return RegistryError(
        f"{present or 'no version'} serves no longer, it was replaced meanwhile: nothing was changed. Look at"
        " 'studyml versions list', then decide again."
    )
