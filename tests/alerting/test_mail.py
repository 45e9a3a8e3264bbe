"""Messages by mail, through a real SMTP server that works, refuses, hangs, or is away."""

import re
import time

import psycopg2
import pytest

from studyml.alerting.messenger import fingerprint, send
from studyml.alerting.outbox import Addresses, Delivered, deliver
from studyml.settings import Settings
from tests.alerting.messages import Round, run, write
from tests.alerting.receivers import Mailbox, Webhook, free_port, mail_server, silent_server
from tests.alerting.test_degraded_message import body as degraded
from tests.conftest import NOW
from tests.scoring.world import query


def test_a_mail_arrives_as_plain_text_line_by_line(settings: Settings, round_: Round) -> None:
    body = degraded() + "\n<b> & *stars* _lines_ – §"
    write(settings, "one")
    query(settings, "UPDATE studyml.incident_events SET message_body = %s", body)
    with mail_server() as mailbox:
        assert round_(mailbox.address).sent == 1
        (message,) = mailbox.messages

    assert message["Subject"] == "one"
    assert message["To"] == "oncall@example.org"
    assert message.get_content_type() == "text/plain"
    assert message.get_content().replace("\r\n", "\n").strip() == body


def test_a_mail_in_html_has_lines_that_wrap_and_shows_the_text_as_it_is(settings: Settings, round_: Round) -> None:
    write(settings, "one")
    body = "Off by <1.42 h> & more.\n\nNext:\n1. studyml alerts ack 7"
    query(settings, "UPDATE studyml.incident_events SET message_body = %s", body)
    with mail_server() as mailbox:
        assert round_(mailbox.address + "&format=html").sent == 1
        (message,) = mailbox.messages

    found = message.get_body(("html",))
    assert found is not None
    content = found.get_content()
    assert "&nbsp;" not in content
    assert "Off by &lt;1.42 h&gt; &amp; more.<br/>" in content
    assert "<br/>\n1. studyml alerts ack 7" in content.replace("\r\n", "\n")


def test_a_server_that_is_busy_gets_the_mail_later(settings: Settings, round_: Round) -> None:
    write(settings, "one")
    with mail_server() as mailbox:
        mailbox.reply = "451 4.3.0 try again later"
        assert round_(mailbox.address) == Delivered(sent=0, pending=1, dead=0)
        mailbox.reply = "250 OK"
        assert round_(mailbox.address).sent == 0

        assert round_(mailbox.address, minutes=1).sent == 1
        assert [message["Subject"] for message in mailbox.messages] == ["one"]


def test_a_server_that_hangs_after_the_connection_is_given_up_soon(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, "one", "two")
    with silent_server() as port:
        started = time.monotonic()

        assert round_(Mailbox(port).address, hook.url()) == Delivered(sent=2, pending=2, dead=0)
        assert time.monotonic() - started < 8
    with mail_server(port) as mailbox:
        assert round_(mailbox.address, hook.url(), minutes=1).sent == 2
        assert sorted(message["Subject"] for message in mailbox.messages) == ["one", "two"]


def test_a_server_that_was_away_gets_the_mail_when_it_is_back(settings: Settings, round_: Round) -> None:
    write(settings, "one")
    port = free_port()
    assert round_(Mailbox(port).address).pending == 1

    with mail_server(port) as mailbox:
        assert round_(mailbox.address, minutes=1).sent == 1
        assert len(mailbox.messages) == 1


@pytest.mark.parametrize(
    "receivers",
    ["to=ann@example.org,bad@example.org,bob@example.org", "to=ann@example.org&cc=bob@example.org&bcc=bad@example.org"],
)
def test_of_several_receivers_each_gets_a_message_once_whoever_is_refused(
    settings: Settings, round_: Round, receivers: str
) -> None:
    write(settings, "one")
    with mail_server() as mailbox:
        mailbox.refused = "bad@"
        for minutes in (0, 1, 3):
            assert round_(mailbox.to(receivers), minutes=minutes) == Delivered(sent=0, pending=1, dead=0)
        assert sorted(message["To"] for message in mailbox.messages) == ["ann@example.org", "bob@example.org"]
        [(error, known)] = query(settings, "SELECT last_error, accepted_by FROM studyml.deliveries")
        assert re.fullmatch(r"mailto address was not accepted by all receivers \(it answered 550, .* s\)", error)
        assert len(known) == 2
        assert "ann" not in str(known)
        assert known != sorted(fingerprint(f"{name}@example.org") for name in ("ann", "bob"))

        write(settings, "one", event="resolved")
        round_(mailbox.to(receivers), minutes=4)
        assert len(mailbox.messages) == 4, "those who have the first wait for nobody"
        mailbox.refused = ""
        round_(mailbox.to(receivers), minutes=20)

    names = [f"{name}@example.org" for name in ("ann", "bad", "bob")]
    assert sorted(str(message["To"]) for message in mailbox.messages) == sorted(2 * names)


def test_who_accepts_messages_gets_all_that_wait_at_once_whoever_else_is_refused(
    settings: Settings, round_: Round
) -> None:
    write(settings, "one", "two", "three")
    with mail_server() as mailbox:
        mailbox.refused = "bad@"
        round_(mailbox.to("to=ann@example.org,bad@example.org"))

        assert [message["Subject"] for message in mailbox.messages] == ["one", "two", "three"]


def test_a_message_in_pieces_reaches_each_receiver_whole(hook: Webhook) -> None:
    answer = send(hook.url(options="?overflow=split"), "one", "line\n" * 20_000)

    assert answer.refusal is None
    assert sum(each["message"].count("line") for each in hook.received) == 20_000


@pytest.mark.parametrize(
    ("reply", "words"), [("554 5.7.1 no", "it answered 554"), ("421 4.4.2 bye", "it answered 421")]
)
def test_what_a_server_answered_is_said_and_nothing_else_of_it(reply: str, words: str) -> None:
    with mail_server() as mailbox:
        mailbox.reply = reply
        refusal = send(mailbox.address, "one", "body").refusal

    assert refusal is not None
    assert re.fullmatch(rf"did not accept the message \({words}, after \d\.\d s\)", refusal)


def test_why_no_server_answered_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        refusal = send(Mailbox(free_port()).address, "one", "body").refusal

    assert refusal is not None
    assert refusal.startswith("did not accept the message (nobody listens there, after ")
    assert "oncall@example.org" not in caplog.text


def test_tickets_by_mail_and_pages_by_webhook(settings: Settings, hook: Webhook) -> None:
    write(settings, "wake up", severity="page")
    write(settings, "look tomorrow", severity="ticket")
    with mail_server() as mailbox:
        run(settings, Addresses(page=(hook.url(),), ticket=(mailbox.address,)))

        assert [message["Subject"] for message in mailbox.messages] == ["look tomorrow"]
        assert [each["title"] for each in hook.received] == ["wake up"]


def test_a_line_break_in_a_subject_adds_no_header(settings: Settings) -> None:
    write(settings, "one\r\nBcc: somebody@example.com")
    connection = psycopg2.connect(settings.database)
    with mail_server() as mailbox:
        deliver(connection, Addresses(page=(mailbox.address,)), now=NOW)
        (message,) = mailbox.messages
    connection.close()

    assert message["Bcc"] is None
    assert str(message["Subject"]).startswith("one Bcc:")
