"""Nights whose artifact root is an object store: lived, replayed, killed in the middle of an upload, damaged."""

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from studyml.errors import ArtifactError, StoreError
from studyml.registry.versions import find
from studyml.settings import Settings
from studyml.steps.doctor import doctor
from studyml.steps.evaluate_candidate import evaluate_candidate
from studyml.steps.maintain import maintain
from studyml.steps.night import night
from studyml.steps.opening import own_database
from studyml.steps.promote_version import promote_version
from studyml.steps.publish_version import publish_version
from studyml.steps.rollback_version import rollback_version
from studyml.steps.serving import fetch_version
from studyml.steps.train_candidate import train_candidate
from studyml.steps.verify_version import verify_version
from tests.conftest import END, FIRST_NIGHT, NOW, silent
from tests.faults.killed_step import HOURS, UPLOADS
from tests.object_store import KEYS, put, s3, s3_server, stored
from tests.steps.retraining import champions, constant_network, opened, query

__all__ = ["constant_network", "s3", "s3_server"]
ROOT = Path(__file__).resolve().parents[2]
STEPS = ("train", "evaluate", "publish")


def on(settings: Settings, address: str, cache: Path) -> Settings:
    return settings.model_copy(update={"artifact_root": address, "artifact_cache": cache, "baseline_mae": 50.0})


