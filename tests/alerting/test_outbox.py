"""Delivery: to each address once, whatever the receiver does, and no secret anywhere."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import psycopg2
import pytest

from studyml.alerting.incidents import add_event, open_incident
from studyml.alerting.outbox import GIVE_UP_AFTER, Delivered, deliver, fingerprint, scheme, send
from studyml.settings import Settings
from tests.alerting.receivers import Webhook, free_port, mail_server, webhook
from tests.conftest import NOW
from tests.scoring.world import every_text, query

# Apprise waits four seconds for an answer; a test waits less.
IMPATIENT = "?rto=0.3&cto=0.3"
Round = Callable[..., Delivered]


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as found:
        yield found


@pytest.fixture
def round_(settings: Settings) -> Round:
    """One round of delivery to the given addresses, at NOW or so many ``days`` later."""

    def run(*addresses: str, days: float = 0) -> Delivered:
        connection = psycopg2.connect(settings.database)
        try:
            return deliver(connection, addresses, now=NOW + timedelta(days=days))
        finally:
            connection.close()

    return run


def write(settings: Settings, *texts: str, at: datetime = NOW) -> None:
    """A message for each text."""
    connection = psycopg2.connect(settings.database)
    with connection:
        for text in texts:
            incident, _ = open_incident(
                connection,
                kind=text,
                severity="page",
                title=text,
                model_version=None,
                figures={},
                as_of=at,
                now=at,
            )
            add_event(
                connection, incident, event="opened", as_of=at, now=at, actor="test", subject=text, body=f"{text}, told"
            )
    connection.close()


def titles(hook: Webhook) -> list[str]:
    return [document["title"] for document in hook.received]


def test_a_message_arrives_once_with_subject_and_body(settings: Settings, hook: Webhook, round_: Round) -> None:
    write(settings, "one")

    assert round_(hook.url()) == Delivered(sent=1, pending=0, dead=0)
    assert round_(hook.url()) == Delivered(sent=0, pending=0, dead=0)
    assert [(each["title"], each["message"]) for each in hook.received] == [("one", "one, told")]


def test_it_is_sent_as_a_failure_since_services_that_page_ignore_a_note(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, "one")

    round_(hook.url())

    assert hook.received[0]["type"] == "failure"


def test_an_event_without_a_message_is_not_sent(settings: Settings, hook: Webhook, round_: Round) -> None:
    write(settings, "one")
    query(settings, "UPDATE studyml.incident_events SET message_body = NULL")

    assert round_(hook.url()).sent == 0
    assert hook.asked == []


@pytest.mark.parametrize("status", [500, 404, 302])
def test_a_receiver_that_fails_gets_the_message_from_the_next_run(
    settings: Settings, hook: Webhook, round_: Round, status: int
) -> None:
    write(settings, "one")
    hook.status = status

    assert round_(hook.url()) == Delivered(sent=0, pending=1, dead=0)
    hook.status = 200
    assert round_(hook.url()).sent == 1
    assert titles(hook) == ["one"]


def test_a_receiver_that_hangs_is_given_up_soon_and_asked_once_a_run(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, *(f"message {number}" for number in range(20)))
    hook.hanging.set()
    started = time.monotonic()

    assert round_(hook.url(options=IMPATIENT)).pending == 20
    assert time.monotonic() - started < 5
    assert len(hook.asked) == 1


def test_a_receiver_that_refuses_connections_gets_all_when_it_is_back(settings: Settings, round_: Round) -> None:
    write(settings, "one", "two")
    port = free_port()

    assert round_(f"json://127.0.0.1:{port}/hook").pending == 2
    with webhook(port) as back:
        assert round_(back.url()).sent == 2
        assert sorted(titles(back)) == ["one", "two"]


def test_of_several_addresses_a_failing_one_holds_up_no_other(settings: Settings, round_: Round) -> None:
    write(settings, "one", "two")
    with webhook() as good, webhook() as bad:
        bad.status = 500

        assert round_(bad.url(), good.url()) == Delivered(sent=2, pending=2, dead=0)
        bad.status = 200
        assert round_(bad.url(), good.url()).sent == 2
        assert sorted(titles(good)) == sorted(titles(bad)) == ["one", "two"]


def test_an_address_that_is_named_twice_is_one_address(settings: Settings, hook: Webhook, round_: Round) -> None:
    write(settings, "one")

    assert round_(hook.url(), hook.url()).sent == 1


def test_a_message_that_an_address_never_accepts_holds_up_no_later_one(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, "poison")
    hook.status = 413
    round_(hook.url())
    hook.status = 200
    write(settings, "later")

    round_(hook.url())

    assert titles(hook) == ["later", "poison"]


def test_a_deliverer_that_is_killed_leaves_its_message_for_the_next(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, "one")
    hook.hanging.set()
    code = (
        "import os, psycopg2; from tests.conftest import NOW; from studyml.alerting.outbox import deliver;"
        "deliver(psycopg2.connect(os.environ['URL']), [os.environ['HOOK']], now=NOW)"
    )
    environment = {**os.environ, "URL": settings.database, "HOOK": hook.url()}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 20
    while not hook.asked and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    hook.hanging.clear()

    deadline = time.monotonic() + 10
    while round_(hook.url()).sent == 0 and time.monotonic() < deadline:
        time.sleep(0.05)

    assert titles(hook) == ["one"]


def test_two_deliverers_at_once_send_nothing_twice(settings: Settings, hook: Webhook, round_: Round) -> None:
    texts = [f"message {number}" for number in range(12)]
    write(settings, *texts)
    threads = [threading.Thread(target=round_, args=(hook.url(),)) for _ in range(3)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(titles(hook)) == sorted(texts)


def test_a_changed_address_gets_what_the_old_one_was_owed_and_no_old_news(settings: Settings, round_: Round) -> None:
    with webhook() as old, webhook() as new:
        write(settings, "told")
        round_(old.url())
        write(settings, "owed")
        old.status = 500
        round_(old.url())

        assert round_(new.url()) == Delivered(sent=1, pending=0, dead=0)
        assert titles(new) == ["owed"]


def test_an_address_that_is_added_gets_what_comes_from_now_on(settings: Settings, round_: Round) -> None:
    with webhook() as first, webhook() as second:
        write(settings, "before")
        round_(first.url())
        write(settings, "after")

        round_(first.url(), second.url())

        assert titles(first) == ["before", "after"]
        assert titles(second) == ["after"]


def test_a_run_without_addresses_loses_nothing(settings: Settings, hook: Webhook, round_: Round) -> None:
    write(settings, "one")
    hook.status = 500
    round_(hook.url())

    assert round_() == Delivered(sent=0, pending=1, dead=0)
    hook.status = 200
    assert round_(hook.url()).sent == 1


def test_an_address_that_was_away_for_a_run_is_still_owed_its_message(settings: Settings, round_: Round) -> None:
    with webhook() as first, webhook() as second:
        write(settings, "one")
        first.status = second.status = 500
        round_(first.url())
        round_(second.url())
        first.status = 200

        assert round_(first.url()).sent == 1
        assert titles(first) == ["one"]


def test_what_happened_before_any_address_was_configured_is_told_to_the_first(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, "one")
    round_()

    assert round_(hook.url()).sent == 1


def test_after_two_weeks_a_message_is_given_up_and_counted_once(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, "one")
    hook.status = 500
    round_(hook.url())
    late = GIVE_UP_AFTER.days + 1

    assert round_(hook.url(), days=late) == Delivered(sent=0, pending=0, dead=1)
    assert round_(hook.url(), days=late) == Delivered(sent=0, pending=0, dead=0)


def test_a_mail_arrives_as_plain_text(settings: Settings, round_: Round) -> None:
    write(settings, "one")
    with mail_server() as (port, messages):
        address = f"mailto://127.0.0.1:{port}?from=studyml@example.org&to=oncall@example.org&mode=insecure"

        assert round_(address + "&smtp=127.0.0.1").sent == 1
        (message,) = messages

    assert message["Subject"] == "one"
    assert message["To"] == "oncall@example.org"
    assert message.get_content_type() == "text/plain"
    assert "one, told" in str(message.get_payload(decode=True))


@pytest.mark.parametrize(
    "address",
    ["carrierpigeon://loft/S3cretToken", "S3cretToken", "json:/127.0.0.1/S3cretToken", "slack://S3cretToken"],
)
def test_an_address_of_the_wrong_form_fails_without_giving_itself_away(
    settings: Settings, round_: Round, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(settings, "one")
    with caplog.at_level(logging.DEBUG):
        assert round_(address) == Delivered(sent=0, pending=1, dead=0)

    assert f"alert address {fingerprint(address)} ({scheme(address)})" in caplog.text
    assert "S3cretToken" not in caplog.text + every_text(settings)


@pytest.mark.parametrize("status", [200, 500])
def test_neither_logs_nor_tables_nor_messages_hold_a_secret(
    settings: Settings, hook: Webhook, round_: Round, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    write(settings, "one")
    hook.status = status
    address = f"json://user:P4ssw0rd@127.0.0.1:{hook.port}/T0K3NPATH"

    with caplog.at_level(logging.DEBUG):
        round_(address)
        round_(f"json://user:P4ssw0rd@127.0.0.1:{free_port()}/T0K3NPATH")

    assert hook.asked
    everything = caplog.text + every_text(settings) + str(hook.received)
    assert "P4ssw0rd" not in everything
    assert "T0K3NPATH" not in everything


def test_send_says_whether_the_message_was_accepted(hook: Webhook) -> None:
    assert send(hook.url(), "subject", "body") is True
    hook.status = 500
    assert send(hook.url(), "subject", "body") is False
