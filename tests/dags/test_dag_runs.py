"""Whole runs through Airflow's scheduling decisions and task runner, with stand-ins for the steps."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.dag_processing.dagbag import DagBag
from sqlalchemy import select

from studyml.errors import NotWaitingError, TrainingError
from studyml.steps.report_failure import DELIVERY_DAG
from tests.dags.stand_ins import AS_OF, VERSION, Lived, decided

# Airflow's libraries warn about each other; what Airflow deprecates in our files is found by ruff's AIR rules.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette:UserWarning"),
]

Live = Callable[..., Lived]
SENTENCE = "No network can be trained on 3 labelled sessions: load more."

# step that fails -> does the night publish predictions, and does it count as finished
FAILURES = {
    "start_night": (False, False),
    "observe": (True, False),
    "monitor": (True, False),
    "notify": (True, False),
    "decide_challenger": (True, True),
    "check_retraining": (True, True),
    "train_candidate": (True, True),
    "evaluate_candidate": (True, True),
    "publish_version": (True, True),
    "plan_scoring": (False, False),
    "score_range": (False, False),
    "publish_predictions": (False, False),
    "finish_night": (True, False),
}


def champion_events(run_id: str) -> list[dict[str, Any]]:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    with create_session() as session:
        query = select(AssetEvent.extra).where(AssetEvent.source_run_id == run_id)
        return [dict(extra) for extra in session.scalars(query)]


def test_a_night_with_a_promotion(live: Live, steps: dict[str, Mock]) -> None:
    lived = live("studyml_nightly")
    assert lived.state == "success"
    skipped = {task_id for task_id, states in lived.tasks.items() if states == ["skipped"]}
    assert skipped == {"announce_challenger", "ask"}
    assert {state for states in lived.tasks.values() for state in states} == {"success", "skipped"}
    assert champion_events(lived.run_id) == [{"version": "v_20260301_010000"}]
    named = ("start_night", "monitor", "check_retraining", "plan_scoring")
    assert {steps[name].call_args.kwargs["dag_run_id"] for name in named} == {lived.run_id}
    assert {step.call_args.kwargs["as_of"] for step in (steps["observe"], steps["plan_scoring"])} == {AS_OF}
    ranges = sorted((call.kwargs["first_id"], call.kwargs["last_id"]) for call in steps["score_range"].call_args_list)
    assert ranges == [(1, 50), (51, 99)]
    assert steps["publish_predictions"].call_args.kwargs["scoring_run_id"] == 3
    steps["report_failure"].assert_not_called()


@pytest.mark.parametrize("step", FAILURES)
def test_a_night_in_which_a_step_fails(step: str, live: Live, steps: dict[str, Mock]) -> None:
    steps[step].side_effect = TrainingError(SENTENCE)
    published, finished = FAILURES[step]
    lived = live("studyml_nightly")
    assert lived.state == "failed"
    assert (lived.tasks["score.publish"] == ["success"]) == published
    assert (lived.tasks["finish"] == ["success"]) == finished
    # The one failure is told, and nothing fails because of it: what depends on it does not start.
    failed = [task_id for task_id, states in lived.tasks.items() for state in states if state == "failed"]
    assert len(set(failed)) == 1
    assert {call.kwargs["error"] for call in steps["report_failure"].call_args_list} == {SENTENCE}
    assert [call.kwargs["task_id"] for call in steps["report_failure"].call_args_list] == failed
    # A champion that was promoted and has predicted is announced, whatever else was wrong.
    assert len(champion_events(lived.run_id)) == (step in {"notify", "finish_night"})


def test_nothing_runs_in_a_night_that_could_not_start(live: Live, steps: dict[str, Mock]) -> None:
    steps["start_night"].side_effect = TrainingError(SENTENCE)
    lived = live("studyml_nightly")
    called = {name for name, step in steps.items() if step.called}
    assert called == {"start_night", "report_failure"}
    states = {state for task_id, states in lived.tasks.items() if task_id != "start_night" for state in states}
    assert states == {"upstream_failed"}


def test_a_retraining_that_is_not_due_is_skipped_and_the_night_is_a_success(live: Live, steps: dict[str, Mock]) -> None:
    steps["check_retraining"].return_value = None
    lived = live("studyml_nightly")
    assert lived.state == "success"
    skipped = {task_id for task_id, states in lived.tasks.items() if states == ["skipped"]}
    assert skipped == {
        *("retrain.train", "retrain.evaluate", "retrain.publish", "announce", "announce_challenger", "ask")
    }
    assert lived.tasks["finish"] == ["success"]
    assert steps["score_range"].call_count == 2


def test_a_rejected_candidate_is_no_failure_and_announces_nothing(live: Live, steps: dict[str, Mock]) -> None:
    steps["evaluate_candidate"].return_value = False
    steps["publish_version"].return_value = decided("rejected")
    lived = live("studyml_nightly")
    assert lived.state == "success"
    assert lived.tasks["retrain.publish"] == ["success"]
    assert lived.tasks["announce"] == ["skipped"]
    assert champion_events(lived.run_id) == []


def test_a_challenger_that_is_promoted_is_announced_after_its_predictions_are_out(
    live: Live, steps: dict[str, Mock]
) -> None:
    steps["decide_challenger"].return_value = {"decision": "promoted", "version": VERSION, "promoted": True}
    steps["check_retraining"].return_value = None
    lived = live("studyml_nightly")
    assert lived.state == "success"
    assert lived.tasks["announce_challenger"] == ["success"]
    assert champion_events(lived.run_id) == [{"version": VERSION}]


@pytest.mark.parametrize("dag_id", ["studyml_nightly", "studyml_retrain"])
def test_a_candidate_that_waits_is_asked_about_and_is_no_champion(
    dag_id: str, live: Live, steps: dict[str, Mock]
) -> None:
    steps["publish_version"].return_value = decided("awaiting_approval")
    lived = live(dag_id)
    assert lived.state == "success"
    assert (lived.tasks["announce"], lived.tasks["ask"]) == (["skipped"], ["success"])
    assert champion_events(lived.run_id) == [{"version": VERSION}]  # the candidate's event: its task has one outlet


def answered(monkeypatch: pytest.MonkeyPatch, option: str, user: dict[str, str] | None) -> None:
    """A person's answer, as the operator gets it; the wait before it needs a running scheduler."""
    event = {
        "chosen_options": [option],
        "params_input": {},
        "responded_at": AS_OF,
        "responded_by_user": user,
    }
    monkeypatch.setattr(
        "studyml_airflow.approval.CandidateApproval.execute",
        lambda operator, context: operator.execute_complete(context, event),
    )


