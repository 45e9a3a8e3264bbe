"""Who gets messages; and no secret of any setting gets out, whatever an error quotes."""

import logging
from datetime import timedelta

import pytest

from studyml.settings import Settings, load_settings
from studyml.steps.deliver_alerts import deliver_alerts
from studyml.steps.recipients import recipients, redacted, secrets
from tests.alerting.messages import write
from tests.alerting.receivers import Webhook, free_port, mail_server
from tests.conftest import NOW
from tests.scoring.world import every_text, query
from tests.steps.test_report_failure import fail

SECRETS = ("T0K3NPATH", "T1CKETPATH", "TokenA123", "TokenB123", "SECRETBEAT", "sourceP4ss", "m4ilP4ss", "p@ss/word")


@pytest.fixture
def secretive(settings: Settings, hook: Webhook) -> Settings:
    """Settings with a secret in every address but our own database's."""
    return load_settings(
        **{
            **settings.model_dump(),
            "alert_urls": f"{hook.url('T0K3NPATH')} slack://TokenA123/TokenB123",
            "ticket_urls": f"{hook.url('T1CKETPATH')} mailtos://studyml:m4ilP4ss@127.0.0.1:{free_port()}?cto=1",
            "heartbeat_url": "https://beat.example.org/ping/SECRETBEAT",
            "source_url": "postgresql://app:sourceP4ss@127.0.0.1/app?sslpassword=p%40ss%2Fword",
        }
    )


def test_tickets_go_where_pages_go_unless_they_have_an_address() -> None:
    one = {"database_url": "postgresql://127.0.0.1/x", "alert_urls": "json://a json://b"}

    assert recipients(load_settings(**one)).ticket == recipients(load_settings(**one)).page == ("json://a", "json://b")
    two = recipients(load_settings(**one, ticket_urls="json://b, mailto://c"))
    assert two.ticket == ("json://b", "mailto://c")
    assert two.all() == ("json://a", "json://b", "mailto://c")


def test_the_secrets_are_those_of_every_address(secretive: Settings) -> None:
    assert set(SECRETS) <= secrets(secretive)
    assert redacted(secretive, "it cannot reach 127.0.0.1") == "it cannot reach 127.0.0.1"


@pytest.mark.parametrize("status", [200, 500])
def test_whatever_an_error_quotes_is_neither_stored_nor_logged_nor_sent(
    secretive: Settings, hook: Webhook, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    quoted = (
        f"POST {secretive.alert_urls.get_secret_value()} {secretive.ticket_urls.get_secret_value()}"
        f" {secretive.heartbeat_url.get_secret_value()} {secretive.source} {' '.join(SECRETS)}"
        " postgresql://somebody:else@10.0.0.1/x ann@example.org"
    )
    hook.status = status

    with caplog.at_level(logging.DEBUG):
        fail(secretive, error=quoted, dag_run_id=f"manual__{quoted}")
        deliver_alerts(secretive, now=NOW + timedelta(hours=1))

    assert hook.asked
    everything = every_text(secretive) + str(hook.received) + caplog.text
    for secret in (*SECRETS, "somebody:else", "ann@example.org"):
        assert secret not in everything
    assert len(hook.received) == (status == 200)


def test_without_the_database_the_message_hides_them_too(hook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    broken = load_settings(
        database_url=f"postgresql://ann:dbP4ss@127.0.0.1:{free_port()}/gone", alert_urls=hook.url("T0K3NPATH")
    )

    with caplog.at_level(logging.DEBUG):
        fail(broken, error=f"dbP4ss {hook.url('T0K3NPATH')}")

    assert len(hook.received) == 1
    for secret in ("dbP4ss", "T0K3NPATH"):
        assert secret not in str(hook.received) + caplog.text


@pytest.mark.parametrize("by", ["a round of delivery", "a failure that takes it along"])
def test_what_others_wrote_into_the_outbox_is_masked_when_it_is_sent(
    secretive: Settings, hook: Webhook, by: str
) -> None:
    write(secretive, "one")
    query(
        secretive,
        "UPDATE studyml.incident_events SET message_subject = 'sourceP4ss', message_body = 'ask ann@example.org'",
    )

    if by == "a round of delivery":
        deliver_alerts(secretive, now=NOW)
    else:
        fail(secretive)

    first = hook.received[0]
    assert (first["title"], first["message"]) == ("…", "ask …")


def test_a_page_and_a_ticket_each_reach_their_own(settings: Settings, hook: Webhook) -> None:
    write(settings, "wake up", severity="page")
    write(settings, "look tomorrow", severity="ticket")
    with mail_server() as mailbox:
        both = {"alert_urls": hook.url(), "ticket_urls": mailbox.address}
        result = deliver_alerts(load_settings(**{**settings.model_dump(), **both}), now=NOW)

        assert result == {"sent": 2, "pending": 0, "dead": 0}
        assert [message["Subject"] for message in mailbox.messages] == ["look tomorrow"]
    assert [each["title"] for each in hook.received] == ["wake up"]
