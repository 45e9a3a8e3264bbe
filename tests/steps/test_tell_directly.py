"""What a machine remembers of messages that went out without the database, and what it forgets."""

import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from studyml.alerting.messages import WITHOUT_AIRFLOW
from studyml.settings import Settings, load_settings
from tests.alerting.receivers import Webhook, free_port, webhook
from tests.conftest import NOW
from tests.scoring.world import query
from tests.steps.failing import alerting, fail, titles

__all__ = ["alerting"]


@pytest.fixture
def broken(hook: Webhook) -> Settings:
    """Settings whose database is away."""
    return load_settings(database_url=f"postgresql://127.0.0.1:{free_port()}/gone", alert_urls=hook.url())


@pytest.mark.parametrize("left", ["", '{"studyml_nightly manual__1', "\0\0\0\0"])
def test_what_a_killed_writer_left_keeps_no_message_back(broken: Settings, hook: Webhook, left: str) -> None:
    broken.artifact_cache.mkdir(parents=True)
    (broken.artifact_cache / "told_without_database.json").write_text(left)

    fail(broken, "a")
    fail(broken, "b")

    assert titles(hook) == ["studyml: studyml_nightly.a failed"]


def test_what_was_told_by_a_clock_that_was_ahead_keeps_no_message_back(broken: Settings, hook: Webhook) -> None:
    fail(broken, "a", now=NOW + timedelta(days=365))
    fail(broken, "b", now=NOW)

    assert len(hook.received) == 2


def test_every_address_that_pages_is_told_though_one_fails(broken: Settings, hook: Webhook) -> None:
    with webhook() as first, webhook() as second:
        first.status = 500
        addresses = SecretStr(f"{first.url()} {hook.url()} {second.url()}")
        fail(broken.model_copy(update={"alert_urls": addresses, "ticket_urls": SecretStr(hook.url("tickets"))}))

        assert (len(first.asked), hook.asked, len(second.received)) == (1, ["/hook"], 1)


def test_the_runs_of_another_dag_are_told_though_they_are_called_the_same(broken: Settings, hook: Webhook) -> None:
    for dag_id in ("studyml_nightly", "studyml_maintenance"):
        fail(broken, "x", dag_id=dag_id)

    assert titles(hook) == ["studyml: studyml_nightly.x failed", "studyml: studyml_maintenance.x failed"]


def test_each_night_that_is_lived_without_airflow_is_told(broken: Settings, hook: Webhook) -> None:
    """They are all called the same."""
    for night in range(2):
        fail(broken, dag_run_id=WITHOUT_AIRFLOW, night=night)

    assert len(hook.received) == 2


def test_a_cache_in_the_users_home_is_found(
    broken: Settings, hook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    fail(broken.model_copy(update={"artifact_cache": Path("~/cache")}))

    assert (tmp_path / "home" / "cache" / "told_without_database.json").is_file()
    assert not (tmp_path / "~").exists()


def test_a_user_without_a_home_is_told_all_the_same(broken: Settings, hook: Webhook) -> None:
    fail(broken.model_copy(update={"artifact_cache": Path("~no-such-user/cache")}))

    assert len(hook.received) == 1


def test_a_database_that_goes_away_while_the_message_is_sent_does_not_send_it_twice(
    alerting: Settings, hook: Webhook
) -> None:
    hook.delay = 1.0
    reporting = threading.Thread(target=fail, args=(alerting,))
    reporting.start()
    while not hook.asked:
        time.sleep(0.02)
    query(
        alerting,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    reporting.join()

    assert len(hook.asked) == 1
    assert query(alerting, "SELECT status FROM studyml.deliveries") == [("pending",)]
