"""Publishing through object storage: what is cut off, what a crash left, large files, upkeep."""

import pytest

from studyml.errors import StoreError
from studyml.registry import store as module
from studyml.registry.bundle import build_folder
from studyml.registry.objects import PART_BYTES
from studyml.registry.store import (
    ArtifactStore,
    fetch,
    is_taken,
    publish,
    verify_stored,
)
from studyml.registry.upkeep import remove_old_builds, remove_version
from tests.object_store import filesystem, proxied, put, s3, s3_server, stored
from tests.registry.test_store import LARGE, NETWORK, OTHER, VERSION, address_of, build, elsewhere, published, store

__all__ = ["elsewhere", "s3", "s3_server", "store"]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_publication_that_is_cut_off_is_said_and_succeeds_when_tried_again(
    store: ArtifactStore, s3_server: str, elsewhere: ArtifactStore, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    build(store)
    with proxied(s3_server) as proxy:
        proxy.upload_limit = 2_000 + int(share * len(NETWORK))
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        with pytest.raises(StoreError, match=r"^s3://.* (could not be reached or broke off \(\w+\)|stopped answering)"):
            publish(store, VERSION)
        assert proxy.sent > proxy.upload_limit
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)

    _, sha256 = publish(elsewhere, VERSION)

    verify_stored(store, VERSION, sha256)


def test_a_file_of_several_parts_is_whole_on_another_machine(store: ArtifactStore, elsewhere: ArtifactStore) -> None:
    sha256 = published(store, network=LARGE)

    entry = filesystem().info(address_of(store, "model.onnx").removeprefix("s3://"))
    assert entry["ETag"].strip('"').endswith("-3"), "it was uploaded in three parts"
    assert (fetch(elsewhere, VERSION, sha256) / "model.onnx").read_bytes() == LARGE


def unfinished_uploads(store: ArtifactStore) -> list[str]:
    """Names below the root of which the store holds parts that nobody put together."""
    bucket, _, prefix = (store.remote or "").removeprefix("s3://").partition("/")
    found = filesystem().call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix).get("Uploads", [])
    return [each["Key"].removeprefix(f"{prefix}/") for each in found]


def test_an_upload_in_parts_that_is_cut_off_shows_nothing_and_succeeds_when_tried_again(
    store: ArtifactStore, s3_server: str, elsewhere: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(store, network=LARGE)
    with proxied(s3_server) as proxy:
        proxy.upload_limit = int(1.5 * PART_BYTES)
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        with pytest.raises(StoreError, match=r"^s3://.* (could not be reached or broke off \(\w+\)|stopped answering)"):
            publish(store, VERSION)
        assert proxy.sent > proxy.upload_limit
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)

    assert unfinished_uploads(store) == [f"{VERSION}/model.onnx"]
    assert "model.onnx" not in stored(f"{store.remote}/{VERSION}")

    _, sha256 = publish(elsewhere, VERSION)

    assert (fetch(store, VERSION, sha256) / "model.onnx").read_bytes() == LARGE


def test_a_store_that_does_not_hold_what_was_sent_publishes_nothing(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(store)
    send = module.upload_folder

    def lossy(*given: object, **named: object) -> None:
        send(*given, **named)  # type: ignore[arg-type]
        put(address_of(store, "model.onnx"), NETWORK[:1000])

    monkeypatch.setattr(module, "upload_folder", lossy)

    with pytest.raises(StoreError, match=f"does not hold {VERSION} as it was sent, and nothing was published"):
        publish(store, VERSION)
    assert not (store.local / VERSION).exists()


def test_publishing_replaces_what_a_crash_left_under_the_name(store: ArtifactStore) -> None:
    published(store)
    put(address_of(store, "left.bin"), b"x")

    sha256 = published(store, network=b"again")

    verify_stored(store, VERSION, sha256)


def test_a_name_is_taken_by_any_object_below_it(store: ArtifactStore) -> None:
    assert not is_taken(store, VERSION)
    put(address_of(store, "model.onnx"), b"half an upload")
    assert is_taken(store, VERSION)
    assert not is_taken(store, VERSION[:-1])


def test_upkeep_removes_versions_and_old_builds(store: ArtifactStore) -> None:
    published(store)
    build(store, OTHER)

    assert remove_old_builds(store, older_than=0) == []
    assert remove_version(store, VERSION)
    assert not remove_version(store, VERSION)
    assert remove_old_builds(store, older_than=4e9) == [OTHER]
    assert stored(store.remote or "") == {}
    assert not build_folder(store.local, OTHER).exists()
