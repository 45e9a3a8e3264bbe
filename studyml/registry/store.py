"""Where versions are kept: a folder, or an S3-compatible store with a local folder in front of it.

In a folder a version is built aside and renamed. A store has no rename: there every file is uploaded, the manifest
last, then all is read back and verified. Either way the version exists once the row with its manifest's hash is
committed, so what a broken upload leaves behind is nobody's.

Below a remote root: ``v_.../`` (versions), ``snapshots/``, and ``.building/v_.../`` (builds that go from task to
task): each state of a build under its own manifest's hash, and ``current``, written last, which names the whole one.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from studyml.errors import ArtifactError, StoreError
from studyml.registry import bundle
from studyml.registry.bundle import BUILDING, MANIFEST
from studyml.registry.objects import (
    Objects,
    delete,
    download_folder,
    list_objects,
    open_objects,
    read_text,
    upload_folder,
    write_text,
)

_CURRENT = "current"


@dataclass(frozen=True)
class ArtifactStore:
    """``local``: the folder where versions are built and read; ``remote``: the address that it stands in front of."""

    local: Path
    remote: str | None = None

    @property
    def address(self) -> str:
        """The artifact root as a person knows it."""
        return self.remote or str(self.local.resolve())


def store_at(root: Path | str, cache: Path) -> ArtifactStore:
    """The store at a folder or an address; each remote root has its own folder in ``cache``."""
    if isinstance(root, Path):
        return ArtifactStore(root)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    key = hashlib.sha256(f"{endpoint} {root}".encode()).hexdigest()[:16]
    return ArtifactStore(cache.expanduser() / key, root)


def fetch(store: ArtifactStore, version: str, manifest_sha256: str) -> Path:
    """The local folder of a published version, verified; from a remote root it is downloaded unless it is here whole.

    Raises ArtifactError where it is missing or damaged, StoreError where the store cannot be reached.
    """
    folder = store.local / version
    if store.remote is None:
        _require_folder(store, version)
        bundle.verify(folder, manifest_sha256)
        return folder
    with _locked(store, version):
        if not _is_whole(folder, manifest_sha256):
            with _scratch(store) as scratch:
                _download_verified(store, version, manifest_sha256, scratch)
                shutil.rmtree(folder, ignore_errors=True)
                os.rename(scratch / version, folder)
    return folder


def verify_stored(store: ArtifactStore, version: str, manifest_sha256: str) -> None:
    """Verify the bytes that the root itself holds, every one of them read; raises as ``fetch`` does."""
    if store.remote is None:
        bundle.verify(store.local / version, manifest_sha256)
        return
    with _scratch(store) as scratch:
        _download_verified(store, version, manifest_sha256, scratch)


def begin_build(store: ArtifactStore, version: str) -> Path:
    """An empty local folder in which to build ``version``; what was built before under this name is void."""
    folder = bundle.new_build(store.local, version)
    if store.remote is not None:
        _delete_folder(open_objects(store.remote), f"{BUILDING}/{version}")
    return folder


def save_build(store: ArtifactStore, version: str) -> None:
    """Hand a finished build on to the next task, which may run on another machine."""
    if store.remote is None:
        return
    folder = bundle.build_folder(store.local, version)
    sha256, objects, under = bundle.seal(folder), open_objects(store.remote), f"{BUILDING}/{version}"
    upload_folder(objects, folder, f"{under}/{sha256}", last=MANIFEST)
    write_text(objects, f"{under}/{_CURRENT}", sha256)
    older = [name for name in list_objects(objects, under) if not name.startswith(sha256) and name != _CURRENT]
    delete(objects, (f"{under}/{name}" for name in older))


def resume_build(store: ArtifactStore, version: str) -> Path:
    """The local folder of a build that no row commits yet, as it was last saved; it may not exist.

    Raises ArtifactError where the saved build is damaged.
    """
    folder = bundle.build_folder(store.local, version)
    if store.remote is None:
        return bundle.reclaim(store.local, version)
    objects, under = open_objects(store.remote), f"{BUILDING}/{version}"
    try:
        sha256 = read_text(objects, f"{under}/{_CURRENT}")
    except FileNotFoundError:
        shutil.rmtree(folder, ignore_errors=True)
        return folder
    if not _is_whole(folder, sha256):
        with _scratch(store) as scratch:
            download_folder(objects, f"{under}/{sha256}", scratch / version)
            try:
                bundle.verify(scratch / version, sha256)
            except ArtifactError:
                raise ArtifactError(f"the build of {version} in {store.remote} is damaged: train again.") from None
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            os.rename(scratch / version, folder)
    return folder


def publish(store: ArtifactStore, version: str) -> tuple[str, str]:
    """Seal the saved build and store it under its final name; return its address and the manifest's SHA-256.

    Only for a version that no row commits yet: what a crash left under its final name is replaced. Raises
    ArtifactError where the build is gone, StoreError where the store does not hold afterwards what was sent.
    """
    if store.remote is None:
        folder, manifest_sha256 = bundle.publish(store.local, version)
        return folder.resolve().as_uri(), manifest_sha256
    building = resume_build(store, version)
    if not building.is_dir():
        raise ArtifactError(f"the build of {version} is gone from {store.remote}: train again.")
    manifest_sha256, objects = bundle.seal(building), open_objects(store.remote)
    _delete_folder(objects, version)
    upload_folder(objects, building, version, last=MANIFEST)
    try:
        verify_stored(store, version, manifest_sha256)
    except ArtifactError as error:
        raise StoreError(
            f"{store.remote} does not hold {version} as it was sent, and nothing was published: try again ({error})"
        ) from None
    shutil.rmtree(store.local / version, ignore_errors=True)
    os.rename(building, store.local / version)
    return f"{store.remote}/{version}", manifest_sha256


def forget_build(store: ArtifactStore, version: str) -> None:
    """Drop the saved build of a version that is decided; in a folder there is none by then."""
    if store.remote is not None:
        _delete_folder(open_objects(store.remote), f"{BUILDING}/{version}")


def is_taken(store: ArtifactStore, version: str) -> bool:
    """Whether anything is kept under a version's name, published or left by a crash."""
    if store.remote is None:
        return (store.local / version).exists()
    return bool(list_objects(open_objects(store.remote), version))


