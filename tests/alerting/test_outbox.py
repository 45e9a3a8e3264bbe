"""Delivery: to each address once, whatever the receiver does."""

import re
import time

import pytest

from studyml.alerting.messenger import send
from studyml.alerting.outbox import Delivered
from studyml.settings import Settings
from tests.alerting.messages import IMPATIENT, Round, deliverer, statuses, titles, write
from tests.alerting.receivers import Webhook, free_port, silent_server, webhook
from tests.conftest import NOW
from tests.scoring.world import query


def test_a_message_arrives_once_with_subject_and_body(settings: Settings, hook: Webhook, round_: Round) -> None:
    write(settings, "one")

    assert round_(hook.url()) == Delivered(sent=1, pending=0, dead=0)
    assert round_(hook.url()) == Delivered(sent=0, pending=0, dead=0)
    assert [(each["title"], each["message"]) for each in hook.received] == [("one", "one, told")]


def test_an_event_without_a_message_is_not_sent(settings: Settings, hook: Webhook, round_: Round) -> None:
    write(settings, "one")
    query(settings, "UPDATE studyml.incident_events SET message_body = NULL")

    assert round_(hook.url()).sent == 0
    assert hook.asked == []


@pytest.mark.parametrize("status", [500, 404, 302])
def test_a_receiver_that_fails_gets_the_message_from_a_later_round(
    settings: Settings, hook: Webhook, round_: Round, status: int
) -> None:
    write(settings, "one")
    hook.status = status

    assert round_(hook.url()) == Delivered(sent=0, pending=1, dead=0)
    hook.status = 200
    assert round_(hook.url(), minutes=1).sent == 1
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
        assert round_(back.url(), minutes=1).sent == 2
        assert sorted(titles(back)) == ["one", "two"]


def test_of_several_addresses_a_failing_one_holds_up_no_other(settings: Settings, round_: Round) -> None:
    write(settings, "one", "two")
    with webhook() as good, webhook() as bad:
        bad.status = 500

        assert round_(bad.url(), good.url()) == Delivered(sent=2, pending=2, dead=0)
        bad.status = 200
        assert round_(bad.url(), good.url(), minutes=1).sent == 2
        assert sorted(titles(good)) == sorted(titles(bad)) == ["one", "two"]


def test_an_address_that_is_named_twice_is_one_address(settings: Settings, hook: Webhook, round_: Round) -> None:
    write(settings, "one")

    assert round_(hook.url(), hook.url()).sent == 1


@pytest.mark.parametrize("minutes", [0, 10])
def test_a_message_that_an_address_did_not_accept_holds_up_no_later_one_whether_it_is_due_again_or_not(
    settings: Settings, hook: Webhook, round_: Round, minutes: int
) -> None:
    write(settings, "poison")
    hook.status = 413
    round_(hook.url())
    hook.status = 200
    write(settings, "later")

    round_(hook.url(), minutes=minutes)

    assert titles(hook) == ["later", "poison"]


