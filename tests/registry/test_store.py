"""Versions on an object store: whole or not there, verified whenever they are read, handed from machine to machine."""

from dataclasses import replace
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from studyml.errors import ArtifactError, StoreError
from studyml.registry import store as module
from studyml.registry.bundle import BUILDING, MANIFEST, verify, write_json
from studyml.registry.objects import PART_BYTES, list_objects, open_objects
from studyml.registry.store import (
    ArtifactStore,
    begin_build,
    fetch,
    forget_build,
    publish,
    require_writable,
    resume_build,
    save_build,
    store_at,
    verify_stored,
)
from studyml.registry.upkeep import version_names
from tests.object_store import KEYS, filesystem, proxied, put, s3, s3_server, stored

__all__ = ["s3", "s3_server"]
VERSION, OTHER = "v_20260301_010000", "v_20260301_010001"
NETWORK = b"network" * 20_000
#: Three parts of a multipart upload, none like another.
LARGE = b"".join(bytes([part]) * PART_BYTES for part in range(2)) + b"the rest"


@pytest.fixture
def store(s3: str, tmp_path: Path) -> ArtifactStore:
    return store_at(s3, tmp_path / "cache")


@pytest.fixture
def elsewhere(store: ArtifactStore, tmp_path: Path) -> ArtifactStore:
    """The same root as another machine sees it."""
    return replace(store, local=tmp_path / "another machine")


def build(store: ArtifactStore, version: str = VERSION, network: bytes = NETWORK) -> Path:
    folder = begin_build(store, version)
    (folder / "model.onnx").write_bytes(network)
    (folder / "plots").mkdir()
    (folder / "plots" / "curve.png").write_bytes(bytes(range(256)))
    write_json(folder / "metadata.json", {"version": version})
    save_build(store, version)
    return folder


def published(store: ArtifactStore, version: str = VERSION, network: bytes = NETWORK) -> str:
    build(store, version, network)
    return publish(store, version)[1]


def address_of(store: ArtifactStore, name: str, version: str = VERSION) -> str:
    return f"{store.remote}/{version}/{name}"


def test_another_machine_reads_what_one_published(store: ArtifactStore, elsewhere: ArtifactStore) -> None:
    build(store)
    address, sha256 = publish(store, VERSION)

    assert address == f"{store.remote}/{VERSION}"
    folder = fetch(elsewhere, VERSION, sha256)
    assert folder == elsewhere.local / VERSION
    assert (folder / "model.onnx").read_bytes() == NETWORK
    verify(folder, sha256)
    verify_stored(elsewhere, VERSION, sha256)
    assert version_names(elsewhere) == [VERSION]


def test_a_folder_and_a_store_hold_the_same_manifest(store: ArtifactStore, tmp_path: Path) -> None:
    assert published(store) == published(ArtifactStore(tmp_path / "folder"))


def test_what_was_fetched_once_is_read_without_the_store(
    store: ArtifactStore, elsewhere: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = published(store)
    fetch(elsewhere, VERSION, sha256)
    monkeypatch.setattr(module, "open_objects", None)

    assert fetch(elsewhere, VERSION, sha256).is_dir()


@pytest.mark.parametrize("damage", ["flipped", "cut off", "missing", "extra"])
def test_a_damaged_copy_is_fetched_anew(store: ArtifactStore, elsewhere: ArtifactStore, damage: str) -> None:
    sha256 = published(store)
    path = fetch(elsewhere, VERSION, sha256) / "model.onnx"
    if damage == "missing":
        path.unlink()
    elif damage == "extra":
        path.with_name("extra.pkl").write_bytes(b"x")
    else:
        path.write_bytes(NETWORK[:100] if damage == "cut off" else b"N" + NETWORK[1:])

    folder = fetch(elsewhere, VERSION, sha256)

    verify(folder, sha256)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model.onnx", b"N" + NETWORK[1:], "model.onnx of version .* is damaged"),
        ("model.onnx", NETWORK[:-1], "model.onnx of version .* is damaged"),
        ("model.onnx", None, "lacks a file, model.onnx"),
        ("extra.pkl", b"x", "has a file that does not belong to it, extra.pkl"),
        (MANIFEST, b"{}", "is not the one that was published"),
        (MANIFEST, None, "has no manifest.json"),
    ],
)
def test_a_damaged_object_is_refused_by_name_and_nothing_appears_in_the_cache(
    store: ArtifactStore, elsewhere: ArtifactStore, name: str, content: bytes | None, words: str
) -> None:
    sha256 = published(store)
    if content is None:
        filesystem().rm_file(address_of(store, name).removeprefix("s3://"))
    else:
        put(address_of(store, name), content)

    for read in (fetch, verify_stored):
        with pytest.raises(ArtifactError, match=words):
            read(elsewhere, VERSION, sha256)
    assert not (elsewhere.local / VERSION).exists()


