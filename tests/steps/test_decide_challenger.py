"""A trial from the candidate that passed to its end, and a candidate that waits for a person."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from studyml.database.connection import connect
from studyml.errors import ArtifactError, NotWaitingError, RegistryError
from studyml.registry.bundle import verify
from studyml.registry.trials import challenger_at
from studyml.settings import Settings
from studyml.steps import approve_version as approve_module
from studyml.steps.approve_version import approve_version, reject_version, waiting_candidate
from studyml.steps.check_retraining import check_retraining
from studyml.steps.decide_challenger import decide_challenger, retire_challenger
from studyml.steps.newest_night import already_scored
from studyml.steps.observe import observe
from studyml.steps.score import score
from tests.conftest import END, NOW, silent
from tests.steps.retraining import champions, constant_network, last_run, query, retrained
from tests.steps.test_publish_version import ignoring_changes, lengthen, status_of

__all__ = ["constant_network"]
DAY = timedelta(days=1)


def passed(settings: Settings, constant_network: Callable[[float], None], promotion: str, **given: object) -> Settings:
    """The settings with that policy, after a candidate that passed the gates by saying 19.5 hours."""
    policy = {"promotion": promotion, "challenger_min_outcomes": 10, **given}
    changed = ignoring_changes(settings).model_copy(update=policy)
    lengthen(settings)
    constant_network(19.5)
    retrained(changed)
    return changed


def held(settings: Settings, hours: float) -> None:
    """What was planned up to three days after END has been studied, for so long."""
    query(
        settings,
        "UPDATE study_sessions SET actual_duration = %s WHERE session_date > %s AND session_date <= %s",
        (hours, END, END + 3 * DAY),
    )


@pytest.mark.parametrize(("hours", "end"), [(19.5, "promoted"), (0.5, "retired")])
def test_a_trial_from_its_beginning_to_its_end(
    lived: Settings, constant_network: Callable[[float], None], hours: float, end: str
) -> None:
    settings = passed(lived, constant_network, "challenger", challenger_share=0.3)
    ((tried,),) = query(settings, "SELECT version FROM studyml.model_versions WHERE status = 'challenger'")
    (old,) = champions(settings)
    assert query(settings, "SELECT decision FROM studyml.retraining_runs ORDER BY id DESC LIMIT 1") == [("challenger",)]

    scored = score(settings, as_of=END, now=NOW, progress=silent)

    assert already_scored(settings, as_of=END)
    roles = query(settings, "SELECT role, count(*), count(*) FILTER (WHERE served) FROM studyml.predictions"
                  " WHERE as_of = %s GROUP BY role ORDER BY role", (END,))  # fmt: skip
    assert [row[:2] for row in roles] == [("challenger", scored["written"]), ("champion", scored["written"])]
    assert sum(row[2] for row in roles) == scored["written"]
    seen = query(
        settings, "SELECT model_version, count(DISTINCT student_id) FROM analytics.study_time_predictions GROUP BY 1"
    )
    assert {version for version, _ in seen} == {old, tried}
    assert query(settings, "SELECT count(*), count(DISTINCT session_id) FROM analytics.study_time_predictions") == [
        (scored["written"], scored["written"])
    ]

    night = END + 3 * DAY
    assert decide_challenger(settings, as_of=END + DAY, now=NOW + DAY)["decision"] == "continued"
    held(settings, hours)
    observe(settings, as_of=night, now=NOW + 3 * DAY)
    assert check_retraining(settings.model_copy(update={"retrain_min_labels": 1}), as_of=night, now=night) is None
    found = decide_challenger(settings, as_of=night, now=NOW + 3 * DAY)

    assert (found["decision"], found["version"]) == (end, tried)
    assert found["outcomes"] >= 10
    assert champions(settings) == [tried if end == "promoted" else old]
    assert status_of(settings, old if end == "promoted" else tried) == "retired"
    assert decide_challenger(settings, as_of=night, now=NOW + 3 * DAY) == found  # run again, it says the same
    with connect(settings.database) as connection:
        during, after = (challenger_at(connection, moment) for moment in (END + DAY, night + DAY))
    assert (during.version if during else None, after) == (tried, None)


def test_a_damaged_challenger_stops_the_scoring_until_it_is_retired_by_hand(
    lived: Settings, constant_network: Callable[[float], None]
) -> None:
    settings = passed(lived, constant_network, "challenger")
    ((tried,),) = query(settings, "SELECT version FROM studyml.model_versions WHERE status = 'challenger'")
    (settings.artifact_root / tried / "model.onnx").write_bytes(b"damaged")

    with pytest.raises(ArtifactError, match=f"studyml versions retire {tried}"):
        score(settings, as_of=END, now=NOW, progress=silent)

    retire_challenger(settings, tried, now=NOW, actor="ada", reason="damaged, says ann@example.org")
    assert query(settings, "SELECT actor, reason FROM studyml.deployments ORDER BY id DESC LIMIT 1") == [
        ("ada", "damaged, says …")
    ]
    assert score(settings, as_of=END, now=NOW, progress=silent)["written"] > 0
    with pytest.raises(RegistryError, match="no version is on trial"):
        retire_challenger(settings, tried, now=NOW, actor="ada", reason="damaged")


def test_a_candidate_waits_and_serves_when_a_person_approves(
    lived: Settings, constant_network: Callable[[float], None]
) -> None:
    settings = passed(lived, constant_network, "approve")
    question, before = waiting_candidate(settings), champions(settings)
    assert question is not None
    version = question["version"]
    assert status_of(settings, version) == "awaiting_approval"
    assert "is not worse than the champion" in question["body"]
    assert f"The champion **{before[0]}** has **" in question["body"]
    assert "because: " in question["body"]
    score(settings, as_of=END, now=NOW, progress=silent)
    assert query(settings, "SELECT DISTINCT model_version FROM analytics.study_time_predictions") == [(before[0],)]

    # Another champion by now: the candidate is judged against that one.
    query(settings, "UPDATE studyml.model_versions SET metrics = metrics || '{\"champion_version\": \"v_1\"}'"
          " WHERE version = %s", (version,))  # fmt: skip
    again = waiting_candidate(settings)
    assert again is not None
    assert "judged against v_1: approving judges it again first" in again["body"]
    assert approve_version(settings, version, now=NOW, actor="ada", reason="as ann@example.org asked")["promoted"]

    assert champions(settings) == [version]
    assert query(settings, "SELECT actor, reason FROM studyml.deployments ORDER BY id DESC LIMIT 1") == [
        ("ada", "as … asked")
    ]
    assert last_run(settings)["reasons"][-1] == "approved by ada: as … asked"
    assert not reject_version(settings, version, actor="bob", reason="too late")


def test_a_candidate_that_a_person_rejects_never_serves(
    lived: Settings, constant_network: Callable[[float], None]
) -> None:
    settings = passed(lived, constant_network, "approve")
    before, version = champions(settings), (waiting_candidate(settings) or {})["version"]

    assert reject_version(settings, version, actor="ada", reason="too bold for ann@example.org")

    assert status_of(settings, version) == "rejected"
    assert champions(settings) == before
    assert waiting_candidate(settings) is None
    assert last_run(settings)["reasons"][-1] == "rejected by ada: too bold for …"


def test_an_approval_that_breaks_off_after_judging_again_leaves_the_candidate_whole_and_waiting(
    lived: Settings, constant_network: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = passed(lived, constant_network, "approve")
    [before] = champions(settings)
    version = (waiting_candidate(settings) or {})["version"]
    columns = "status, manifest_sha256, gates, metrics - 'champion_version'"
    state = f"SELECT {columns} FROM studyml.model_versions WHERE version = %s"
    (kept,) = query(settings, state, (version,))
    query(settings, "UPDATE studyml.model_versions SET metrics = metrics || '{\"champion_version\": \"v_1\"}'"
          " WHERE version = %s", (version,))  # fmt: skip

    with monkeypatch.context() as broken:
        broken.setattr(approve_module, "promote", die)
        with pytest.raises(KeyboardInterrupt):
            approve_version(settings, version, now=NOW, actor="ada", reason="reviewed")

    assert query(settings, state, (version,)) == [kept]
    verify(settings.artifact_root / version, kept[1])
    assert champions(settings) == [before]
    assert approve_version(settings, version, now=NOW, actor="ada", reason="reviewed")["promoted"]
    verify(settings.artifact_root / version, kept[1])


def die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_candidate_that_nobody_approves_is_rejected_after_the_deadline(
    lived: Settings, constant_network: Callable[[float], None]
) -> None:
    settings = passed(lived, constant_network, "approve")
    question, before = waiting_candidate(settings), champions(settings)
    assert question is not None
    # The question names the instant at which the night ends the waiting, whenever it is asked.
    deadline = datetime.fromisoformat(question["deadline"])
    assert f"No answer until {deadline:%Y-%m-%d %H:%M} UTC" in question["body"]
    decide_challenger(settings, as_of=END, now=deadline - timedelta(seconds=1))
    assert status_of(settings, question["version"]) == "awaiting_approval"
    decide_challenger(settings, as_of=END, now=deadline)
    assert status_of(settings, question["version"]) == "rejected"
    assert last_run(settings)["reasons"][-1] == "rejected by studyml: nobody approved it within 72 hours"
    assert champions(settings) == before
    with pytest.raises(NotWaitingError, match="does not wait for approval"):
        approve_version(settings, question["version"], now=NOW, actor="ada", reason="late")


def test_a_newer_candidate_takes_the_place_of_the_one_that_waits(
    lived: Settings, constant_network: Callable[[float], None]
) -> None:
    settings = passed(lived, constant_network, "approve")
    older = waiting_candidate(settings)
    run_id = last_run(settings)["id"]
    retrained(settings, now=NOW + DAY)
    newer = waiting_candidate(settings)
    assert older is not None
    assert newer is not None
    assert newer["version"] > older["version"]
    assert newer["deadline"] > older["deadline"]
    assert status_of(settings, older["version"]) == "rejected"
    ((reasons,),) = query(settings, "SELECT reasons FROM studyml.retraining_runs WHERE id = %s", (run_id,))
    assert reasons[-1] == f"{newer['version']}, newer and past the gates, took its place"
    assert waiting_candidate(settings, older["version"]) is None
    with pytest.raises(NotWaitingError, match="its status is rejected"):
        approve_version(settings, older["version"], now=NOW, actor="ada", reason="late")
    assert approve_version(settings, newer["version"], now=NOW, actor="ada", reason="reviewed")["promoted"]
