"""Retrainings, a rollback, a removal and a scoring at once: one champion, and nothing missing that is needed."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from studyml.errors import StudymlError
from studyml.registry.bundle import verify
from studyml.settings import Settings
from studyml.steps import publish_version as publishing
from studyml.steps.maintain import maintain
from studyml.steps.night import retrain
from studyml.steps.prune import prune_versions
from studyml.steps.publish_version import publish_version
from studyml.steps.rollback_version import rollback_version
from studyml.steps.score import score
from tests.conftest import END, NOW, silent
from tests.faults.killed_step import HOURS
from tests.faults.test_publishing import better, whole_versions
from tests.steps.retraining import champions, constant_network, query, retrained
from tests.steps.test_maintain import later, rejected
from tests.steps.test_publish_version import judged, status_of

__all__ = ["better", "constant_network"]
WHO = {"actor": "ada", "reason": "too long"}


def at_once(*works: Callable[[], object]) -> list[StudymlError]:
    """Run all at the same time, each with connections of its own; return what was refused."""
    barrier, refused = threading.Barrier(len(works)), []

    def run(work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            work()
        except StudymlError as error:
            refused.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for each in threads:
        each.start()
    for each in threads:
        each.join(timeout=120)
        assert not each.is_alive()
    return refused


def the_log_fits(settings: Settings) -> None:
    """Each change took over from the one before, and the last one is what serves."""
    log = query(settings, "SELECT from_version, to_version FROM studyml.deployments ORDER BY id")
    assert [after[0] for after in log[1:]] == [before[1] for before in log[:-1]]
    assert champions(settings) == [log[-1][1]]


def test_two_retrainings_at_once_end_in_one_champion(better: Settings) -> None:
    refused = at_once(
        lambda: retrain(better, as_of=END, now=NOW, progress=silent, force=True),
        lambda: retrain(better, as_of=END, now=NOW, progress=silent, force=True),
    )

    assert refused == []
    the_log_fits(better)
    assert set(whole_versions(better)) >= set(champions(better))
    assert query(better, "SELECT count(*) FROM studyml.retraining_runs WHERE decision IS NULL") == [(0,)]


def test_a_rollback_while_a_retraining_publishes_is_neither_lost_nor_overtaken(
    better: Settings, constant_network: Callable[[float], None]
) -> None:
    [first] = champions(better)
    bad = (retrained(better) or {})["version"]
    constant_network(19.4)
    run_id = judged(better, now=NOW + timedelta(minutes=1))

    refused = at_once(
        lambda: rollback_version(better, None, now=NOW, **WHO),
        lambda: publish_version(better, retraining_run_id=run_id, now=NOW),
    )

    the_log_fits(better)
    if refused:  # the retraining was first: what the person meant to take back serves no longer
        assert "serves no longer" in str(refused[0])
        assert status_of(better, bad) == "retired"
    else:
        assert status_of(better, bad) == "quarantined"
    assert first in whole_versions(better)


def take_back_at_commit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """While the next publication is about to commit, a person takes the champion back; which one, is in the list."""
    commit, taken_back = publishing.commit_artifact, list[str]()

    def after_a_rollback(*given: Any, **named: Any) -> None:
        if not taken_back:
            taken_back.append(rollback_version(settings, None, now=NOW, **WHO).quarantined)
        commit(*given, **named)

    monkeypatch.setattr(publishing, "commit_artifact", after_a_rollback)
    return taken_back


def test_a_candidate_whose_champion_is_taken_back_meanwhile_is_judged_against_the_one_before(
    better: Settings, constant_network: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    constant_network(19.0)
    bad = (retrained(better) or {})["version"]
    constant_network(HOURS)
    run_id = judged(better, now=NOW + timedelta(minutes=1))
    taken_back = take_back_at_commit(better, monkeypatch)

    decided = publish_version(better, retraining_run_id=run_id, now=NOW)

    assert taken_back == [bad]
    assert decided["decision"] == "promoted"
    the_log_fits(better)
    assert status_of(better, bad) == "quarantined"
    assert champions(better) == [decided["version"]]


def test_a_candidate_that_is_worse_than_the_champion_a_person_went_back_to_is_rejected(
    better: Settings, constant_network: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = []
    for minute, hours in enumerate((19.0, 19.5)):
        constant_network(hours)
        versions.append((retrained(better, now=NOW + timedelta(minutes=minute)) or {})["version"])
    query(better, "UPDATE study_sessions SET actual_duration = actual_duration - 0.5 WHERE actual_duration >= 19")
    constant_network(19.2)  # nearer to what is true now than 19.5, and not as near as 19.0
    run_id = judged(better, now=NOW + timedelta(minutes=2))
    taken_back = take_back_at_commit(better, monkeypatch)

    decided = publish_version(better, retraining_run_id=run_id, now=NOW)

    assert taken_back == versions[1:]
    assert decided["decision"] == "rejected"
    assert any("is worse than the champion" in reason for reason in decided["reasons"])
    assert decided["reasons"][-1] == f"{versions[0]} stays champion"
    assert status_of(better, decided["version"]) == "rejected"
    assert champions(better) == versions[:1]
    the_log_fits(better)


def test_two_rollbacks_at_once_take_back_one_version(better: Settings) -> None:
    [first] = champions(better)
    bad = (retrained(better) or {})["version"]

    refused = at_once(*[lambda: rollback_version(better, None, now=NOW, **WHO)] * 2)

    assert len(refused) == 1
    assert champions(better) == [first]
    assert status_of(better, bad) == "quarantined"
    assert query(better, "SELECT count(*) FROM studyml.deployments WHERE action = 'rollback'") == [(1,)]


def test_a_removal_while_a_night_is_scored_leaves_what_scores_it(better: Settings) -> None:
    [first] = champions(better)
    retrained(better)
    few = better.model_copy(update={"keep_versions": 1, "keep_served_days": 1, "scoring_range_sessions": 5})
    old = rejected(few, 4)

    refused = at_once(
        lambda: score(few, as_of=END, now=NOW, progress=silent),
        lambda: prune_versions(few, as_of=END + timedelta(days=90), now=later(), dry_run=False),
        lambda: rollback_version(few, None, now=NOW, **WHO),
    )

    assert refused == []
    assert champions(better) == [first]
    assert query(better, "SELECT count(*) > 0 FROM analytics.study_time_predictions") == [(True,)]
    for version, sha256 in query(
        better, "SELECT version, manifest_sha256 FROM studyml.model_versions WHERE artifact_uri IS NOT NULL"
    ):
        verify(better.artifact_root / version, sha256)
    assert not (better.artifact_root / old[0]).exists()
    maintain(few, as_of=END, now=later())