def test_a_version_copied_under_another_name_is_refused_with_the_name_it_had(
    store: ArtifactStore, elsewhere: ArtifactStore
) -> None:
    sha256, _ = published(store), published(store, OTHER, b"another")
    for name, content in stored(f"{store.remote}/{OTHER}").items():
        put(address_of(store, name), content)

    with pytest.raises(ArtifactError, match=f"^the folder of version {VERSION} is a copy of version {OTHER}"):
        fetch(elsewhere, VERSION, sha256)


def test_an_object_whose_name_leads_out_of_the_folder_is_refused(
    store: ArtifactStore, elsewhere: ArtifactStore
) -> None:
    sha256 = published(store)
    # botocore would tidy the path of a plain request up: the name is written as it is.
    names = {f"../../{VERSION}/model.onnx": None, "model.onnx": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("studyml.registry.objects.list_objects", lambda *_: names)
        with pytest.raises(ArtifactError, match="none of ours"):
            fetch(elsewhere, VERSION, sha256)


def test_a_missing_version_is_a_sentence_with_the_cure(store: ArtifactStore) -> None:
    with pytest.raises(ArtifactError, match=rf"^the folder of version {VERSION} is missing from s3://.*: restore it"):
        fetch(store, VERSION, "0" * 64)


def test_a_build_goes_from_task_to_task_on_different_machines(store: ArtifactStore, elsewhere: ArtifactStore) -> None:
    build(store)

    folder = resume_build(elsewhere, VERSION)
    (folder / "report.html").write_text("judged")
    save_build(elsewhere, VERSION)
    _, sha256 = publish(store, VERSION)

    assert (fetch(elsewhere, VERSION, sha256) / "report.html").read_text() == "judged"
    forget_build(store, VERSION)
    assert list_objects(open_objects(store.remote or ""), BUILDING) == {}


@pytest.mark.parametrize("files_sent", range(4))
def test_a_build_whose_upload_stopped_is_as_it_was_last_saved(
    store: ArtifactStore, elsewhere: ArtifactStore, monkeypatch: pytest.MonkeyPatch, files_sent: int
) -> None:
    build(store)
    folder = resume_build(store, VERSION)
    (folder / "model.onnx").write_bytes(b"half a change")
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, files_sent)
        with pytest.raises(KeyboardInterrupt):
            save_build(store, VERSION)

    for machine in (elsewhere, store):
        assert (resume_build(machine, VERSION) / "model.onnx").read_bytes() == NETWORK


def test_a_first_build_whose_upload_stopped_is_none(store: ArtifactStore, elsewhere: ArtifactStore) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            build(store)

    for machine in (elsewhere, store):
        assert not resume_build(machine, VERSION).exists()
        with pytest.raises(ArtifactError, match=f"the build of {VERSION} is gone from s3://"):
            publish(machine, VERSION)


def test_a_new_build_makes_what_was_saved_before_void(store: ArtifactStore, elsewhere: ArtifactStore) -> None:
    build(store)

    begin_build(elsewhere, VERSION)

    assert not resume_build(elsewhere, VERSION).exists()


