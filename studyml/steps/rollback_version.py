"""Take the champion back: an earlier version, verified first, serves at once, and the bad one is quarantined."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from studyml.database.connection import Connection
from studyml.errors import ArtifactError, ChampionChangedError, RegistryError, StoreError, StudymlError
from studyml.registry.deployments import deployments, predecessors
from studyml.registry.versions import Version, champion, find, promote
from studyml.settings import Settings
from studyml.steps.newest_night import newest_night
from studyml.steps.opening import own_database
from studyml.steps.promote_version import changed_meanwhile
from studyml.steps.recipients import redacted
from studyml.steps.score import score
from studyml.steps.serving import open_version


@dataclass(frozen=True)
class Rollback:
    """Which version serves now, which one it took the place of, and the damaged ones that were passed over."""

    version: str
    quarantined: str
    skipped: dict[str, str]


def rollback_version(
    settings: Settings,
    version: str | None,
    *,
    now: datetime,
    actor: str,
    reason: str,
    from_quarantine: bool = False,
) -> Rollback:
    """Make an earlier version champion and quarantine the present one, in one transaction.

    By default the newest that served before and is whole; damaged ones are passed over. Waits for no training: a
    candidate that is judged meanwhile is judged again. Raises RegistryError where there is nothing to go back to,
    ArtifactError where the one that was asked for is damaged, StoreError where the object store cannot be reached;
    nothing changes then.
    """
    with own_database(settings) as connection:
        present = champion(connection)
        if present is None:
            raise RegistryError("no version serves, so there is nothing to take back: see 'studyml versions list'.")
        if version is None:
            target, skipped = _newest_whole(settings, connection, present)
        else:
            target, skipped = _asked_for(settings, connection, present, version, from_quarantine), {}
        try:
            promote(
                connection,
                target.version,
                replacing=present.version,
                as_of=now,
                now=now,
                actor=redacted(settings, actor),
                reason=redacted(settings, reason),
                statuses=("retired", "quarantined") if from_quarantine else ("retired",),
                action="rollback",
                replaced_becomes="quarantined",
            )
        except ChampionChangedError:
            raise changed_meanwhile(present.version) from None
        connection.commit()
    return Rollback(target.version, present.version, skipped)


def rescore(settings: Settings, *, now: datetime, progress: Callable[[str], None]) -> dict[str, Any] | None:
    """Score the newest night again with what serves now; None where no night was scored yet.

    Raises RegistryError with what to do where that fails: the version that serves stays.
    """
    night = newest_night(settings)
    if night is None:
        return None
    try:
        return {"as_of": night, **score(settings, as_of=night, now=now, progress=progress)}
    except StudymlError as error:
        raise RegistryError(
            f"the rollback stands, but the predictions are still those of before: {error} Then run"
            f" 'studyml score --as-of {night.isoformat()}'."
        ) from error


def _newest_whole(settings: Settings, connection: Connection, present: Version) -> tuple[Version, dict[str, str]]:
    skipped: dict[str, str] = {}
    for each in predecessors(connection):
        try:
            open_version(settings, each)
        except StoreError:
            raise  # it may be whole: an outage is no reason to go further back
        except ArtifactError as error:
            skipped[each.version] = str(error)
        else:
            return each, skipped
    damaged = "".join(f" {why[:1].upper()}{why[1:]}" for why in skipped.values())
    raise RegistryError(
        f"there is no earlier version to go back to: {present.version} still serves. Make another one champion with"
        f" 'studyml versions promote', or train one with 'studyml retrain --force'.{damaged}"
    )


def _asked_for(
    settings: Settings, connection: Connection, present: Version, version: str, from_quarantine: bool
) -> Version:
    found = find(connection, version)
    if version == present.version:
        raise RegistryError(f"{version} is the champion: name the version to go back to, or none for the one before.")
    if found.status == "quarantined" and not from_quarantine:
        raise RegistryError(
            f"{version} was taken back and is quarantined: to go back to it all the same, add --from-quarantine."
        )
    if version not in {each.to_version for each in deployments(connection)}:
        raise RegistryError(f"{version} never served: 'studyml versions promote' makes it champion.")
    if found.artifact_uri is None:
        raise RegistryError(f"the files of {version} were removed by policy: go back to another version.")
    open_version(settings, found)
    return found
