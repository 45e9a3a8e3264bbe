"""A retraining killed anywhere between reserved and promoted: one champion, no half version, the next run finishes."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from studyml.registry.bundle import BUILDING, verify
from studyml.settings import Settings
from studyml.steps.evaluate_candidate import evaluate_candidate
from studyml.steps.maintain import maintain
from studyml.steps.night import retrain
from studyml.steps.publish_version import publish_version
from studyml.steps.train_candidate import train_candidate
from tests.conftest import END, NOW, silent
from tests.faults.killed_step import HOURS, POINTS
from tests.steps.retraining import champions, constant_network, keep_labels, opened, query
from tests.steps.test_publish_version import ignoring_changes

__all__ = ["constant_network"]
ROOT = Path(__file__).resolve().parents[2]
STEPS = ("train", "evaluate", "publish")


@pytest.fixture
def better(lived: Settings, constant_network: Callable[[float], None]) -> Settings:
    """A database with a champion, and newest labels that only a network that says HOURS comes near."""
    constant_network(HOURS)
    query(
        lived,
        "UPDATE study_sessions SET actual_duration = 19 + (id %% 10) / 10.0 WHERE actual_duration IS NOT NULL"
        " AND session_date > %s",
        (END - timedelta(days=40),),
    )
    return ignoring_changes(lived)


def run_steps(settings: Settings, run_id: int, steps: tuple[str, ...]) -> None:
    if "train" in steps:
        train_candidate(settings, retraining_run_id=run_id, now=NOW)
    if "evaluate" in steps:
        evaluate_candidate(settings, retraining_run_id=run_id)
    if "publish" in steps:
        publish_version(settings, retraining_run_id=run_id, now=NOW)


def kill_at(settings: Settings, run_id: int, point: str) -> None:
    """Run the steps before the point's, then the point's own in a process that dies there."""
    step = POINTS[point][0]
    run_steps(settings, run_id, STEPS[: STEPS.index(step)])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.faults.killed_step",
            *(step, str(run_id), point, settings.database, str(settings.artifact_root)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def whole_versions(settings: Settings) -> dict[str, str]:
    """Every version that the registry shows as published, each verified, with its status."""
    found = {}
    for version, status, sha256 in query(
        settings,
        "SELECT version, status, manifest_sha256 FROM studyml.model_versions WHERE manifest_sha256 IS NOT NULL",
    ):
        verify(settings.artifact_root / version, sha256)
        found[version] = status
    return found


@pytest.mark.parametrize("point", POINTS)
def test_after_a_kill_the_old_champion_serves_and_the_cleared_steps_finish_the_same_run(
    better: Settings, point: str
) -> None:
    before, run_id = champions(better), opened(better)
    committed = point == "after the commit"

    kill_at(better, run_id, point)

    published = whole_versions(better)
    assert len(champions(better)) == 1
    assert (champions(better) == before) != committed
    assert set(published) == {*before, *champions(better)}, "no half version is visible"

    step = POINTS[point][0]
    run_steps(better, run_id, STEPS[STEPS.index(step) :])

    ((decision, version),) = query(
        better, "SELECT decision, version FROM studyml.retraining_runs WHERE id = %s", (run_id,)
    )
    assert (decision, champions(better)) == ("promoted", [version])
    assert whole_versions(better) == {before[0]: "retired", version: "champion"}
    assert query(better, "SELECT from_version, to_version FROM studyml.deployments ORDER BY id DESC LIMIT 1") == [
        (before[0], version)
    ]
    assert list((better.artifact_root / BUILDING).glob("*")) == []


@pytest.mark.parametrize("point", ["building", "renamed"])
def test_after_a_kill_another_run_decides_and_upkeep_clears_what_the_killed_one_left(
    better: Settings, point: str
) -> None:
    before, killed = champions(better), opened(better)
    kill_at(better, killed, point)
    tomorrow = NOW + timedelta(days=1)

    decided = retrain(better, as_of=END + timedelta(days=1), now=tomorrow, progress=silent, force=True)

    assert decided is not None
    assert decided["decision"] == "promoted"
    assert champions(better) == [decided["version"]]
    assert query(better, "SELECT decision FROM studyml.retraining_runs WHERE id = %s", (killed,)) == [("abandoned",)]
    assert set(whole_versions(better)) == {*before, decided["version"]}
    real_later = _real_clock() + timedelta(days=3)
    maintain(better, as_of=END + timedelta(days=1), now=real_later)
    assert {path.name for path in better.artifact_root.glob("v_*")} == {*before, decided["version"]}
    assert list((better.artifact_root / BUILDING).glob("*")) == []


@pytest.mark.parametrize("point", ["renamed", "before the commit"])
def test_a_first_night_killed_while_it_publishes_its_fallback_publishes_it_when_run_again(
    simulated: Settings, point: str
) -> None:
    keep_labels(simulated, 20)
    run_id = opened(simulated)

    kill_at(simulated, run_id, point)
    assert champions(simulated) == []
    assert whole_versions(simulated) == {}
    publish_version(simulated, retraining_run_id=run_id, now=NOW)

    assert list(whole_versions(simulated).values()) == ["champion"]
    assert query(simulated, "SELECT count(*), bool_and(is_fallback) FROM studyml.model_versions") == [(1, True)]


def test_a_step_waits_for_another_process_that_still_works_on_the_same_run(better: Settings) -> None:
    # A worker that lost its scheduler goes on; the retry must not build in the same folder beside it.
    run_id = opened(better)
    run_steps(better, run_id, ("train", "evaluate"))
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, better.database, str(run_id)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "held"
    started = time.monotonic()

    publish_version(better, retraining_run_id=run_id, now=NOW)

    assert time.monotonic() - started > 0.5
    holder.wait(timeout=30)
    holder.stdout.close()
    assert len(champions(better)) == 1


_HOLDER = """
import sys, time
from studyml.database.connection import advisory_lock, connect
with connect(sys.argv[1]) as connection, advisory_lock(connection, f"retraining {sys.argv[2]}"):
    print("held", flush=True)
    time.sleep(1)
"""


def _real_clock() -> datetime:
    return datetime.now(UTC)
