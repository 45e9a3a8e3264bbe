"""A version's folder: built aside, sealed with a manifest, renamed when whole, verified before every use."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from studyml.errors import ArtifactError

MANIFEST = "manifest.json"
BUILDING = ".building"
_BLOCK = 1 << 20


def new_build(root: Path, version: str) -> Path:
    """An empty folder in which to build ``version``; raises ArtifactError where the root cannot be written."""
    folder = root / BUILDING / version
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise ArtifactError(
            f"the artifact root {root} cannot be written ({error.strerror}): check STUDYML_ARTIFACT_ROOT and its"
            " permissions."
        ) from None
    return folder


def require_writable(root: Path) -> None:
    """Raise ArtifactError unless a file can be made in the artifact root."""
    probe = new_build(root, ".probe")
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
    """Write the manifest (size and SHA-256 of every other file), flush all to disk; return the manifest's SHA-256."""
    files = {name: _entry(folder / name) for name in _files(folder)}
    write_json(folder / MANIFEST, {"files": files})
    for path in [*(folder / name for name in files), folder / MANIFEST, folder]:
        _flush(path)
    return _sha256(folder / MANIFEST)


def publish(root: Path, version: str) -> tuple[Path, str]:
    """Seal the build and rename it to its final name; return the folder and the manifest's SHA-256.

    Run again after a crash it finds the folder already renamed and returns the same.
    """
    final, building = root / version, build_folder(root, version)
    if building.is_dir():
        manifest_sha256 = seal(building)
        try:
            os.rename(building, final)
        except OSError as error:
            raise ArtifactError(
                f"{final} cannot be published ({error.strerror}): a folder of this name is in the way."
            ) from None
        _flush(root)
        return final, manifest_sha256
    if not (final / MANIFEST).is_file():
        raise ArtifactError(f"the build of {version} is gone from {root}: train again.")
    manifest_sha256 = _sha256(final / MANIFEST)
    verify(final, manifest_sha256)
    return final, manifest_sha256


def verify(folder: Path, manifest_sha256: str) -> None:
    """Raise ArtifactError unless the folder holds exactly the files of the manifest whose hash the registry knows."""
    version, cure = folder.name, "restore the folder from a backup or make another version champion"
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise ArtifactError(f"version {version} has no {MANIFEST} in {folder.parent}: {cure}.")
    if _sha256(manifest) != manifest_sha256:
        raise ArtifactError(f"the {MANIFEST} of version {version} is not the one that was published: {cure}.")
    expected: dict[str, dict[str, Any]] = json.loads(manifest.read_text(encoding="utf-8"))["files"]
    found = set(_files(folder))
    for name in sorted(found ^ set(expected)):
        word = "has a file that does not belong to it" if name in found else "lacks a file"
        raise ArtifactError(f"version {version} {word}, {name}: {cure}.")
    for name, entry in expected.items():
        if _entry(folder / name) != entry:
            raise ArtifactError(f"{name} of version {version} is damaged: {cure}.")


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
