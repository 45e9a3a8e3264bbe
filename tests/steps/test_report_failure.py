"""A task that failed for good is told once, whatever else is broken."""

import logging
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from studyml.settings import Settings, load_settings
from tests.alerting.receivers import Webhook, free_port
from tests.conftest import END, NOW
from tests.scoring.world import finish, query, scalar
from tests.steps.failing import alerting, fail, titles

__all__ = ["alerting"]


def test_a_failure_opens_an_incident_and_sends_its_message(alerting: Settings, hook: Webhook) -> None:
    fail(alerting)

    assert query(alerting, "SELECT kind, status, title FROM studyml.incidents") == [
        ("task_failed", "open", "studyml_nightly.score.publish failed")
    ]
    assert titles(hook) == ["studyml: studyml_nightly.score.publish failed"]
    assert "the folder of version v_1 is missing." in hook.received[0]["message"]


def test_what_no_database_can_store_in_an_error_keeps_its_message_from_nobody(
    alerting: Settings, hook: Webhook
) -> None:
    fail(alerting, error="the folder caf\udce9 \0is missing.")

    assert "the folder caf? is missing." in hook.received[0]["message"]
    assert scalar(alerting, "SELECT count(*) FROM studyml.incidents") == 1


def test_the_same_task_again_is_logged_and_not_sent(alerting: Settings, hook: Webhook) -> None:
    fail(alerting)
    fail(alerting, night=1)

    assert len(hook.received) == 1
    assert query(alerting, "SELECT event FROM studyml.incident_events ORDER BY id") == [("opened",), ("updated",)]


def test_another_task_is_told_though_the_incident_is_open(alerting: Settings, hook: Webhook) -> None:
    fail(alerting, "retrain.train")
    fail(alerting, "score.publish", error="the disk is full.")

    assert titles(hook) == [
        "studyml: studyml_nightly.retrain.train failed",
        "studyml: studyml_nightly.score.publish failed",
    ]
    assert scalar(alerting, "SELECT count(*) FROM studyml.incidents") == 1


def test_who_took_on_one_task_has_not_taken_on_another(alerting: Settings) -> None:
    fail(alerting, "retrain.train")
    query(
        alerting, "UPDATE studyml.incidents SET acknowledged_by = 'bob', acknowledged_at = now(), escalated_at = now()"
    )
    fail(alerting, "retrain.train", night=1)
    taken_on = "SELECT acknowledged_by, acknowledged_at IS NULL, escalated_at IS NULL FROM studyml.incidents"
    assert query(alerting, taken_on) == [("bob", False, False)]

    fail(alerting, "score.publish", error="the disk is full.")

    assert query(alerting, taken_on) == [(None, True, True)]


@pytest.mark.parametrize("source_broken", [False, True])
def test_another_task_of_the_run_with_the_same_error_is_noted_and_not_sent(
    alerting: Settings, hook: Webhook, source_broken: bool
) -> None:
    missing = "study_sessions lacks column breaks."
    for night in range(2):
        for task in ("judge", "score"):
            fail(alerting, task, night, error=missing, source_broken=source_broken)

    assert len(hook.received) == 1
    assert query(alerting, "SELECT event, note FROM studyml.incident_events ORDER BY id") == [
        (event, f"studyml_nightly.{task}: {missing}")
        for event, task in [("opened", "judge"), ("updated", "score"), ("updated", "judge"), ("updated", "score")]
    ]
    fail(alerting, "score", 1, error="the disk is full.", source_broken=source_broken)
    assert len(hook.received) == 2


def test_the_same_error_in_another_dag_or_another_night_is_told(alerting: Settings, hook: Webhook) -> None:
    fail(alerting, "judge")
    fail(alerting, "score", night=1)
    fail(alerting, "retrain", dag_id="studyml_maintenance")

    assert len(hook.received) == 3


def test_an_error_that_no_message_told_of_is_told_by_the_next_task(alerting: Settings, hook: Webhook) -> None:
    """The first task's own message was about another error, and it has only one."""
    fail(alerting, "judge", error="the disk is full.")
    fail(alerting, "judge")
    fail(alerting, "score")

    assert [title.split(".")[1] for title in titles(hook)] == ["judge failed", "score failed"]


def test_the_query_of_the_runbook_says_which_task_failed_and_why_from_the_first_on(alerting: Settings) -> None:
    section = Path("docs/runbook.md").read_text().split("\n## Task failed\n")[1]
    fail(alerting, "judge")

    ((*_, note),) = query(alerting, section.split("```sql\n")[1].split("```")[0])
    assert note == "studyml_nightly.judge: the folder of version v_1 is missing."


