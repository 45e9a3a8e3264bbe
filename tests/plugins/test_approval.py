"""How long Airflow's approval step waits: as long as the candidate does."""

from datetime import datetime, timedelta

import pytest
from airflow.providers.standard.exceptions import HITLTriggerEventError
from airflow.sdk.exceptions import TaskAwaitingInput

from studyml_airflow.approval import CandidateApproval
from studyml_airflow.context import utc_now

# Airflow's libraries warn about each other; what Airflow deprecates in our files is found by ruff's AIR rules.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette:UserWarning"),
]


def asked(monkeypatch: pytest.MonkeyPatch, deadline: datetime) -> timedelta:
    """For how long the step parks its task; what it writes before that needs a running Airflow."""
    monkeypatch.setattr("airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **_: None)
    step = CandidateApproval(
        task_id="approve", subject="Shall it serve?", body="", defaults="Reject", deadline=deadline.isoformat()
    )

    class Instance:
        id = "an id"

    with pytest.raises(TaskAwaitingInput) as parked:
        step.execute({"task_instance": Instance()})
    assert parked.value.timeout is not None
    return parked.value.timeout


def test_the_question_stands_until_the_candidates_deadline_however_late_it_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = asked(monkeypatch, utc_now() + timedelta(hours=5))
    assert timedelta(hours=4, minutes=59) < left <= timedelta(hours=5)


def test_a_question_beyond_its_deadline_is_over_at_once_and_does_not_stand_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert asked(monkeypatch, utc_now() - timedelta(hours=1)) == timedelta(seconds=1)


def test_a_question_that_ends_with_an_error_fails_with_it() -> None:
    step = CandidateApproval(
        task_id="approve", subject="", body="", defaults="Reject", deadline="2026-03-04T01:00:00+00:00"
    )

    with pytest.raises(HITLTriggerEventError, match="the triggerer is gone"):
        step.execute_complete({}, {"error": "the triggerer is gone", "error_type": "unknown"})
