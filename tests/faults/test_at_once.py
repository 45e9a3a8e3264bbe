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
from tests.steps.test_publish_version import judged, lengthen, status_of

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


@pytest.fixture
def taken_back(lived: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The version that a person takes back while the next publication is about to commit."""
    commit, done = publishing.commit_artifact, []

    def after_a_rollback(*given: Any, **named: Any) -> None:
        if armed(lived) and not done:
            done.append(rollback_version(lived, None, now=NOW, **WHO).quarantined)
        commit(*given, **named)

    monkeypatch.setattr(publishing, "commit_artifact", after_a_rollback)
    return done


def armed(settings: Settings) -> bool:
    """Whether a second candidate is on its way: the first one must become champion before it can be taken back."""
    return bool(query(settings, "SELECT count(*) > 2 FROM studyml.retraining_runs")[0][0])


def test_a_candidate_whose_champion_is_taken_back_meanwhile_is_judged_against_the_one_before(
    better: Settings, constant_network: Callable[[float], None], taken_back: list[str]
) -> None:
    constant_network(19.0)
    bad = (retrained(better) or {})["version"]
    constant_network(HOURS)
    run_id = judged(better, now=NOW + timedelta(minutes=1))

    decided = publish_version(better, retraining_run_id=run_id, now=NOW)

    assert taken_back == [bad]
    assert decided["decision"] == "promoted"
    the_log_fits(better)
    assert status_of(better, bad) == "quarantined"
    assert champions(better) == [decided["version"]]


def test_a_candidate_that_is_worse_than_the_champion_a_person_went_back_to_is_rejected(
    lived: Settings, constant_network: Callable[[float], None], taken_back: list[str]
) -> None:
    [first] = champions(lived)
    query(lived, "CREATE TABLE kept AS SELECT id, actual_duration FROM study_sessions")
    lengthen(lived)
    constant_network(HOURS)
    bad = (retrained(lived) or {})["version"]
    query(lived, "UPDATE study_sessions s SET actual_duration = k.actual_duration FROM kept k WHERE k.id = s.id")
    # The median of the newest is better than all that is naive, and worse than a network that learned something.
    (median,) = query(
        lived,
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY actual_duration) FROM (SELECT actual_duration FROM"
        " study_sessions WHERE actual_duration IS NOT NULL ORDER BY session_date DESC LIMIT 108) newest",
    )[0]
    constant_network(median)
    run_id = judged(lived, now=NOW + timedelta(minutes=1))

    decided = publish_version(lived, retraining_run_id=run_id, now=NOW)

    assert taken_back == [bad]
    assert decided["decision"] == "rejected"
    assert any("is worse than the champion" in reason for reason in decided["reasons"])
    assert status_of(lived, decided["version"]) == "rejected"
    assert champions(lived) == [first]
    the_log_fits(lived)


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
