"""A version's folder: whole under its final name, and refused when one byte of it is another."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from studyml.errors import ArtifactError
from studyml.registry.bundle import (
    MANIFEST,
    build_folder,
    new_build,
    publish,
    reclaim,
    remove,
    require_writable,
    verify,
    write_json,
)

VERSION = "v_20260301_010000"


def build(root: Path, version: str = VERSION, text: str = "network") -> Path:
    folder = new_build(root, version)
    (folder / "model.onnx").write_bytes(text.encode())
    (folder / "plots").mkdir()
    (folder / "plots" / "curve.png").write_bytes(bytes(range(256)))
    write_json(folder / "metadata.json", {"version": version})
    return folder


@pytest.fixture
def published(tmp_path: Path) -> tuple[Path, str]:
    build(tmp_path)
    return publish(tmp_path, VERSION)


def test_a_version_is_built_aside_and_appears_whole(tmp_path: Path) -> None:
    folder = build(tmp_path)

    assert folder.parent.name == ".building"
    assert not (tmp_path / VERSION).exists()
    final, manifest_sha256 = publish(tmp_path, VERSION)
    assert final == tmp_path / VERSION
    assert not folder.exists()
    verify(final, manifest_sha256)


def test_the_manifest_names_size_and_hash_of_every_other_file(published: tuple[Path, str]) -> None:
    manifest = json.loads((published[0] / MANIFEST).read_text())
    files = manifest["files"]

    assert manifest["version"] == VERSION
    assert sorted(files) == ["metadata.json", "model.onnx", "plots/curve.png"]
    assert files["model.onnx"]["bytes"] == 7
    assert len(files["model.onnx"]["sha256"]) == 64


def test_every_single_flipped_byte_is_found(published: tuple[Path, str]) -> None:
    folder, manifest_sha256 = published
    for path in [each for each in folder.rglob("*") if each.is_file()]:
        content = path.read_bytes()
        for position in range(len(content)):
            path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
            with pytest.raises(ArtifactError, match=r"damaged|not the one that was published|is a copy of version"):
                verify(folder, manifest_sha256)
        path.write_bytes(content)
    verify(folder, manifest_sha256)


@pytest.mark.parametrize("name", ["model.onnx", "plots/curve.png", MANIFEST])
def test_a_missing_file_is_found_and_named(published: tuple[Path, str], name: str) -> None:
    folder, manifest_sha256 = published
    (folder / name).unlink()

    with pytest.raises(ArtifactError, match=name) as error:
        verify(folder, manifest_sha256)

    assert VERSION in str(error.value)
    assert "restore the folder from a backup" in str(error.value)


@pytest.mark.parametrize("name", ["extra.pkl", ".hidden", "plots/manifest.json"])
def test_an_extra_file_is_found_and_named(published: tuple[Path, str], name: str) -> None:
    folder, manifest_sha256 = published
    (folder / name).write_text("x")

    with pytest.raises(ArtifactError, match=rf"a file that does not belong to it, {name}"):
        verify(folder, manifest_sha256)


def test_a_truncated_file_is_found(published: tuple[Path, str]) -> None:
    folder, manifest_sha256 = published
    (folder / "model.onnx").write_bytes(b"netw")

    with pytest.raises(ArtifactError, match=rf"^model\.onnx of version {VERSION} is damaged"):
        verify(folder, manifest_sha256)


def test_a_manifest_made_to_fit_changed_files_is_found(tmp_path: Path, published: tuple[Path, str]) -> None:
    folder, manifest_sha256 = published
    other = "v_20260301_010001"
    build(tmp_path, other, text="another network")
    forged, _ = publish(tmp_path, other)
    shutil.copy(forged / MANIFEST, folder / MANIFEST)
    shutil.copy(forged / "model.onnx", folder / "model.onnx")

    with pytest.raises(ArtifactError, match=f"is a copy of version {other}"):
        verify(folder, manifest_sha256)


def test_a_folder_copied_under_this_name_is_refused_with_the_name_it_had(
    tmp_path: Path, published: tuple[Path, str]
) -> None:
    folder, manifest_sha256 = published
    copied = "v_20260301_010001"
    build(tmp_path, copied, text="another network")
    other, other_sha256 = publish(tmp_path, copied)
    shutil.rmtree(folder)
    shutil.copytree(other, folder)

    for known in (manifest_sha256, other_sha256):
        with pytest.raises(
            ArtifactError, match=rf"^the folder of version {VERSION} is a copy of version {copied}: restore"
        ):
            verify(folder, known)


def test_a_folder_whose_manifest_is_older_than_the_name_in_it_is_read_as_before(published: tuple[Path, str]) -> None:
    folder, _ = published
    write_json(folder / MANIFEST, {"files": json.loads((folder / MANIFEST).read_text())["files"]})

    verify(folder, hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest())


@pytest.mark.parametrize("what", ["a folder", "a dangling link"])
def test_a_thing_in_the_place_of_a_file_is_a_sentence(published: tuple[Path, str], what: str) -> None:
    folder, manifest_sha256 = published
    (folder / "model.onnx").unlink()
    if what == "a folder":
        (folder / "model.onnx").mkdir()
    else:
        (folder / "model.onnx").symlink_to("nowhere")

    with pytest.raises(ArtifactError, match=VERSION):
        verify(folder, manifest_sha256)


def test_what_a_crash_left_under_the_final_name_is_taken_back_and_published_again(tmp_path: Path) -> None:
    build(tmp_path)
    publish(tmp_path, VERSION)

    assert reclaim(tmp_path, VERSION) == build_folder(tmp_path, VERSION)
    assert not (tmp_path / VERSION).exists()
    folder, manifest_sha256 = publish(tmp_path, VERSION)
    verify(folder, manifest_sha256)


def test_a_new_build_replaces_what_a_crash_left_at_either_place(tmp_path: Path) -> None:
    build(tmp_path)
    publish(tmp_path, VERSION)
    build(tmp_path, text="again")

    folder, manifest_sha256 = publish(tmp_path, VERSION)

    assert (folder / "model.onnx").read_text() == "again"
    verify(folder, manifest_sha256)


def test_publishing_twice_gives_the_same_manifest(tmp_path: Path) -> None:
    build(tmp_path)

    assert publish(tmp_path, VERSION)[1] == publish(tmp_path, VERSION)[1]


def test_publishing_a_build_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=rf"^the build of {VERSION} is gone from .*: train again\.$"):
        publish(tmp_path, VERSION)


@pytest.mark.parametrize("work", [lambda root: new_build(root, VERSION), require_writable])
def test_a_file_in_the_place_of_the_artifact_root_is_a_sentence(tmp_path: Path, work: object) -> None:
    root = tmp_path / "artifacts"
    root.write_text("")

    with pytest.raises(ArtifactError, match=r"^the artifact root .*artifacts cannot be written \(Not a directory\)"):
        work(root)  # type: ignore[operator]


def test_an_artifact_root_on_a_read_only_file_system_is_a_sentence() -> None:
    with pytest.raises(ArtifactError, match=r"check STUDYML_ARTIFACT_ROOT"):
        require_writable(Path("/proc/studyml"))


def test_a_disk_that_fills_up_while_publishing_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(ArtifactError, match="No space left on device"):
        publish(tmp_path, VERSION)
    assert not (tmp_path / VERSION).exists()


def test_probing_the_artifact_root_leaves_nothing_behind(tmp_path: Path) -> None:
    require_writable(tmp_path / "artifacts")

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_removing_says_whether_there_was_anything(tmp_path: Path, published: tuple[Path, str]) -> None:
    assert remove(tmp_path, VERSION)
    assert not remove(tmp_path, VERSION)
    assert not published[0].exists()
