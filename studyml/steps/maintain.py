"""Weekly upkeep: compare every label, verify what is kept, remove what policy no longer keeps."""

import logging
from datetime import datetime, timedelta
from typing import Any

from studyml.alerting.lifecycle import Moment
from studyml.alerting.message import moment
from studyml.database.connection import advisory_lock
from studyml.database.pruning import drop_abandoned_builds, drop_old_partitions
from studyml.errors import ArtifactError
from studyml.registry.store import ArtifactStore, verify_stored
from studyml.registry.upkeep import remove_old_builds, version_names
from studyml.registry.versions import Version, list_versions
from studyml.settings import Settings
from studyml.steps.end_failures import end_upkeeps_failures
from studyml.steps.observe import observe
from studyml.steps.opening import artifact_store, own_database
from studyml.steps.prune import LEFTOVER_AFTER, prune

_logger = logging.getLogger("studyml")


def maintain(settings: Settings, *, as_of: datetime, now: datetime) -> dict[str, Any]:
    """Do the upkeep and return what was found and removed; raises ArtifactError where a kept version is damaged.

    Which versions' files are kept is the policy of ``kept_versions``, with the snapshots they were trained on. A folder
    that no version of this database names is reported and left alone.
    """
    labels = observe(settings, as_of=as_of, now=now, compare_all=True)
    with own_database(settings) as connection, advisory_lock(connection, "registry"):
        pruned = prune(settings, connection, as_of=as_of, now=now)
        builds = drop_abandoned_builds(connection, started_before=now - LEFTOVER_AFTER)
        oldest = as_of - timedelta(days=settings.prediction_retention_days)
        nights = drop_old_partitions(connection, before=oldest, lock_timeout_seconds=settings.lock_timeout_seconds)
        connection.commit()
        store = artifact_store(settings)
        leftovers = remove_old_builds(store, older_than=(now - LEFTOVER_AFTER).timestamp())
        known = list_versions(connection)
        kept = [each for each in known if each.version in pruned.kept]
        damaged = _damaged(store, kept)
    result = {
        "labels": labels,
        "verified": len(kept) - len(damaged),
        "kept_versions": pruned.kept,
        "pruned_versions": pruned.versions,
        "dropped_nights": nights,
        "dropped_builds": [*builds, *leftovers],
        "dropped_snapshots": pruned.snapshots,
        "unknown_folders": sorted(set(version_names(store)) - {each.version for each in known}),
    }
    _logger.info(
        "%d versions whole, %d pruned, %d old nights dropped", result["verified"], len(pruned.versions), len(nights)
    )
    for version in pruned.versions:
        _logger.info("removed the files of %s", version)
    if damaged:
        raise ArtifactError(f"kept versions are damaged: {' '.join(damaged)}")
    with own_database(settings) as connection, advisory_lock(connection, "watch"):
        words = f"the upkeep of {moment(as_of)} ended without a failure"
        end_upkeeps_failures(settings, connection, Moment(as_of, now), note=words)
        connection.commit()
    return result


def _damaged(store: ArtifactStore, versions: list[Version]) -> list[str]:
    found = []
    for version in versions:
        try:
            verify_stored(store, version.version, version.manifest_sha256 or "")
        except ArtifactError as error:
            found.append(str(error))
    return found
