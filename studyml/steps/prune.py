"""Which versions' files are kept, and the removal of the others: one policy for upkeep and for a person."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from studyml.database.connection import Connection, advisory_lock
from studyml.database.pruning import versions_being_scored
from studyml.registry.deployments import predecessors, served_since
from studyml.registry.upkeep import remove_old_snapshots, remove_version
from studyml.registry.versions import Version, forget_artifacts, list_versions, lock_champion
from studyml.settings import Settings
from studyml.steps.opening import artifact_store, own_database

#: Builds of processes that were killed are kept so long, for a look; a scoring that started later may still run.
LEFTOVER_AFTER = timedelta(days=1)
#: So many versions back the champion can always go.
PREDECESSORS = 3
_IN_USE = ("champion", "challenger", "awaiting_approval", "quarantined")
_REMOVABLE = ("retired", "rejected")


@dataclass(frozen=True)
class Pruned:
    """The versions whose files were removed, the snapshots that went with them, and why each other one was kept."""

    versions: list[str]
    snapshots: list[str]
    kept: dict[str, str]


def prune_versions(settings: Settings, *, as_of: datetime, now: datetime, dry_run: bool) -> Pruned:
    """Remove what policy no longer keeps, or with ``dry_run`` only say what it would be."""
    with own_database(settings) as connection, advisory_lock(connection, "registry"):
        return prune(settings, connection, as_of=as_of, now=now, dry_run=dry_run)


def prune(
    settings: Settings, connection: Connection, *, as_of: datetime, now: datetime, dry_run: bool = False
) -> Pruned:
    """Forget the files of what policy no longer keeps, commit, then delete them; what a crash left over goes as well.

    In this order: what the registry offers for a rollback or for scoring is there, whenever the process ends.
    """
    lock_champion(connection)
    known = list_versions(connection)
    kept = kept_versions(settings, connection, known, as_of=as_of, now=now)
    gone = [each for each in known if each.status in _REMOVABLE and each.version not in kept]
    snapshots = _kept_snapshots(known, kept)
    if dry_run:
        connection.rollback()
        named = [each.version for each in gone if each.artifact_uri]
        return Pruned(named, sorted(_snapshots(gone) - snapshots), kept)
    forget_artifacts(connection, [each.version for each in gone])
    connection.commit()
    store = artifact_store(settings)
    removed = [each.version for each in gone if remove_version(store, each.version)]
    files = remove_old_snapshots(store, kept=snapshots, older_than=(now - LEFTOVER_AFTER).timestamp())
    return Pruned(removed, files, kept)


def kept_versions(
    settings: Settings, connection: Connection, known: list[Version], *, as_of: datetime, now: datetime
) -> dict[str, str]:
    """Each version whose files are kept, newest first, with the reason.

    In use: champion, challenger, what waits for approval, and what is quarantined; what is being scored with; the
    newest; what served lately; and what the champion could go back to.
    """
    published = [each for each in known if each.artifact_uri]
    days, newest = settings.keep_served_days, settings.keep_versions
    reasons = (
        ({each.version: each.status for each in published if each.status in _IN_USE}),
        dict.fromkeys(versions_being_scored(connection, started_after=now - LEFTOVER_AFTER), "is being scored with"),
        dict.fromkeys([each.version for each in predecessors(connection)[:PREDECESSORS]], "could be gone back to"),
        dict.fromkeys(served_since(connection, as_of - timedelta(days=days)), f"served in the last {days} days"),
        dict.fromkeys([each.version for each in published[:newest]], f"one of the {newest} newest"),
    )
    found: dict[str, str] = {}
    for each in published:
        why = next((group[each.version] for group in reasons if each.version in group), None)
        if why is not None:
            found[each.version] = why
    return found


def _kept_snapshots(known: list[Version], kept: dict[str, str]) -> set[str]:
    """Those of kept versions, of candidates that may still be judged, and of whatever is quarantined."""
    return _snapshots([each for each in known if each.version in kept or each.status in ("candidate", "quarantined")])


def _snapshots(versions: list[Version]) -> set[str]:
    return {str(each.metrics["snapshot_sha256"]) for each in versions if each.metrics.get("snapshot_sha256")}
