"""A version's folder: built aside, sealed with a manifest, renamed when whole, verified before every use."""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

from studyml.errors import ArtifactError

MANIFEST = "manifest.json"
BUILDING = ".building"
_BLOCK = 1 << 20
_VERSION = re.compile(r"v_\d{8}_\d{6}")
_CURE = "restore the folder from a backup or make another version champion (runbook: Damaged artifact)"


def new_build(root: Path, version: str) -> Path:
    """An empty folder in which to build ``version``; raises ArtifactError where the root cannot be written."""
    folder = reclaim(root, version)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise _unwritable(root, error) from None
    return folder


def reclaim(root: Path, version: str) -> Path:
    """The build folder of a version that no row commits yet, taken back from its final name after a crash.

    A process that dies between the rename and the commit leaves a whole folder that is nobody's version.
    """
    final, building = root / version, build_folder(root, version)
    try:
        if final.is_dir() and building.is_dir():
            shutil.rmtree(final)
        elif final.is_dir():
            building.parent.mkdir(parents=True, exist_ok=True)
            os.rename(final, building)
    except OSError as error:
        raise _unwritable(root, error) from None
    return building


def _unwritable(root: Path, error: OSError) -> ArtifactError:
    return ArtifactError(
        f"the artifact root {root} cannot be written ({error.strerror}): check STUDYML_ARTIFACT_ROOT, its permissions"
        " and its free space."
    )


def require_writable(root: Path) -> None:
    """Raise ArtifactError unless a file can be made in the artifact root."""
    probe = new_build(root, f".probe-{uuid4().hex}")
    shutil.rmtree(probe)


def build_folder(root: Path, version: str) -> Path:
    """The folder in which ``version`` is, or was, built."""
    return root / BUILDING / version


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document for people and programs: sorted keys, no NaN."""
    path.write_text(
        json.dumps(document, indent=2, sort_keys=True, allow_nan=False, default=str) + "\n", encoding="utf-8"
    )


def seal(folder: Path) -> str:
    """Write the manifest and flush all to disk; return the manifest's SHA-256.

    It names the version, which is the folder's name, and size and SHA-256 of every other file.
    """
    files = {name: _entry(folder / name) for name in _files(folder)}
    write_json(folder / MANIFEST, {"version": folder.name, "files": files})
    for path in [*(folder / name for name in files), folder / MANIFEST, folder]:
        _flush(path)
    return _sha256(folder / MANIFEST)


def publish(root: Path, version: str) -> tuple[Path, str]:
    """Seal the build and rename it to its final name; return the folder and the manifest's SHA-256.

    Only for a version that no row commits yet: what a crash left under its final name is sealed again.
    """
    final, building = root / version, reclaim(root, version)
    if not building.is_dir():
        raise ArtifactError(f"the build of {version} is gone from {root}: train again.")
    try:
        manifest_sha256 = seal(building)
        os.rename(building, final)
        _flush(root)
    except OSError as error:
        raise _unwritable(root, error) from None
    return final, manifest_sha256


def verify(folder: Path, manifest_sha256: str) -> None:
    """Raise ArtifactError unless the folder holds exactly the files of the manifest whose hash the registry knows."""
    try:
        _verify(folder, manifest_sha256)
    except OSError as error:
        raise ArtifactError(f"version {folder.name} cannot be read ({error.strerror}): {_CURE}.") from None


def _manifest(folder: Path, manifest_sha256: str) -> dict[str, dict[str, Any]]:
    version, manifest = folder.name, folder / MANIFEST
    if not manifest.is_file():
        raise ArtifactError(f"version {version} has no {MANIFEST} in {folder.parent}: {_CURE}.")
    known = _sha256(manifest) == manifest_sha256
    if (other := _named(manifest)) not in (None, version):
        raise ArtifactError(f"the folder of version {version} is a copy of version {other}: {_CURE}.")
    if not known:
        raise ArtifactError(f"the {MANIFEST} of version {version} is not the one that was published: {_CURE}.")
    files: dict[str, dict[str, Any]] = json.loads(manifest.read_text(encoding="utf-8"))["files"]
    return files


def _named(manifest: Path) -> str | None:
    """The version that a manifest names, which may be damaged; older ones name none."""
    try:
        found = json.loads(manifest.read_text(encoding="utf-8")).get("version")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, str) and _VERSION.fullmatch(found) else None


def _verify(folder: Path, manifest_sha256: str) -> None:
    version, expected = folder.name, _manifest(folder, manifest_sha256)
    found = set(_files(folder))
    for name in sorted(found ^ set(expected)):
        word = "has a file that does not belong to it" if name in found else "lacks a file"
        raise ArtifactError(f"version {version} {word}, {name}: {_CURE}.")
    for name, entry in expected.items():
        if _entry(folder / name) != entry:
            raise ArtifactError(f"{name} of version {version} is damaged: {_CURE}.")


def load_json(path: Path) -> Any:
    """A JSON document of a verified folder."""
    return json.loads(path.read_text(encoding="utf-8"))


def remove(root: Path, version: str) -> bool:
    """Delete a version's folders; False where there was none."""
    present = [folder for folder in (root / version, build_folder(root, version)) if folder.is_dir()]
    for folder in present:
        shutil.rmtree(folder)
    return bool(present)


def _files(folder: Path) -> list[str]:
    paths = (path for path in folder.rglob("*") if not path.is_dir())
    return sorted(name for path in paths if (name := path.relative_to(folder).as_posix()) != MANIFEST)


def _entry(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
