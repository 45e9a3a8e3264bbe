"""Weekly upkeep: compare every label, verify what is kept, remove what policy no longer keeps."""

import logging
from datetime import datetime, timedelta
from typing import Any

from studyml.database.connection import Connection, advisory_lock
from studyml.database.pruning import drop_abandoned_builds, drop_old_partitions
from studyml.errors import ArtifactError
from studyml.registry.store import ArtifactStore, verify_stored
from studyml.registry.upkeep import remove_old_builds, remove_old_snapshots, remove_version, version_names
from studyml.registry.versions import Version, forget_artifact, list_versions
from studyml.settings import Settings
from studyml.steps.observe import observe
from studyml.steps.opening import artifact_store, own_database

_logger = logging.getLogger("studyml")

#: Builds of processes that were killed are kept so long, for a look.
_LEFTOVER_AFTER = timedelta(days=1)
_SERVING = ("champion", "challenger", "awaiting_approval", "quarantined")


def maintain(settings: Settings, *, as_of: datetime, now: datetime) -> dict[str, Any]:
    """Do the upkeep and return what was found and removed; raises ArtifactError where a kept version is damaged.

    Kept are versions in use, every version that ever served, and the ``keep_versions`` newest others, with the
    snapshots they were trained on. A folder that no version of this database names is reported and left alone.
    """
    labels = observe(settings, as_of=as_of, now=now, compare_all=True)
    with own_database(settings) as connection, advisory_lock(connection, "registry"):
        known, store = list_versions(connection), artifact_store(settings)
        versions = [version for version in known if version.artifact_uri]
        surplus = _surplus(versions, _ever_served(connection), settings.keep_versions)
        never_published = [each for each in known if each.status == "rejected" and not each.manifest_sha256]
        pruned = [each.version for each in [*surplus, *never_published] if remove_version(store, each.version)]
        for version in surplus:
            forget_artifact(connection, version.version)
        builds = drop_abandoned_builds(connection, started_before=now - _LEFTOVER_AFTER)
        oldest = as_of - timedelta(days=settings.prediction_retention_days)
        nights = drop_old_partitions(connection, before=oldest, lock_timeout_seconds=settings.lock_timeout_seconds)
        connection.commit()
        old = (now - _LEFTOVER_AFTER).timestamp()
        leftovers = remove_old_builds(store, older_than=old)
        kept = [version for version in versions if version not in surplus]
        snapshots = remove_old_snapshots(
            store,
            kept=[str(each.metrics.get("snapshot_sha256")) for each in known if each in kept or _is_open(each)],
            older_than=old,
        )
        damaged = _damaged(store, kept)
    result = {
        "labels": labels,
        "verified": len(kept) - len(damaged),
        "pruned_versions": pruned,
        "dropped_nights": nights,
        "dropped_builds": [*builds, *leftovers],
        "dropped_snapshots": snapshots,
        "unknown_folders": sorted(set(version_names(store)) - {each.version for each in known}),
    }
    _logger.info("%d versions whole, %d pruned, %d old nights dropped", result["verified"], len(pruned), len(nights))
    if damaged:
        raise ArtifactError(f"kept versions are damaged: {' '.join(damaged)}")
    return result


def _ever_served(connection: Connection) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT to_version FROM studyml.deployments")
        return {str(version) for (version,) in cursor.fetchall()}


def _surplus(versions: list[Version], served: set[str], keep: int) -> list[Version]:
    others = [each for each in versions if each.status not in _SERVING and each.version not in served]
    return others[keep:]


def _is_open(version: Version) -> bool:
    return version.status == "candidate"


def _damaged(store: ArtifactStore, versions: list[Version]) -> list[str]:
    found = []
    for version in versions:
        try:
            verify_stored(store, version.version, version.manifest_sha256 or "")
        except ArtifactError as error:
            found.append(str(error))
    return found
