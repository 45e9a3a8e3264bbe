"""When a retraining is due: labels counted once each, a degradation once, a person always, a replay never."""

import logging
from datetime import timedelta

import pytest

from studyml.errors import ArtifactError
from studyml.settings import Settings
from studyml.steps.check_retraining import check_retraining
from studyml.steps.train_candidate import train_candidate
from tests.conftest import END, FIRST_NIGHT, NOW
from tests.steps.due_retraining import DAY, LATER, check, decided, label, quiet
from tests.steps.judged_nights import open_degradation
from tests.steps.retraining import last_run, query

__all__ = ["quiet"]


def test_49_new_labels_are_not_enough_and_the_count_is_recorded_and_logged(
    quiet: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    label(quiet, 49)
    with caplog.at_level(logging.INFO, "studyml"):
        assert check(quiet) is None

    run = last_run(quiet)
    assert (run["decision"], run["reason"]) == ("skipped", None)
    assert (run["new_labels"], run["labels_needed"]) == (49, 50)
    assert run["reasons"] == ["49 new labels, 50 needed"]
    assert "retraining skipped: 49 new labels, 50 needed" in caplog.text


def test_50_new_labels_are_enough(quiet: Settings) -> None:
    label(quiet, 50)

    assert check(quiet) is not None
    run = last_run(quiet)
    assert (run["reason"], run["decision"], run["new_labels"]) == ("new_labels", None, 50)


def test_without_new_labels_nothing_is_due(quiet: Settings) -> None:
    assert check(quiet) is None
    assert last_run(quiet)["new_labels"] == 0


def test_labels_that_arrive_late_count_once(quiet: Settings) -> None:
    label(quiet, 30)
    assert check(quiet) is None
    label(quiet, 20)  # older than everything that was observed before

    assert check(quiet, as_of=LATER + DAY) is not None
    assert last_run(quiet)["new_labels"] == 50


def test_a_second_look_at_the_same_labels_finds_none_new_once_they_were_decided_on(quiet: Settings) -> None:
    label(quiet, 50)
    run_id = check(quiet)
    assert run_id is not None
    decided(quiet, run_id, "promoted")

    assert check(quiet, as_of=LATER + DAY) is None
    assert last_run(quiet)["new_labels"] == 0


@pytest.mark.parametrize(
    ("decision", "left"), [("promoted", 0), ("rejected", 0), ("fallback", 0), ("failed", 50), ("abandoned", 50)]
)
def test_a_decision_uses_the_labels_up_and_a_failure_does_not(quiet: Settings, decision: str, left: int) -> None:
    label(quiet, 50)
    run_id = check(quiet)
    assert run_id is not None
    decided(quiet, run_id, decision)

    check(quiet, as_of=LATER + DAY)

    assert last_run(quiet)["new_labels"] == left


def test_corrections_do_not_count(quiet: Settings) -> None:
    query(
        quiet,
        "UPDATE study_sessions SET actual_duration = 1.11 WHERE actual_duration IS NOT NULL AND session_date > %s",
        (FIRST_NIGHT - 30 * DAY,),
    )

    assert check(quiet) is None
    assert last_run(quiet)["new_labels"] == 0
    ((corrections,),) = query(quiet, "SELECT count(*) FROM studyml.outcomes WHERE revision > 1")
    assert corrections > 50


def test_impossible_labels_do_not_count(quiet: Settings) -> None:
    label(quiet, 49)
    label(quiet, 30, hours=25)

    assert check(quiet) is None
    assert last_run(quiet)["new_labels"] == 49


def test_labels_of_rows_that_training_would_refuse_do_not_count_and_are_kept_with_their_reason(
    quiet: Settings,
) -> None:
    query(
        quiet,
        "INSERT INTO students (id, avg_focus_duration) SELECT max(id) + 1, -1 FROM students",
    )
    label(quiet, 60)
    query(
        quiet,
        "UPDATE study_sessions SET student_id = (SELECT max(id) FROM students)"
        " WHERE id > (SELECT max(id) FROM study_sessions) - 15",
    )

    assert check(quiet) is None
    assert last_run(quiet)["new_labels"] == 45
    assert query(quiet, "SELECT count(*), min(reason) FROM studyml.quarantined_rows") == [
        (15, "avg_focus_duration is -1 minutes, not above 0")
    ]


def test_rows_refused_and_used_up_before_are_not_subtracted_again(quiet: Settings) -> None:
    query(quiet, "UPDATE students SET avg_focus_duration = 0 WHERE id = 2")
    label(quiet, 50)

    assert check(quiet) is not None
    assert last_run(quiet)["new_labels"] == 50


def test_a_degradation_makes_a_retraining_due_once(quiet: Settings) -> None:
    open_degradation(quiet, LATER)
    first = check(quiet)
    assert first is not None
    assert last_run(quiet)["reason"] == "degraded"
    assert "predictions degraded" in last_run(quiet)["note"]
    decided(quiet, first, "failed")

    second = check(quiet, as_of=LATER + DAY)
    assert second is not None, "a retraining that failed answered nothing"
    decided(quiet, second, "rejected")

    assert check(quiet, as_of=LATER + 2 * DAY) is None


def test_one_that_was_killed_answered_nothing_either(quiet: Settings) -> None:
    open_degradation(quiet, LATER)
    first = check(quiet)
    assert first is not None
    decided(quiet, first, "abandoned")

    assert check(quiet, as_of=LATER + DAY) is not None
    assert last_run(quiet)["reason"] == "degraded"


def test_one_that_a_person_forced_meanwhile_is_that_of_the_degradation(quiet: Settings) -> None:
    open_degradation(quiet, LATER)
    forced = check(quiet, force=True)
    assert forced is not None
    decided(quiet, forced, "rejected")

    assert check(quiet, as_of=LATER + DAY) is None


def test_without_a_champion_a_retraining_is_always_due(simulated: Settings) -> None:
    assert check(simulated, as_of=END - 89 * DAY) is not None
    assert last_run(simulated)["reason"] == "first"


def test_a_person_may_force_one_and_say_why(quiet: Settings) -> None:
    assert check(quiet, force=True, reason="new curriculum, says ann@example.org") is not None

    run = last_run(quiet)
    assert run["reason"] == "forced"
    assert run["note"] == "asked for by a person (0 new labels, 50 needed); new curriculum, says …"


@pytest.mark.parametrize("force", [False, True])
def test_a_replay_never_retrains_and_says_so(lived: Settings, force: bool) -> None:
    label(lived, 80)

    assert check(lived, as_of=FIRST_NIGHT - 5 * DAY, force=force) is None
    assert last_run(lived)["decision"] == "skipped"
    assert last_run(lived)["reasons"][0].startswith("a replay never retrains")


def test_a_command_that_was_killed_goes_on_with_its_run_when_it_is_repeated(quiet: Settings) -> None:
    run_id = check_retraining(quiet, as_of=LATER, now=NOW, force=True)

    assert check_retraining(quiet, as_of=LATER, now=NOW + timedelta(hours=1)) == run_id


def test_a_run_that_was_killed_is_closed_after_half_a_day_and_its_candidate_rejected(quiet: Settings) -> None:
    run_id = check(quiet, force=True)
    query(
        quiet,
        "INSERT INTO studyml.model_versions (version, status, architecture, trained_at, as_of)"
        " VALUES ('v_20260101_000000', 'candidate', 'mlp', %s, %s)",
        (NOW, LATER),
    )
    query(quiet, "UPDATE studyml.retraining_runs SET version = 'v_20260101_000000' WHERE id = %s", (run_id,))

    check_retraining(quiet, as_of=LATER, now=NOW + timedelta(hours=11))
    assert query(quiet, "SELECT decision FROM studyml.retraining_runs WHERE id = %s", (run_id,)) == [(None,)]
    check_retraining(quiet, as_of=LATER, now=NOW + timedelta(hours=13))

    assert query(quiet, "SELECT decision, reasons FROM studyml.retraining_runs WHERE id = %s", (run_id,)) == [
        ("abandoned", ["the process ended before a decision"])
    ]
    assert query(quiet, "SELECT status FROM studyml.model_versions WHERE version = 'v_20260101_000000'") == [
        ("rejected",)
    ]


def test_fewer_labels_may_be_asked_for(quiet: Settings) -> None:
    label(quiet, 5)

    assert check(quiet.model_copy(update={"retrain_min_labels": 5})) is not None


def test_the_candidate_of_a_failed_run_is_rejected_when_no_retry_can_come_any_more(quiet: Settings) -> None:
    run_id = check(quiet, force=True)
    query(
        quiet,
        "INSERT INTO studyml.model_versions (version, status, architecture, trained_at, as_of)"
        " VALUES ('v_20260101_000000', 'candidate', 'mlp', %s, %s)",
        (NOW, LATER),
    )
    query(
        quiet,
        "UPDATE studyml.retraining_runs SET version = 'v_20260101_000000', decision = 'failed' WHERE id = %s",
        (run_id,),
    )

    for hours, status in ((11, "candidate"), (13, "rejected")):
        check_retraining(quiet, as_of=LATER, now=NOW + timedelta(hours=hours))
        assert query(quiet, "SELECT status FROM studyml.model_versions WHERE version = 'v_20260101_000000'") == [
            (status,)
        ]


def test_a_damaged_champion_is_known_before_a_network_is_trained(quiet: Settings) -> None:
    ((version,),) = query(quiet, "SELECT version FROM studyml.model_versions WHERE status = 'champion'")
    (quiet.artifact_root / version / "model.onnx").write_bytes(b"damaged")

    run_id = check(quiet, force=True)
    assert run_id is not None

    with pytest.raises(ArtifactError, match=r"model\.onnx of version .* is damaged"):
        train_candidate(quiet, retraining_run_id=run_id, now=NOW)

    ((decision, version),) = query(
        quiet, "SELECT decision, version FROM studyml.retraining_runs WHERE id = %s", (run_id,)
    )
    assert (decision, version) == ("failed", None)


def test_two_checks_at_once_open_one_retraining_for_an_incident(quiet: Settings) -> None:
    open_degradation(quiet, LATER)

    assert check(quiet, dag_run_id="scheduled__1") is not None
    assert check(quiet, dag_run_id="manual__2") is None


def test_a_check_that_is_tried_again_goes_on_with_its_retraining(quiet: Settings) -> None:
    label(quiet, 50)
    first = check(quiet, dag_run_id="scheduled__1")

    assert first is not None
    assert check(quiet, dag_run_id="scheduled__1") == first