def test_a_message_that_is_refused_alone_holds_up_a_later_one_of_its_incident_for_two_tries(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    hook.refused = "poison"
    incident = "one"
    write(settings, incident)
    query(settings, "UPDATE studyml.incident_events SET message_body = 'poison'")
    write(settings, incident, event="updated")

    assert [round_(hook.url(), minutes=minutes).sent for minutes in (0, 10)] == [0, 0]
    assert round_(hook.url(), minutes=11).sent == 1
    write(settings, incident, event="updated")
    write(settings, "another")
    assert round_(hook.url(), minutes=12).sent == 2, "nor does it hold up what comes after"


def test_after_an_outage_an_incidents_messages_come_in_their_order_but_for_the_one_that_found_it_over(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, "one", event="opened")
    hook.status = 500
    for minutes in (0, 10, 20, 30):
        round_(hook.url(), minutes=minutes)
    for number in range(3):
        write(settings, "one", event="updated")
        query(settings, "UPDATE studyml.incident_events SET message_subject = %s WHERE id ="
              " (SELECT max(id) FROM studyml.incident_events)", str(number))  # fmt: skip
    hook.status = 200

    assert round_(hook.url(), minutes=40).sent == 4
    assert titles(hook) == ["0", "one", "1", "2"]


def test_one_that_is_revived_by_hand_waits_for_no_other(settings: Settings, hook: Webhook, round_: Round) -> None:
    hook.refused = "poison"
    write(settings, "one")
    query(settings, "UPDATE studyml.incident_events SET message_body = 'poison'")
    write(settings, "one", event="updated")
    round_(hook.url())
    query(settings, "UPDATE studyml.deliveries SET next_attempt_at = %s WHERE attempts = 0", NOW)

    assert round_(hook.url()).sent == 1


def test_that_it_is_over_is_told_in_the_end_though_one_about_it_is_never_accepted(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    hook.refused = "poison"
    write(settings, "one")
    query(settings, "UPDATE studyml.incident_events SET message_body = 'poison'")
    write(settings, "one", event="updated")
    write(settings, "one", event="resolved")

    rounds = [round_(hook.url(), minutes=400 * number).sent for number in range(12)]

    # An update goes ahead after two tries, the end after ten.
    assert rounds == [0, 0, 1, *(0,) * 7, 1, 0]
    assert [each["type"] for each in hook.received] == ["failure", "success"]


def test_send_says_why_a_message_was_not_accepted(hook: Webhook) -> None:
    assert send(hook.url(), "subject", "body").refusal is None
    hook.status = 500
    refusal = send(hook.url(), "subject", "body").refusal
    assert refusal is not None
    assert re.fullmatch(r"did not accept the message \(it answered 500, after 0\.\d s\)", refusal)
    assert send("nothing://", "subject", "body").refusal == "is not one that Apprise knows"


def test_what_a_message_says_is_no_reason_why_it_was_not_accepted(hook: Webhook) -> None:
    hook.status = 404
    refusal = send(hook.url(), "errors 1.58 x what is normal (412 outcomes)", "error=512 (503, timed out)").refusal

    assert refusal is not None
    assert refusal.startswith("did not accept the message (it answered 404, ")


def test_a_receiver_that_takes_its_time_gets_a_message_once(settings: Settings, hook: Webhook, round_: Round) -> None:
    """Apprise by itself waits four seconds, and the message would be sent again and again."""
    write(settings, "one")
    hook.delay = 4.5

    assert round_(hook.url()) == Delivered(sent=1, pending=0, dead=0)
    assert round_(hook.url(), days=1) == Delivered(sent=0, pending=0, dead=0)
    assert titles(hook) == ["one"]


@pytest.mark.parametrize("options", ["?rto=0.2", "?cto=3&RTO=0.2", ""])
def test_an_address_may_say_itself_how_long_to_wait(
    hook: Webhook, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    hook.delay = 1.0
    if options:
        assert send(hook.url(options=options), "subject", "body").refusal is not None
    else:
        assert send(hook.url(), "subject", "body").refusal is None


def test_a_receiver_whose_answer_never_ends_is_given_up_too_and_lets_the_process_end(
    settings: Settings, hook: Webhook
) -> None:
    """Each byte comes in time: only a limit of the whole call ends it."""
    write(settings, "one")
    with silent_server(drip=b"H") as port:
        address = f"json://127.0.0.1:{port}/x"
        shorten = "from studyml.alerting import messenger; messenger.GIVE_UP_SECONDS = 1.0"
        process = deliverer(settings, address, shorten)

        assert process.wait(timeout=60) == 0
    assert statuses(settings) == [("pending", 1)]


def test_one_that_hangs_keeps_no_other_waiting_for_long(settings: Settings, hook: Webhook, round_: Round) -> None:
    write(settings, "one", "two", "three")
    with silent_server() as port:
        started = time.monotonic()

        assert round_(f"json://127.0.0.1:{port}/x{IMPATIENT}", hook.url()).sent == 3
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("subject", ["x" * 200, "studyml: a task\nfailed " + "word " * 60])
def test_a_subject_is_one_line_of_less_than_120_characters(hook: Webhook, subject: str) -> None:
    assert send(hook.url(), subject, "body").refusal is None

    (title,) = titles(hook)
    assert len(title) < 120
    assert title.endswith("…")
    assert title[:16] == subject[:16].replace("\n", " ")
    assert "\n" not in title


def test_a_subject_of_119_characters_is_left_whole(hook: Webhook) -> None:
    assert send(hook.url(), "x" * 119, "body").refusal is None

    assert titles(hook) == ["x" * 119]


def test_what_is_over_is_told_after_its_beginning_also_where_that_was_refused_first(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, "one")
    hook.status = 500
    round_(hook.url())
    write(settings, "one", event="resolved")
    hook.status = 200

    assert round_(hook.url()).sent == 0, "the beginning waits for its next try, and so does the end"
    assert round_(hook.url(), minutes=1).sent == 2
    assert [each["type"] for each in hook.received] == ["failure", "success"]
