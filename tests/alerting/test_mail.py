"""Messages by mail, through a real SMTP server that works, refuses, hangs, or is away."""

import time

import psycopg2

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
