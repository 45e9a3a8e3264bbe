"""Upkeep: removes what policy no longer keeps, never what is in use, and names what is damaged."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from studyml.errors import ArtifactError
from studyml.registry.bundle import BUILDING, new_build, publish
from studyml.registry.versions import commit_artifact, reject, reserve
from studyml.settings import Settings
from studyml.steps.maintain import maintain
from studyml.steps.opening import own_database
from tests.conftest import END, NOW
from tests.scoring.world import create_source
from tests.steps.retraining import champions, query


def later(days: float = 2) -> datetime:
    """So long after now that what this test leaves behind is old; file times are the machine's own."""
    return datetime.now(UTC) + timedelta(days=days)


def keep(settings: Settings, count: int) -> Settings:
    return settings.model_copy(update={"keep_versions": count})


def rejected(settings: Settings, count: int) -> list[str]:
    """Versions that the gates rejected, oldest first, each with a small folder."""
    found = []
    with own_database(settings) as connection:
        for number in range(count):
            version = reserve(
                connection,
                architecture="mlp",
                recipe="guide",
                is_fallback=False,
                as_of=END,
                now=NOW + timedelta(minutes=1 + number),
                dag_run_id=None,
                is_taken=lambda version: (settings.artifact_root / version).exists(),
            )
            (new_build(settings.artifact_root, version) / "model.onnx").write_bytes(version.encode())
            folder, sha256 = publish(settings.artifact_root, version)
            commit_artifact(connection, version, manifest_sha256=sha256, artifact_uri=folder.as_uri())
            reject(connection, version)
            found.append(version)
        connection.commit()
    return found


def folders(settings: Settings) -> set[str]:
    return {path.name for path in settings.artifact_root.glob("v_*")}


def upkeep(settings: Settings, now: datetime | None = None) -> dict[str, Any]:
    return maintain(settings, as_of=END, now=now or later())


@pytest.fixture
def crowded(lived: Settings) -> tuple[Settings, list[str]]:
    """A champion and three rejected versions."""
    return lived, rejected(lived, 3)


def test_before_anything_was_trained_there_is_nothing_to_do(settings: Settings) -> None:
    create_source(settings)

    found = upkeep(settings)

    assert (found["verified"], found["kept_versions"], found["pruned_versions"]) == (0, {}, [])


def test_old_rejected_versions_go_and_the_newest_and_the_champion_stay(crowded: tuple[Settings, list[str]]) -> None:
    settings, versions = crowded

    result = upkeep(keep(settings, 1))

    assert sorted(result["pruned_versions"]) == versions[:2]
    assert folders(settings) == {*champions(settings), versions[2]}
    assert result["verified"] == 2
    assert query(settings, "SELECT count(*) FROM studyml.model_versions") == [(4,)], "their rows stay"


def test_doing_it_again_removes_nothing_more_and_keeping_more_later_finds_no_damage(
    crowded: tuple[Settings, list[str]],
) -> None:
    settings, versions = crowded
    upkeep(keep(settings, 1))

    assert upkeep(keep(settings, 1))["pruned_versions"] == []
    assert upkeep(keep(settings, 10))["verified"] == 2
    assert folders(settings) == {*champions(settings), versions[2]}


def serve(settings: Settings, version: str, since: datetime) -> None:
    """Write into the log that a version served from then on."""
    query(
        settings,
        "INSERT INTO studyml.deployments (action, as_of, recorded_at, actor, to_version, reason)"
        " VALUES ('promote', %s, %s, 'test', %s, 'for the test')",
        (since, since, version),
    )


@pytest.mark.parametrize(("days_ago", "stays"), [(5, True), (15, False)])
def test_a_version_stays_for_so_long_after_it_last_served(
    crowded: tuple[Settings, list[str]], days_ago: int, stays: bool
) -> None:
    settings, versions = crowded
    serve(settings, versions[0], END - timedelta(days=40))
    serve(settings, champions(settings)[0], END - timedelta(days=days_ago))

    result = upkeep(keep(settings, 1).model_copy(update={"keep_served_days": 10}))

    assert (versions[0] in folders(settings)) == stays
    assert (result["kept_versions"].get(versions[0]) == "served in the last 10 days") == stays


