"""What of an artifact root is removed by policy: versions, builds that nobody finished, snapshots."""

import shutil
from collections.abc import Iterable

from studyml.registry import bundle
from studyml.registry.bundle import BUILDING
from studyml.registry.objects import delete, list_objects, open_objects
from studyml.registry.snapshot import FOLDER, remove_snapshots
from studyml.registry.store import ArtifactStore


def remove_version(store: ArtifactStore, version: str) -> bool:
    """Delete a version and its build wherever they are kept; False where there was neither."""
    removed = bundle.remove(store.local, version)
    if store.remote is None:
        return removed
    objects = open_objects(store.remote)
    names = [f"{under}/{name}" for under in (version, f"{BUILDING}/{version}") for name in list_objects(objects, under)]
    delete(objects, names)
    return bool(names)


def version_names(store: ArtifactStore) -> list[str]:
    """Every version's folder in the root, whoever made it."""
    if store.remote is None:
        return sorted(path.name for path in store.local.glob("v_*"))
    found = {name.split("/")[0] for name in list_objects(open_objects(store.remote), "") if "/" in name}
    return sorted(name for name in found if name.startswith("v_"))


def remove_old_builds(store: ArtifactStore, *, older_than: float) -> list[str]:
    """Delete the builds that were last written before ``older_than`` (seconds since 1970); return their names."""
    removed = set()
    for folder in (store.local / BUILDING).glob("*"):
        if folder.is_dir() and folder.stat().st_mtime < older_than:
            shutil.rmtree(folder)
            removed.add(folder.name)
    if store.remote is None:
        return sorted(removed)
    objects = open_objects(store.remote)
    written: dict[str, dict[str, float]] = {}
    for name, moment in list_objects(objects, BUILDING).items():
        written.setdefault(name.split("/")[0], {})[name] = moment.timestamp()
    for version, names in written.items():
        if max(names.values()) < older_than:
            delete(objects, (f"{BUILDING}/{name}" for name in names))
            removed.add(version)
    return sorted(removed)


def remove_old_snapshots(store: ArtifactStore, *, kept: Iterable[str], older_than: float) -> list[str]:
    """Delete the snapshots that are not ``kept`` and were last written before ``older_than``; return their names."""
    kept = list(kept)
    removed = set(remove_snapshots(store.local, kept=kept, older_than=older_than))
    if store.remote is None:
        return sorted(removed)
    objects, names = open_objects(store.remote), {f"{sha256}.parquet" for sha256 in kept}
    surplus = [
        name
        for name, moment in list_objects(objects, FOLDER).items()
        if name not in names and moment.timestamp() < older_than
    ]
    delete(objects, (f"{FOLDER}/{name}" for name in surplus))
    return sorted(removed | set(surplus))