def test_many_mapped_tasks_that_fail_at_once_are_one_message(alerting: Settings, hook: Webhook) -> None:
    threads = [threading.Thread(target=fail, args=(alerting, "score.range")) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(hook.received) == 1


def test_a_secret_in_the_name_of_a_run_is_not_told(alerting: Settings, hook: Webhook) -> None:
    beating = load_settings(**{**alerting.model_dump(), "heartbeat_url": "https://beat.example.org/T0K3NPATH"})
    fail(beating, dag_run_id="again T0K3NPATH")

    assert "Run: again …." in hook.received[0]["message"]
    assert "T0K3NPATH" not in str(hook.received)


def test_tables_that_are_not_as_promised_are_a_broken_contract(alerting: Settings, hook: Webhook) -> None:
    fail(alerting, source_broken=True)

    assert query(alerting, "SELECT kind, severity FROM studyml.incidents") == [("contract_broken", "page")]
    assert titles(hook) == ["studyml: studyml_nightly.score.publish failed: the study app's tables are not as promised"]
    assert "#data-contract-broken" in hook.received[0]["message"]


@pytest.mark.parametrize("dag", ["studyml_nightly", "studyml_score"])
def test_a_failed_replay_pages_nobody(alerting: Settings, hook: Webhook, dag: str) -> None:
    finish(alerting, END)
    fail(alerting, dag_id=dag, night=-1)

    assert hook.asked == []
    assert scalar(alerting, "SELECT count(*) FROM studyml.incidents") == 0


def test_upkeep_that_fails_is_told_whatever_night_is_the_newest(alerting: Settings, hook: Webhook) -> None:
    finish(alerting, END)
    fail(alerting, dag_id="studyml_maintenance", task_id="maintain", night=-1)

    assert titles(hook) == ["studyml: studyml_maintenance.maintain failed"]


def test_without_the_database_the_message_goes_out_directly(hook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    broken = load_settings(
        database_url=f"postgresql://studyml:s3cret@127.0.0.1:{free_port()}/gone", alert_urls=hook.url()
    )

    for task in ("score.publish", "score.range", "retrain.train"):
        fail(broken, task, error="PostgreSQL cannot be reached")

    assert titles(hook) == ["studyml: studyml_nightly.score.publish failed"], "one cause, one message"
    assert "No incident was opened, since our database cannot be used" in str(hook.received)
    assert "While its incident is open" not in str(hook.received)
    assert "without the outbox" in caplog.text
    assert "s3cret" not in caplog.text + str(hook.received)


def test_without_the_database_each_run_is_told_and_one_that_goes_on_failing_again_after_an_hour(hook: Webhook) -> None:
    broken = load_settings(database_url=f"postgresql://127.0.0.1:{free_port()}/gone", alert_urls=hook.url())

    fail(broken, "a")
    fail(broken, "b", dag_run_id="another")
    fail(broken, "c", dag_run_id="another", now=NOW + timedelta(minutes=59))
    fail(broken, "d", dag_run_id="another", now=NOW + timedelta(minutes=60))

    assert [title.split(".")[1] for title in titles(hook)] == ["a failed", "b failed", "d failed"]


def test_without_the_database_a_message_that_nobody_accepted_is_sent_again_by_the_next_task(hook: Webhook) -> None:
    broken = load_settings(database_url=f"postgresql://127.0.0.1:{free_port()}/gone", alert_urls=hook.url())

    hook.status = 500
    fail(broken, "a")
    hook.status = 200
    fail(broken, "b")

    assert titles(hook) == ["studyml: studyml_nightly.b failed"]


def test_without_the_database_many_tasks_that_fail_at_once_are_one_message(hook: Webhook) -> None:
    broken = load_settings(database_url=f"postgresql://127.0.0.1:{free_port()}/gone", alert_urls=hook.url())
    hook.delay = 0.3

    threads = [threading.Thread(target=fail, args=(broken, f"score.range_{number}")) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(hook.received) == 1


def test_without_database_and_cache_each_task_tells(hook: Webhook, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    broken = load_settings(
        database_url=f"postgresql://127.0.0.1:{free_port()}/gone",
        alert_urls=hook.url(),
        artifact_cache=tmp_path / "a file" / "cache",
    )

    fail(broken, "a")
    fail(broken, "b")

    assert len(hook.received) == 2


def test_without_the_schema_too(empty_database_url: str, hook: Webhook) -> None:
    fail(load_settings(database_url=empty_database_url, alert_urls=hook.url()))

    assert len(hook.received) == 1


def test_with_neither_database_nor_receiver_the_report_itself_does_not_fail(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    broken = load_settings(
        database_url=f"postgresql://127.0.0.1:{port}/gone", alert_urls=f"json://127.0.0.1:{port}/T0K3NPATH"
    )

    with caplog.at_level(logging.DEBUG):
        fail(broken)

    assert "did not accept the message" in caplog.text
    assert "T0K3NPATH" not in caplog.text


def test_a_receiver_that_fails_gets_it_later(alerting: Settings, hook: Webhook) -> None:
    hook.status = 500
    fail(alerting)
    hook.status = 200
    fail(alerting, night=1, now=NOW + timedelta(minutes=1))

    assert titles(hook) == ["studyml: studyml_nightly.score.publish failed"]


def test_a_delivery_that_fails_without_the_database_rings_nobody_every_ten_minutes(
    hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    broken = load_settings(database_url=f"postgresql://127.0.0.1:{free_port()}/gone", alert_urls=hook.url())

    fail(broken, dag_id="studyml_alerts", task_id="deliver")

    assert hook.asked == []
    assert "cannot be reached" in caplog.text


def test_a_delivery_that_keeps_failing_for_another_reason_is_told_once(alerting: Settings, hook: Webhook) -> None:
    for minutes in (0, 10, 20):
        fail(alerting, dag_id="studyml_alerts", task_id="deliver", now=NOW + timedelta(minutes=minutes))

    assert titles(hook) == ["studyml: studyml_alerts.deliver failed"]


def test_a_long_error_leaves_room_for_what_to_do(alerting: Settings, hook: Webhook) -> None:
    fail(alerting, error="a sentence. " + "rows " * 20_000)

    message = hook.received[0]["message"]
    assert "a sentence. rows" in message
    assert "more in the task's log" in message
    assert "Clear the red task" in message
    assert len(message) < 3000