def test_what_the_champion_could_go_back_to_stays_however_long_ago_it_served(
    crowded: tuple[Settings, list[str]],
) -> None:
    settings, versions = crowded
    serve(settings, versions[0], END - timedelta(days=400))
    serve(settings, champions(settings)[0], END - timedelta(days=300))
    query(settings, "UPDATE studyml.model_versions SET status = 'retired' WHERE version = %s", (versions[0],))

    result = upkeep(keep(settings, 1))

    assert result["pruned_versions"] == [versions[1]]
    assert result["kept_versions"][versions[0]] == "could be gone back to"


@pytest.mark.parametrize("status", ["challenger", "awaiting_approval", "quarantined"])
def test_a_version_in_use_is_never_removed(crowded: tuple[Settings, list[str]], status: str) -> None:
    settings, versions = crowded
    query(settings, "UPDATE studyml.model_versions SET status = %s WHERE version = %s", (status, versions[0]))

    assert upkeep(keep(settings, 1))["pruned_versions"] == [versions[1]]


def test_a_damaged_kept_version_is_an_error_that_names_it_after_everything_else_was_done(
    crowded: tuple[Settings, list[str]],
) -> None:
    settings, versions = crowded
    (settings.artifact_root / versions[2] / "model.onnx").write_bytes(b"")

    with pytest.raises(ArtifactError, match=rf"^kept versions are damaged: model\.onnx of version {versions[2]}"):
        upkeep(keep(settings, 1))

    assert folders(settings) == {*champions(settings), versions[2]}


def test_a_damaged_version_that_is_not_kept_disturbs_nobody(crowded: tuple[Settings, list[str]]) -> None:
    settings, versions = crowded
    (settings.artifact_root / versions[0] / "model.onnx").write_bytes(b"")

    assert versions[0] in upkeep(keep(settings, 1))["pruned_versions"]


def test_a_missing_champion_folder_is_an_error_that_names_it(lived: Settings) -> None:
    champion = champions(lived)[0]
    (lived.artifact_root / champion).rename(lived.artifact_root / "elsewhere")

    with pytest.raises(ArtifactError, match=f"version {champion} has no manifest.json"):
        upkeep(lived)


def test_snapshots_live_as_long_as_a_version_that_was_trained_on_them(crowded: tuple[Settings, list[str]]) -> None:
    settings, _ = crowded
    kept = {
        row[0]
        for row in query(
            settings, "SELECT metrics->>'snapshot_sha256' FROM studyml.model_versions WHERE status = 'champion'"
        )
    }
    stray = settings.artifact_root / "snapshots" / f"{'0' * 64}.parquet"
    stray.write_bytes(b"")

    young = upkeep(keep(settings, 1), now=datetime.now(UTC))
    assert young["dropped_snapshots"] == []
    result = upkeep(keep(settings, 1))

    assert stray.name in result["dropped_snapshots"]
    assert kept <= {path.stem for path in (settings.artifact_root / "snapshots").iterdir()}


def test_builds_that_a_killed_process_left_go_after_a_day(lived: Settings) -> None:
    left = lived.artifact_root / BUILDING / "v_20260101_000000"
    left.mkdir(parents=True)

    assert upkeep(lived, now=datetime.now(UTC))["dropped_builds"] == []
    assert upkeep(lived)["dropped_builds"] == [left.name]
    assert not left.exists()


def test_a_folder_that_no_version_names_is_reported_and_left_alone(lived: Settings) -> None:
    foreign = lived.artifact_root / "v_20200101_000000"
    foreign.mkdir()
    os.utime(foreign, (0, 0))

    assert upkeep(lived)["unknown_folders"] == [foreign.name]
    assert foreign.is_dir()


def test_a_label_corrected_long_ago_is_found(lived: Settings) -> None:
    query(
        lived,
        "UPDATE study_sessions SET actual_duration = 1.23 WHERE id = (SELECT id FROM study_sessions"
        " ORDER BY session_date LIMIT 1)",
    )

    result = upkeep(lived.model_copy(update={"correction_window_days": 1}))

    assert result["labels"]["corrected"] == 1


def test_old_nights_of_predictions_go_and_outcomes_stay(lived: Settings) -> None:
    before = query(lived, "SELECT count(*) FROM studyml.outcomes")
    much_later = END + timedelta(days=500)

    result = maintain(lived, as_of=much_later, now=much_later)

    assert len(result["dropped_nights"]) == 1
    assert query(lived, "SELECT count(*) FROM studyml.predictions") == [(0,)]
    assert query(lived, "SELECT count(*) FROM studyml.outcomes WHERE revision = 1")[0] >= before[0]
