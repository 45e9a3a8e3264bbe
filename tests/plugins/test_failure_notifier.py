"""A failure is reported, and its sentence is the last line of the log, also when the report fails."""

import logging
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock, create_autospec

import pytest

from studyml.errors import DatabaseError, DeliveryError, SchemaError, SourceError, StudymlError
from studyml.steps import report_failure
from studyml_airflow import notifier
from studyml_airflow.defaults import RetryWhatTimeMends
from studyml_airflow.notifier import FailureNotifier, describe

RUN_AFTER = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SENTENCE = "The schema studyml is missing: run 'studyml db upgrade'."


def context(error: object, as_of: str | None = None) -> dict[str, Any]:
    return {
        "params": {"as_of": as_of},
        "dag_run": SimpleNamespace(data_interval_end=None, run_after=RUN_AFTER),
        "ti": SimpleNamespace(dag_id="studyml_nightly", task_id="observe", run_id="manual__1", map_index=-1),
        "exception": error,
    }


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> Mock:
    stand_in = create_autospec(report_failure.report_failure)
    monkeypatch.setattr("studyml.steps.report_failure.report_failure", stand_in)
    monkeypatch.setattr(notifier, "load_settings", lambda: "settings")
    return stand_in


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_a_failure_is_reported(reported: Mock, log: pytest.LogCaptureFixture) -> None:
    FailureNotifier()(context(SchemaError(SENTENCE)))
    asked = reported.call_args.kwargs
    assert asked.pop("now").tzinfo is UTC
    assert asked == {
        "dag_id": "studyml_nightly",
        "task_id": "observe",
        "dag_run_id": "manual__1",
        "as_of": RUN_AFTER,
        "error": SENTENCE,
        "source_broken": False,
    }
    assert log.messages[-1] == SENTENCE


def test_a_source_that_is_not_as_promised_is_reported_as_such(reported: Mock) -> None:
    FailureNotifier()(context(SourceError(SENTENCE)))
    assert reported.call_args.kwargs["source_broken"] is True


def test_a_report_that_fails_does_not_hide_the_failure(reported: Mock, log: pytest.LogCaptureFixture) -> None:
    reported.side_effect = DatabaseError("PostgreSQL at db:5432 does not answer.")
    FailureNotifier()(context(SchemaError(SENTENCE)))
    assert "PostgreSQL at db:5432 does not answer." in log.text
    assert log.messages[-1] == SENTENCE


def test_a_bug_in_the_report_is_raised_after_the_sentence(reported: Mock, log: pytest.LogCaptureFixture) -> None:
    reported.side_effect = KeyError("as_of")
    with pytest.raises(KeyError):
        FailureNotifier()(context(SchemaError(SENTENCE)))
    assert SENTENCE in log.messages


def test_a_wrong_param_is_reported_at_the_instant_the_run_was_due(reported: Mock) -> None:
    FailureNotifier()(context(StudymlError("The param as_of 'soon' is not a date-time."), as_of="soon"))
    assert reported.call_args.kwargs["as_of"] == RUN_AFTER


def test_one_line_for_every_kind_of_error() -> None:
    assert describe(SchemaError(SENTENCE)) == SENTENCE
    assert describe(ZeroDivisionError("division by zero")) == "ZeroDivisionError: division by zero"
    assert describe(KeyError("version")) == "KeyError: 'version'"
    assert describe(None).startswith("The task ended without an error of its own")
    assert describe("heartbeat timeout") == "heartbeat timeout"


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (SchemaError(SENTENCE), "fail"),
        (DatabaseError("gone"), "default"),
        (DeliveryError("gone"), "default"),
        (KeyError("a bug"), "default"),
        (TimeoutError(), "default"),
    ],
)
def test_only_what_time_can_mend_is_retried(error: Exception, action: str) -> None:
    assert RetryWhatTimeMends().evaluate(error, try_number=1, max_tries=2).action.value == action
