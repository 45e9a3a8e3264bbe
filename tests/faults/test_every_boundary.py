"""Killed at every boundary between trained and promoted, of a rollback and of a removal: never half of anything."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from studyml.registry.bundle import BUILDING, verify
from studyml.settings import Settings
from studyml.steps.evaluate_candidate import evaluate_candidate
from studyml.steps.publish_version import publish_version
from studyml.steps.train_candidate import train_candidate
from tests.conftest import NOW
from tests.faults.test_publishing import ROOT, better, whole_versions
from tests.steps.retraining import champions, constant_network, opened, query
from tests.steps.test_maintain import rejected

__all__ = ["better", "constant_network"]
#: More boundaries than any of these steps has.
MOST = 2000

Kill = Callable[[int], str]


@contextmanager
def killer(settings: Settings, step: str, argument: str) -> Iterator[Kill]:
    """Kills the step at a boundary, in a process of its own, and says which one that was."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.faults.killed_anywhere"),
            *(step, argument, settings.database, str(settings.artifact_root)),
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None

    def kill(number: int) -> str:
        stdin.write(f"{number}\n")
        stdin.flush()
        return stdout.readline().strip()

    try:
        yield kill
    finally:
        stdin.close()
        stdout.close()
        process.wait(timeout=60)


def kept_files(settings: Settings) -> None:
    """Every version that the registry offers is whole."""
    for version, sha256 in query(
        settings,
        "SELECT version, manifest_sha256 FROM studyml.model_versions"
        " WHERE artifact_uri IS NOT NULL AND manifest_sha256 IS NOT NULL",
    ):
        verify(settings.artifact_root / version, sha256)


def test_a_publication_killed_at_each_boundary_in_turn_is_finished_by_the_run_after(better: Settings) -> None:
    [before], run_id = champions(better), opened(better)
    train_candidate(better, retraining_run_id=run_id, now=NOW)
    evaluate_candidate(better, retraining_run_id=run_id)
    died: list[str] = []

    with killer(better, "publish", str(run_id)) as kill:
        for number in range(1, MOST):
            name = kill(number)
            serving = champions(better)
            assert len(serving) == 1, name
            assert set(whole_versions(better)) == {before, *serving}, f"half a version is visible after {name}"
            if serving != [before]:
                break
            assert not name.startswith(("finished", "failed")), name
            died.append(name)

    assert {"bundle.seal", "versions.commit_artifact", "versions.promote", "retraining.decide"} <= set(died)
    for moment in (
        "before rename in publish",
        "after rename in publish",
        "after execute in promote",
        "before commit in",
    ):
        assert any(name.startswith(moment) for name in died), moment
    decided = publish_version(better, retraining_run_id=run_id, now=NOW)
    assert (decided["decision"], [decided["version"]]) == ("promoted", champions(better))
    assert query(better, "SELECT count(*) FROM studyml.deployments") == [(2,)]
    assert list((better.artifact_root / BUILDING).glob("*")) == []


def test_a_rollback_killed_at_each_boundary_has_happened_whole_or_not_at_all(better: Settings) -> None:
    [first], run_id = champions(better), opened(better)
    train_candidate(better, retraining_run_id=run_id, now=NOW)
    evaluate_candidate(better, retraining_run_id=run_id)
    bad = publish_version(better, retraining_run_id=run_id, now=NOW)["version"]
    died: list[str] = []

    with killer(better, "rollback", "too long") as kill:
        for number in range(1, MOST):
            name = kill(number)
            serving = champions(better)
            assert len(serving) == 1, name
            kept_files(better)
            if serving != [bad]:
                break
            assert whole_versions(better) == {first: "retired", bad: "champion"}, name
            assert not name.startswith(("finished", "failed")), name
            died.append(name)

    assert {"serving.open_version", "bundle.verify", "versions.promote", "versions.lock_champion"} <= set(died)
    assert whole_versions(better) == {first: "champion", bad: "quarantined"}
    assert query(
        better, "SELECT action, from_version, to_version FROM studyml.deployments ORDER BY id DESC LIMIT 1"
    ) == [("rollback", bad, first)]


def test_a_removal_killed_at_each_boundary_leaves_nothing_that_is_offered_and_not_there(lived: Settings) -> None:
    [serving] = champions(lived)
    rejected(lived, 12)
    died: list[str] = []

    with killer(lived, "prune", "3") as kill:
        for number in range(1, MOST):
            name = kill(number)
            kept_files(lived)
            assert champions(lived) == [serving]
            if name == "finished":
                break
            assert not name.startswith("failed"), name
            died.append(name)

    assert {"prune.kept_versions", "versions.forget_artifacts", "bundle.remove"} <= set(died)
    assert any(name.startswith("after unlink") or name.startswith("before unlink") for name in died)
    folders = {path.name for path in lived.artifact_root.glob("v_*")}
    assert folders == set(kept := offered_versions(lived))
    assert len(kept) == 2, "the champion and the newest"


def offered_versions(settings: Settings) -> list[str]:
    return [
        version
        for (version,) in query(settings, "SELECT version FROM studyml.model_versions WHERE artifact_uri IS NOT NULL")
    ]