def test_a_damaged_build_is_not_taken_for_whole(store: ArtifactStore, elsewhere: ArtifactStore) -> None:
    build(store)
    (name,) = [name for name in stored(store.remote or "") if name.endswith("model.onnx")]
    put(f"{store.remote}/{name}", b"network")

    with pytest.raises(ArtifactError, match=f"^the build of {VERSION} in s3://.* is damaged: train again"):
        resume_build(elsewhere, VERSION)


def stop_after(patch: pytest.MonkeyPatch, files: int) -> None:
    from studyml.registry import objects

    upload, sent = objects.upload, []

    def counted(*given: object) -> None:
        if len(sent) == files:
            raise KeyboardInterrupt
        sent.append(given)
        upload(*given)  # type: ignore[arg-type]

    patch.setattr(objects, "upload", counted)


def test_a_store_that_stops_reading_is_given_up(
    store: ArtifactStore, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(store, network=LARGE)
    monkeypatch.setattr("studyml.registry.objects._UPLOAD_SECONDS", 5)
    monkeypatch.setattr("studyml.registry.objects._UPLOAD_BYTES_A_SECOND", len(LARGE))
    with proxied(s3_server) as proxy:
        proxy.stall_upload_after = int(1.5 * PART_BYTES)
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        with pytest.raises(StoreError, match=r"^s3://.* stopped answering or is too slow: check"):
            publish(store, VERSION)
        assert proxy.sent > proxy.stall_upload_after


def test_a_download_that_is_broken_off_once_goes_on(
    store: ArtifactStore, s3_server: str, elsewhere: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = published(store, network=LARGE)
    with proxied(s3_server) as proxy:
        proxy.break_download_after = PART_BYTES
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        folder = fetch(elsewhere, VERSION, sha256)
        assert proxy.break_download_after is None, "it was broken off"
        assert len(LARGE) <= proxy.received < 1.5 * len(LARGE), "what had come was not asked for again"
    verify(folder, sha256)


def test_probing_leaves_nothing_behind(store: ArtifactStore) -> None:
    require_writable(store)

    assert stored(store.remote or "") == {}


def test_a_bucket_that_does_not_exist_is_a_sentence(s3: str, tmp_path: Path) -> None:
    missing = store_at("s3://no-such-bucket/prefix", tmp_path)

    with pytest.raises(ArtifactError, match=r"^the bucket of s3://no-such-bucket/prefix does not exist: check STUDYML"):
        require_writable(missing)


def test_missing_credentials_are_a_sentence(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    S3FileSystem.clear_instance_cache()
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", "/nowhere")

    with pytest.raises(ArtifactError, match=r"^there are no credentials for s3://\S+: set AWS_ACCESS_KEY_ID and AWS"):
        require_writable(store)
    S3FileSystem.clear_instance_cache()


def test_a_server_that_is_not_there_is_a_sentence_that_trying_again_may_cure(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(StoreError, match=r"^s3://\S+ could not be reached or broke off \(EndpointConnectionError\)"):
        require_writable(store)


def test_a_cache_that_cannot_be_written_is_a_sentence(store: ArtifactStore, tmp_path: Path) -> None:
    sha256 = published(store)
    (tmp_path / "file").write_text("")

    with pytest.raises(ArtifactError, match=r"^the cache .* cannot be written \(.*\): check STUDYML_ARTIFACT_CACHE\.$"):
        fetch(replace(store, local=tmp_path / "file"), VERSION, sha256)


def test_each_root_has_a_folder_of_its_own_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = store_at("s3://bucket/one", tmp_path), store_at("s3://bucket/two", tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere")
    third = store_at("s3://bucket/one", tmp_path)

    assert len({first.local, second.local, third.local}) == 3
    assert {each.local.parent for each in (first, second, third)} == {tmp_path}