@pytest.fixture
def remote(
    simulated: Settings,
    s3: str,
    tmp_path: Path,
    constant_network: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """A simulated log, an empty bucket, and trainings that take no time."""
    constant_network(HOURS)
    monkeypatch.setenv("STUDYML_ARTIFACT_CACHE", str(tmp_path / "cache"))
    return on(simulated, s3, tmp_path / "cache")


def another_machine(settings: Settings) -> Settings:
    """The same settings where nothing was ever fetched."""
    return settings.model_copy(update={"artifact_cache": settings.artifact_cache.parent / "elsewhere"})


def versions_in(settings: Settings) -> set[str]:
    return {name.split("/")[0] for name in stored(str(settings.artifact_root)) if name.startswith("v_")}


def predictions(settings: Settings) -> list[tuple[object, ...]]:
    return query(
        settings,
        "SELECT as_of, session_id, model_version, predicted_hours, lower_hours, upper_hours FROM studyml.predictions"
        " ORDER BY 1, 2",
    )


def test_a_night_publishes_and_the_next_one_on_another_machine_scores_with_the_same_version(remote: Settings) -> None:
    first = night(remote, as_of=FIRST_NIGHT, now=NOW, progress=silent)
    (present,) = champions(remote)
    second = night(
        another_machine(remote).model_copy(update={"retrain_min_labels": 1000}), as_of=END, now=NOW, progress=silent
    )

    assert first["scoring"]["written"] > 0
    assert second["scoring"]["written"] > 0
    assert champions(remote) == [present]
    assert {row[2] for row in predictions(remote)} == {present}
    published = query(remote, "SELECT version, artifact_uri FROM studyml.model_versions WHERE manifest_sha256 > ''")
    assert len(published) == 2, "the rejected network and the fallback"
    assert {uri for _, uri in published} == {f"{remote.artifact_root}/{version}" for version, _ in published}
    assert not [name for name in stored(str(remote.artifact_root)) if name.startswith(".building")]

    before = predictions(remote)
    replayed = night(another_machine(remote), as_of=FIRST_NIGHT, now=NOW, progress=silent)
    assert replayed["replay"] is True
    assert predictions(remote) == before

    checks = {each.name: each for each in doctor(another_machine(remote), now=NOW)}
    assert checks["artifacts"].passed
    assert checks["champion"].passed


def test_a_damaged_champion_fails_the_night_loudly_and_a_whole_copy_still_serves(remote: Settings) -> None:
    night(remote, as_of=FIRST_NIGHT, now=NOW, progress=silent)
    (present,) = champions(remote)
    calm = remote.model_copy(update={"retrain_min_labels": 1000})
    put(f"{remote.artifact_root}/{present}/model.onnx", b"half a netw")

    with pytest.raises(ArtifactError, match=f"model.onnx of version {present} is damaged"):
        night(another_machine(calm), as_of=END, now=NOW, progress=silent)
    assert {row[0] for row in predictions(remote)} == {FIRST_NIGHT}

    assert night(calm, as_of=END, now=NOW, progress=silent)["scoring"]["written"] > 0
    with pytest.raises(ArtifactError, match=f"kept versions are damaged: model.onnx of version {present}"):
        maintain(calm, as_of=END, now=NOW)


def test_verifying_reads_the_store_whatever_this_machine_has_a_copy_of(remote: Settings) -> None:
    night(remote, as_of=FIRST_NIGHT, now=NOW, progress=silent)
    (present,) = champions(remote)
    assert verify_version(remote, None) == present
    put(f"{remote.artifact_root}/{present}/model.onnx", b"half a netw")

    with pytest.raises(ArtifactError, match=f"model.onnx of version {present} is damaged"):
        verify_version(remote, None)


def test_an_outage_of_the_store_is_no_reason_to_go_further_back(
    remote: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(remote, as_of=FIRST_NIGHT, now=NOW, progress=silent)
    ((other,),) = query(remote, "SELECT version FROM studyml.model_versions WHERE status = 'rejected'")
    who = {"now": NOW, "actor": "ada", "reason": "a test"}
    promote_version(remote, other, **who)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(StoreError, match=r"^s3://\S+ could not be reached"):
        rollback_version(another_machine(remote), None, **who)

    assert champions(remote) == [other]


def run_steps(settings: Settings, run_id: int, steps: tuple[str, ...]) -> None:
    if "train" in steps:
        train_candidate(settings, retraining_run_id=run_id, now=NOW)
    if "evaluate" in steps:
        evaluate_candidate(settings, retraining_run_id=run_id)
    if "publish" in steps:
        publish_version(settings, retraining_run_id=run_id, now=NOW)


@pytest.mark.parametrize("point", UPLOADS)
def test_a_task_killed_in_the_middle_of_an_upload_is_finished_by_another_machine(remote: Settings, point: str) -> None:
    run_id, step = opened(remote), UPLOADS[point][0]
    run_steps(remote, run_id, STEPS[: STEPS.index(step)])

    arguments = (step, str(run_id), point, remote.database, str(remote.artifact_root))
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.killed_step", *arguments], cwd=ROOT, capture_output=True, text=True
    )

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not any(secret in done.stdout + done.stderr for secret in KEYS.values() if "key" in secret)
    assert champions(remote) == []
    assert query(remote, "SELECT count(*) FROM studyml.model_versions WHERE manifest_sha256 > ''") == [(0,)]
    assert [name for name in stored(str(remote.artifact_root)) if name.startswith(("v_", ".building"))]

    run_steps(another_machine(remote), run_id, STEPS[STEPS.index(step) :])

    (present,) = champions(remote)
    third = remote.model_copy(update={"artifact_cache": remote.artifact_cache.parent / "third"})
    for (version,) in query(remote, "SELECT version FROM studyml.model_versions WHERE manifest_sha256 > ''"):
        with own_database(remote) as connection:
            found = find(connection, version)
        assert fetch_version(third, found).is_dir()
    assert present in versions_in(remote)
    assert not [name for name in stored(str(remote.artifact_root)) if name.startswith(".building")]


def test_upkeep_removes_what_a_lost_worker_left_and_names_what_is_nobodys(remote: Settings) -> None:
    night(remote, as_of=FIRST_NIGHT, now=NOW, progress=silent)
    put(f"{remote.artifact_root}/.building/v_20200101_000000/abc/model.onnx", b"x")
    put(f"{remote.artifact_root}/v_20200101_000001/model.onnx", b"x")
    put(f"{remote.artifact_root}/snapshots/{'0' * 64}.parquet", b"x")

    found = maintain(remote, as_of=END, now=datetime.now(UTC) + timedelta(days=2))

    assert "v_20200101_000000" in found["dropped_builds"]
    assert found["unknown_folders"] == ["v_20200101_000001"]
    assert f"{'0' * 64}.parquet" in found["dropped_snapshots"]
    assert found["verified"] == 2
    left = stored(str(remote.artifact_root))
    assert not [name for name in left if name.startswith(".building") or "0" * 64 in name]
    assert [name for name in left if name.startswith("snapshots/")], "that of a kept version"
