"""The end of a night, and its heartbeat."""

import logging
from datetime import datetime, timedelta
from typing import Any

import pytest

from studyml.database.nights import last_finished_at
from studyml.errors import DeliveryError, RegistryError
from studyml.settings import Settings, load_settings
from studyml.steps.finish_night import finish_night
from studyml.steps.opening import own_database
from studyml.steps.report_failure import report_failure
from studyml.steps.start_night import start_night
from tests.alerting.receivers import Webhook, free_port
from tests.conftest import END, NOW
from tests.scoring.world import create_source, query, scalar

DAY = timedelta(days=1)


@pytest.fixture
def started(settings: Settings, hook: Webhook) -> Settings:
    create_source(settings)
    start_night(settings, as_of=END, now=NOW)
    return beating(settings, f"http://127.0.0.1:{hook.port}/ping/S3cretPath")


def beating(settings: Settings, url: str) -> Settings:
    return load_settings(**{**settings.model_dump(), "heartbeat_url": url})


def scored(settings: Settings, as_of: datetime = END, status: str = "complete") -> None:
    query(
        settings,
        "INSERT INTO studyml.scoring_runs (as_of, versions, planned, status, started_at) VALUES (%s, '{}', 0, %s, %s)",
        as_of,
        status,
        NOW,
    )


def end(settings: Settings, as_of: datetime = END) -> dict[str, Any]:
    return finish_night(settings, as_of=as_of, now=NOW)


def test_a_scored_night_is_finished_and_the_heartbeat_address_is_called(started: Settings, hook: Webhook) -> None:
    scored(started)

    assert end(started) == {"as_of": END.isoformat(), "heartbeat": True}
    assert hook.asked == ["/ping/S3cretPath"]
    assert scalar(started, "SELECT finished_at FROM studyml.nights") == NOW


def test_without_an_address_nothing_is_called(started: Settings) -> None:
    scored(started)

    assert end(beating(started, ""))["heartbeat"] is False


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_night_without_complete_predictions_is_not_finished(started: Settings, hook: Webhook, status: str) -> None:
    scored(started, status=status)

    with pytest.raises(RegistryError, match="has no complete predictions: score it first"):
        end(started)
    assert scalar(started, "SELECT finished_at FROM studyml.nights") is None
    assert hook.asked == []


def test_a_night_that_never_started_is_not_finished(started: Settings) -> None:
    scored(started, END + DAY)

    with pytest.raises(RegistryError, match="was never started"):
        end(started, END + DAY)


@pytest.mark.parametrize("status", [500, 404, 302])
def test_a_heartbeat_that_is_not_heard_fails_the_task_after_the_night_is_finished(
    started: Settings, hook: Webhook, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    scored(started)
    hook.status = status

    with caplog.at_level(logging.DEBUG), pytest.raises(DeliveryError, match="check STUDYML_HEARTBEAT_URL") as caught:
        end(started)
    assert scalar(started, "SELECT finished_at FROM studyml.nights") == NOW
    assert "S3cretPath" not in str(caught.value) + caplog.text


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/S3cretPath", "http://[S3cretPath"])
def test_an_address_that_cannot_be_called_is_one_sentence_without_the_address(started: Settings, url: str) -> None:
    scored(started)

    with pytest.raises(DeliveryError, match="the heartbeat address did not answer") as caught:
        end(beating(started, url.format(port=free_port())))
    assert "S3cretPath" not in str(caught.value)


def test_the_address_is_in_no_log(started: Settings, caplog: pytest.LogCaptureFixture) -> None:
    scored(started)
    with caplog.at_level(logging.DEBUG):
        end(started)

    assert "S3cretPath" not in caplog.text


def test_a_replay_is_not_what_the_watchdog_waits_for(started: Settings, hook: Webhook) -> None:
    scored(started)
    end(started)
    start_night(started, as_of=END - DAY, now=NOW)
    scored(started, END - DAY)

    assert end(started, END - DAY)["heartbeat"] is False
    assert len(hook.asked) == 1


def test_a_night_that_is_run_again_calls_nobody_and_is_no_further_night(started: Settings, hook: Webhook) -> None:
    scored(started)
    end(started)
    again = finish_night(started, as_of=END, now=NOW + DAY)

    assert again["heartbeat"] is False
    assert len(hook.asked) == 1
    with own_database(started) as connection:
        assert last_finished_at(connection) == (END, NOW)


def test_what_failed_is_not_over_while_the_heartbeat_still_fails(started: Settings, hook: Webhook) -> None:
    def failures() -> list[tuple[str, int]]:
        return query(started, "SELECT status, times_reopened FROM studyml.incidents WHERE kind = 'task_failed'")

    report_failure(
        started,
        dag_id="studyml_nightly",
        task_id="finish",
        dag_run_id="a run",
        as_of=END,
        error="the heartbeat address did not answer",
        now=NOW,
    )
    hook.status = 500
    for night in (END + DAY, END + 2 * DAY):
        start_night(started, as_of=night, now=NOW + 3 * DAY)
        scored(started, night)
        with pytest.raises(DeliveryError):
            finish_night(started, as_of=night, now=NOW + 3 * DAY)
        assert failures() == [("open", 0)]
    hook.status = 200

    finish_night(started, as_of=END + 2 * DAY, now=NOW + 3 * DAY)

    assert failures() == [("resolved", 0)]


def test_a_heartbeat_that_was_not_heard_is_called_again(started: Settings, hook: Webhook) -> None:
    scored(started)
    hook.status = 500
    with pytest.raises(DeliveryError):
        end(started)
    hook.status = 200

    assert end(started)["heartbeat"] is True