def test_an_approved_candidate_is_promoted_in_the_name_of_who_approved(
    live: Live, steps: dict[str, Mock], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(monkeypatch, "Approve", {"id": "7", "name": "ada"})
    lived = live("studyml_approve")
    assert lived.state == "success"
    assert steps["approve_version"].call_args.args[1] == VERSION
    told = steps["approve_version"].call_args.kwargs
    assert (told["actor"], told["reason"]) == ("ada", "approved in Airflow")
    steps["reject_version"].assert_not_called()
    assert champion_events(lived.run_id) == [{"version": VERSION}]


@pytest.mark.parametrize(
    ("user", "actor", "reason"),
    [
        ({"id": "7", "name": "ada"}, "ada", "rejected in Airflow"),
        ({"id": "7", "name": ""}, "7", "rejected in Airflow"),
        (None, "studyml", "nobody answered before the deadline"),
    ],
)
def test_a_rejected_candidate_and_one_that_nobody_answered_for_leave_the_champion(
    user: dict[str, str] | None,
    actor: str,
    reason: str,
    live: Live,
    steps: dict[str, Mock],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered(monkeypatch, "Reject", user)
    lived = live("studyml_approve")
    assert lived.state == "success"
    assert (lived.tasks["promote"], lived.tasks["keep_champion"]) == (["skipped"], ["success"])
    steps["approve_version"].assert_not_called()
    assert steps["reject_version"].call_args.kwargs == {"actor": actor, "reason": reason}
    assert champion_events(lived.run_id) == []


def test_a_candidate_that_does_not_pass_again_is_not_announced(
    live: Live, steps: dict[str, Mock], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(monkeypatch, "Approve", {"id": "7", "name": "ada"})
    steps["approve_version"].return_value = {"version": VERSION, "promoted": False, "reasons": ["it is worse"]}
    lived = live("studyml_approve")
    assert lived.state == "success"
    assert champion_events(lived.run_id) == []


def test_an_answer_that_comes_too_late_changes_nothing_and_pages_nobody(
    live: Live, steps: dict[str, Mock], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow keeps a question open after a newer candidate took the place, or a command answered it."""
    steps["approve_version"].side_effect = NotWaitingError("it does not wait: see the list.")
    steps["reject_version"].return_value = False
    answered(monkeypatch, "Approve", {"id": "7", "name": "ada"})
    approved = live("studyml_approve")
    answered(monkeypatch, "Reject", {"id": "7", "name": "ada"})
    rejected = live("studyml_approve")
    assert (approved.state, rejected.state) == ("success", "success")
    assert (approved.tasks["promote"], rejected.tasks["keep_champion"]) == (["skipped"], ["skipped"])
    assert champion_events(approved.run_id) == []
    steps["report_failure"].assert_not_called()


def test_without_a_candidate_that_waits_nobody_is_asked(live: Live, steps: dict[str, Mock]) -> None:
    steps["waiting_candidate"].return_value = None
    lived = live("studyml_approve", version="v_20251224_010000")
    assert lived.state == "success"
    assert steps["waiting_candidate"].call_args.args[1] == "v_20251224_010000"
    assert {lived.tasks[task_id][0] for task_id in ("approve", "promote", "keep_champion")} == {"skipped"}


def test_a_night_with_nothing_planned_is_published_empty(live: Live, steps: dict[str, Mock]) -> None:
    steps["plan_scoring"].return_value = {"scoring_run_id": 4, "ranges": []}
    lived = live("studyml_nightly")
    assert lived.state == "success"
    assert lived.tasks["score.score"] == ["skipped"]
    steps["score_range"].assert_not_called()
    assert steps["publish_predictions"].call_args.kwargs["scoring_run_id"] == 4
    assert lived.tasks["finish"] == ["success"]


def test_a_night_lives_the_instant_of_its_param(live: Live, steps: dict[str, Mock]) -> None:
    assert live("studyml_nightly", as_of="2025-12-24T02:00:00+01:00").state == "success"
    given = {step.call_args.kwargs["as_of"].isoformat() for step in steps.values() if "as_of" in str(step.call_args)}
    assert given == {"2025-12-24T01:00:00+00:00"}


def test_retraining_by_hand_hands_its_params_on(live: Live, steps: dict[str, Mock]) -> None:
    lived = live("studyml_retrain", reason="new topics", force=True)
    assert lived.state == "success"
    asked = steps["check_retraining"].call_args.kwargs
    assert (asked["reason"], asked["force"], asked["as_of"], asked["dag_run_id"]) == (
        "new topics", True, AS_OF, lived.run_id
    )  # fmt: skip
    steps["observe"].assert_called_once()
    assert champion_events(lived.run_id) == [{"version": "v_20260301_010000"}]


RETRAINING = ("check_retraining", "train_candidate", "evaluate_candidate", "publish_version")


@pytest.mark.parametrize("dag_id", ["studyml_nightly", "studyml_retrain"])
def test_what_a_run_chooses_to_train_reaches_every_step_of_the_retraining(
    dag_id: str, live: Live, steps: dict[str, Mock], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDYML_ARCHITECTURE", "mlp")
    monkeypatch.setenv("STUDYML_HYPERPARAMETERS", '{"neurons": 64}')
    chosen = {"architecture": "lstm", "recipe": "history", "hyperparameters": {"dropout": 0.4, "epochs": 5}}
    assert live(dag_id, **chosen).state == "success"
    for step in RETRAINING:
        settings = steps[step].call_args.args[0]
        assert (settings.architecture, settings.recipe) == ("lstm", "history")
        assert settings.hyperparameters.model_dump(exclude_none=True) == {"dropout": 0.4, "epochs": 5}


@pytest.mark.parametrize("dag_id", ["studyml_nightly", "studyml_retrain"])
def test_a_run_that_chooses_nothing_trains_what_is_set_when_it_is_due(
    dag_id: str, live: Live, steps: dict[str, Mock], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDYML_ARCHITECTURE", "attention")
    monkeypatch.setenv("STUDYML_HYPERPARAMETERS", '{"neurons": 64}')
    assert live(dag_id, architecture=None).state == "success"
    for step in RETRAINING:
        settings = steps[step].call_args.args[0]
        assert (settings.architecture, settings.recipe) == ("attention", "auto")
        assert settings.hyperparameters.neurons == 64
    assert steps["check_retraining"].call_args.kwargs["force"] is False


def test_retraining_by_hand_that_fails_is_a_failed_run(live: Live, steps: dict[str, Mock]) -> None:
    steps["train_candidate"].side_effect = TrainingError(SENTENCE)
    assert live("studyml_retrain").state == "failed"


def test_scoring_by_hand_predicts_the_newest_night_also_again(live: Live, steps: dict[str, Mock]) -> None:
    steps["already_scored"].return_value = True
    assert live("studyml_score").state == "success"
    assert steps["plan_scoring"].call_args.kwargs["as_of"] == AS_OF
    steps["publish_predictions"].assert_called_once()


def test_scoring_by_hand_predicts_the_night_of_its_param(live: Live, steps: dict[str, Mock]) -> None:
    lived = live("studyml_score", as_of="2025-12-24T02:00:00+01:00")
    assert lived.state == "success"
    asked = steps["plan_scoring"].call_args.kwargs
    assert (asked["as_of"].isoformat(), asked["dag_run_id"]) == ("2025-12-24T01:00:00+00:00", lived.run_id)
    steps["newest_night"].assert_not_called()


def test_scoring_before_the_first_night_has_nothing_to_do(live: Live, steps: dict[str, Mock]) -> None:
    steps["newest_night"].return_value = None
    lived = live("studyml_score")
    assert lived.state == "success"
    assert lived.tasks["score.publish"] == ["skipped"]
    steps["plan_scoring"].assert_not_called()


@pytest.mark.parametrize(
    ("triggered", "scored", "night"), [(True, True, None), (True, False, AS_OF), (False, True, AS_OF)]
)
def test_a_promotion_within_a_night_leaves_nothing_to_score(
    triggered: bool, scored: bool, night: datetime | None, dag_bag: DagBag, steps: dict[str, Mock],
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("INFO", "studyml")
    steps["already_scored"].return_value = scored
    choose = dag_bag.dags["studyml_score"].get_task("choose").python_callable
    context = {"params": {"as_of": None}, "triggering_asset_events": {"champion": ["event"]} if triggered else {}}
    monkeypatch.setitem(choose.__globals__, "get_current_context", lambda: context)
    monkeypatch.setitem(choose.__globals__, "load_settings", lambda: None)
    assert choose() == (night.isoformat() if night else None)
    assert ("already has the predictions of the present champion" in caplog.text) == (night is None)


def test_a_search_runs_each_trial_and_chooses_among_them(live: Live, steps: dict[str, Mock]) -> None:
    params = {"strategy": "random", "trials": 2, "seed": 7, "architecture": "lstm", "recipe": "history"}
    assert live("studyml_tune", **params).state == "success"
    assert steps["plan_trials"].call_args.kwargs == {**params, "as_of": AS_OF}
    assert sorted(call.kwargs["trial_id"] for call in steps["run_trial"].call_args_list) == [11, 12]
    assert steps["choose_best"].call_args.kwargs["search_id"] == "search_5"


def test_a_search_is_by_default_the_guides_grid_on_what_is_deployed(live: Live, steps: dict[str, Mock]) -> None:
    assert live("studyml_tune").state == "success"
    assert steps["plan_trials"].call_args.kwargs == {
        **{"strategy": "grid", "trials": None, "seed": 42, "architecture": None, "recipe": None},
        "as_of": AS_OF,
    }


def test_a_trial_that_does_not_converge_does_not_fail_the_search(live: Live, steps: dict[str, Mock]) -> None:
    steps["run_trial"].return_value = {"trial_id": 11, "status": "failed", "validation_mae": None}
    assert live("studyml_tune").state == "success"
    steps["choose_best"].assert_called_once()
    steps["report_failure"].assert_not_called()


def test_maintenance(live: Live, steps: dict[str, Mock]) -> None:
    assert live("studyml_maintenance").state == "success"
    assert steps["maintain"].call_args.kwargs["as_of"] == AS_OF


def test_messages_are_delivered_for_now_and_not_for_a_night(live: Live, steps: dict[str, Mock]) -> None:
    assert live("studyml_alerts").state == "success"
    steps["deliver_alerts"].assert_called_once()
    assert set(steps["deliver_alerts"].call_args.kwargs) == {"now"}
    steps["report_failure"].assert_not_called()


def test_a_failed_delivery_is_reported_by_the_name_that_keeps_it_from_ringing_at_every_run(
    live: Live, steps: dict[str, Mock]
) -> None:
    """report_failure knows this DAG: without a database, its failures go to the log alone."""
    steps["deliver_alerts"].side_effect = TrainingError(SENTENCE)
    assert live("studyml_alerts").state == "failed"
    steps["report_failure"].assert_called_once()
    assert steps["report_failure"].call_args.kwargs["dag_id"] == DELIVERY_DAG