def require_writable(store: ArtifactStore) -> None:
    """Raise ArtifactError unless the root, and the folder in front of it, can be written."""
    bundle.require_writable(store.local)
    if store.remote is None:
        return
    objects, name = open_objects(store.remote), f".probe-{uuid4().hex}"
    write_text(objects, name, name)
    try:
        kept = read_text(objects, name)
    except FileNotFoundError:
        kept = ""
    delete(objects, [name])
    if kept != name:
        raise ArtifactError(f"{store.remote} does not keep what is written to it: check the bucket's rules.")


def _require_folder(store: ArtifactStore, version: str) -> None:
    if not (store.local / version).is_dir():
        raise missing(store, version)


def missing(store: ArtifactStore, version: str) -> ArtifactError:
    """That a version's folder is not there at all."""
    root = store.remote or store.local
    return ArtifactError(
        f"the folder of version {version} is missing from {root}: restore it from a backup or check"
        " STUDYML_ARTIFACT_ROOT."
    )


def _download_verified(store: ArtifactStore, version: str, manifest_sha256: str, scratch: Path) -> None:
    assert store.remote is not None
    if not download_folder(open_objects(store.remote), version, scratch / version):
        raise missing(store, version)
    bundle.verify(scratch / version, manifest_sha256)


def _is_whole(folder: Path, manifest_sha256: str) -> bool:
    try:
        bundle.verify(folder, manifest_sha256)
    except ArtifactError:
        return False
    return True


def _delete_folder(objects: Objects, under: str) -> None:
    # The name that others go by first: what is half deleted is then no longer taken for whole.
    names = sorted(list_objects(objects, under), key=lambda each: each not in (_CURRENT, MANIFEST))
    delete(objects, (f"{under}/{name}" for name in names))


@contextmanager
def _scratch(store: ArtifactStore) -> Iterator[Path]:
    """A folder of this process on the same disk as the versions, so that a whole one can be renamed into place."""
    try:
        parent = store.local / BUILDING
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=parent) as folder:
            yield Path(folder)
    except OSError as error:
        raise ArtifactError(
            f"the cache {store.local} cannot be written ({error.strerror}): check STUDYML_ARTIFACT_CACHE."
        ) from None


@contextmanager
def _locked(store: ArtifactStore, name: str) -> Iterator[None]:
    """One process of this machine at a time; the system gives the lock up when its holder dies."""
    try:
        folder = store.local / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    except OSError as error:
        raise ArtifactError(
            f"the cache {store.local} cannot be written ({error.strerror}): check STUDYML_ARTIFACT_CACHE."
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
