"""The commands ``studyml alerts``: what waits, what was given up, and another try."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from studyml import cli_alerts
from studyml.alerting.messenger import fingerprint
from studyml.errors import InputError, RegistryError
from studyml.settings import Settings
from tests.alerting.messages import titles, write
from tests.alerting.receivers import Webhook, webhook
from tests.conftest import NOW

Run = Callable[..., str]
FORTNIGHT = timedelta(days=14)


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command of ``studyml alerts``, so long after NOW, and return what it printed."""
    monkeypatch.setenv("STUDYML_DATABASE_URL", settings.database)
    monkeypatch.setenv("STUDYML_ARTIFACT_ROOT", str(settings.artifact_root))
    monkeypatch.setenv("COLUMNS", "250")

    def run(*arguments: str, later: timedelta = timedelta(0)) -> str:
        monkeypatch.setattr(cli_alerts, "wall_clock", lambda: NOW + later)
        result = CliRunner().invoke(cli_alerts.alerts_app, arguments, catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    return run


@pytest.fixture
def failing(settings: Settings, run: Run, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A webhook that refused the message "one", and is configured."""
    write(settings, "one")
    with webhook() as hook:
        monkeypatch.setenv("STUDYML_ALERT_URLS", hook.url("S3cretPath"))
        hook.status = 500
        assert run("deliver") == "0 sent, 1 wait for a later try, 0 given up.\n"
        yield hook


def cells(printed: str) -> list[str]:
    """The cells of a table's second line, its first row."""
    return [cell.strip() for cell in printed.splitlines()[1].split("  ") if cell.strip()]


def test_a_message_that_waits_is_listed_with_its_address_tries_and_next_try(
    settings: Settings, run: Run, failing: Webhook
) -> None:
    name = fingerprint(failing.url("S3cretPath"))
    printed = run("deliveries")

    for words in ("2026-03-01 01:30", "one", f"{name} json", "pending", "2026-03-01 01:31", "did not accept"):
        assert words in printed
    assert len(printed.splitlines()) == 2
    (document,) = json.loads(run("deliveries", "--json"))
    assert (document["address"], document["kind"]) == (name, "json")
    assert (document["status"], document["attempts"], document["incident_id"]) == ("pending", 1, 1)
    assert document["next_attempt_at"] == "2026-03-01 01:31:00+00:00"
    assert "S3cretPath" not in printed + json.dumps(document)


def test_what_waits_is_listed_newest_first(settings: Settings, run: Run, failing: Webhook) -> None:
    write(settings, "two")
    run("deliver")

    assert [each["subject"] for each in json.loads(run("deliveries", "--json"))] == ["two", "one"]


def test_a_dead_letter_is_listed_for_two_weeks_and_then_with_all(run: Run, failing: Webhook) -> None:
    assert run("deliver", later=FORTNIGHT) == "0 sent, 0 wait for a later try, 1 given up.\n"

    assert "dead" in run("deliveries", later=2 * FORTNIGHT - timedelta(hours=1))
    assert run("deliveries", later=2 * FORTNIGHT) == "Nothing waits, nothing was given up.\n"
    assert "dead" in run("deliveries", "--all", later=2 * FORTNIGHT)


def test_what_was_sent_is_listed_with_all_only(run: Run, failing: Webhook) -> None:
    failing.status = 200
    assert json.loads(run("deliver", "--json", later=timedelta(minutes=1))) == {"sent": 1, "pending": 0, "dead": 0}

    assert run("deliveries") == "Nothing waits, nothing was given up.\n"
    assert "sent" in run("deliveries", "--all")
    assert json.loads(run("deliveries", "--all", "--json"))[0]["last_error"] is None


def test_without_any_message_the_list_says_so(run: Run) -> None:
    assert run("deliveries", "--all") == "No message yet.\n"
    assert json.loads(run("deliveries", "--json")) == []


@pytest.mark.parametrize("which", [["1"], ["--all"]])
def test_a_dead_letter_can_be_sent_after_all(run: Run, failing: Webhook, which: list[str]) -> None:
    late = FORTNIGHT + timedelta(days=1)
    run("deliver", later=late)
    failing.status = 200
    assert run("deliver", later=late) == "0 sent, 0 wait for a later try, 0 given up.\n"

    assert run("retry", *which, later=late).startswith("1 message is due again.")
    assert run("deliver", later=late) == "1 sent, 0 wait for a later try, 0 given up.\n"
    assert titles(failing) == ["one"]


def test_a_dead_letter_that_fails_again_is_given_up_again(settings: Settings, run: Run, failing: Webhook) -> None:
    run("deliver", later=FORTNIGHT)
    run("retry", "1", later=FORTNIGHT)
    asked = len(failing.asked)

    assert run("deliver", later=FORTNIGHT) == "0 sent, 1 wait for a later try, 0 given up.\n"
    assert run("deliver", later=FORTNIGHT + timedelta(hours=1)) == "0 sent, 0 wait for a later try, 1 given up.\n"
    assert len(failing.asked) == asked + 1


def test_one_that_waits_can_be_tried_at_once(run: Run, failing: Webhook) -> None:
    failing.status = 200
    run("retry", "--all")

    assert run("deliver") == "1 sent, 0 wait for a later try, 0 given up.\n"


def test_what_is_too_old_to_be_news_is_retried_by_its_id_only(run: Run, failing: Webhook) -> None:
    run("deliver", later=FORTNIGHT)

    assert run("retry", "--all", later=2 * FORTNIGHT).startswith("0 messages")
    assert run("retry", "1", later=2 * FORTNIGHT).startswith("1 message is")


def test_a_retry_names_what_is_wrong_with_it(run: Run, failing: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="or --all"):
        run("retry")
    with pytest.raises(InputError, match="or --all"):
        run("retry", "1", "--all")
    with pytest.raises(RegistryError, match="no message 7 waits or was given up"):
        run("retry", "7")
    monkeypatch.setenv("STUDYML_ALERT_URLS", "json://127.0.0.1:9/elsewhere")
    with pytest.raises(RegistryError, match=r"the address of message 1 .* is not configured"):
        run("retry", "1")
    assert run("retry", "--all").startswith("0 messages")


def test_what_was_sent_is_not_sent_again(run: Run, failing: Webhook) -> None:
    failing.status = 200
    run("deliver", later=timedelta(minutes=1))

    with pytest.raises(RegistryError, match="no message 1 waits"):
        run("retry", "1")


def test_a_test_goes_to_the_addresses_of_tickets_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with webhook() as pager, webhook() as tracker:
        monkeypatch.setenv("STUDYML_ALERT_URLS", pager.url())
        monkeypatch.setenv("STUDYML_TICKET_URLS", f"{tracker.url()} {pager.url()}")

        assert run("test") == "Sent to 2 alert addresses.\n"
        assert titles(pager) == titles(tracker) == ["studyml: test message"]
