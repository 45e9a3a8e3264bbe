"""Snapshots in an artifact store: written and read locally, kept where the versions are."""

import contextlib
import os

from studyml.errors import ArtifactError, StoreError
from studyml.frame import Frame
from studyml.registry.objects import download, list_objects, open_objects, upload
from studyml.registry.snapshot import FOLDER, aside, read_snapshot, snapshot_path, write_snapshot
from studyml.registry.store import ArtifactStore


def keep_snapshot(store: ArtifactStore, frame: Frame) -> str:
    """Store the rows, whole or not at all; return their content hash. Raises ArtifactError where that fails."""
    sha256 = write_snapshot(store.local, frame)
    if store.remote is None:
        return sha256
    objects, path = open_objects(store.remote), snapshot_path(store.local, sha256)
    upload(objects, path, f"{FOLDER}/{path.name}")
    again = aside(path)
    try:
        download(objects, f"{FOLDER}/{path.name}", again)
        kept = again.read_bytes() == path.read_bytes()
    except FileNotFoundError:
        kept = False
    finally:
        again.unlink(missing_ok=True)
    if not kept:
        raise StoreError(f"{store.remote} does not hold the snapshot {sha256} as it was sent: try again.")
    return sha256


def load_snapshot(store: ArtifactStore, sha256: str) -> Frame:
    """The stored rows; raises ArtifactError where they are missing or are not those of this hash."""
    if store.remote is None:
        return read_snapshot(store.local, sha256)
    with contextlib.suppress(ArtifactError):
        return read_snapshot(store.local, sha256)
    path = snapshot_path(store.local, sha256)
    part = aside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        download(open_objects(store.remote), f"{FOLDER}/{path.name}", part)
        os.replace(part, path)
    except FileNotFoundError:
        raise ArtifactError(f"the snapshot {store.remote}/{FOLDER}/{path.name} is missing: train again.") from None
    except OSError as error:
        raise ArtifactError(
            f"the cache {store.local} cannot be written ({error.strerror}): check STUDYML_ARTIFACT_CACHE."
        ) from None
    finally:
        part.unlink(missing_ok=True)
    return read_snapshot(store.local, sha256)


def has_snapshot(store: ArtifactStore, sha256: str) -> bool:
    """Whether the snapshot of this content is kept."""
    path = snapshot_path(store.local, sha256)
    if path.is_file() or store.remote is None:
        return path.is_file()
    return path.name in list_objects(open_objects(store.remote), FOLDER)
