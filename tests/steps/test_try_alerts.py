"""``studyml alerts test``."""

import pytest

from studyml.errors import DeliveryError, SettingsError
from studyml.settings import Settings, load_settings
from studyml.steps.try_alerts import send_test
from tests.alerting.receivers import mail_server, webhook
from tests.conftest import NOW
from tests.steps.test_notify import with_alerts


def test_every_address_gets_a_message_that_says_it_is_a_test(settings: Settings) -> None:
    with webhook() as first, webhook() as second:
        assert send_test(with_alerts(settings, f"{first.url()} {second.url()}"), now=NOW) == 2

        for hook in (first, second):
            assert [each["title"] for each in hook.received] == ["studyml: test message"]


def test_those_that_do_not_accept_it_are_named_by_kind_and_fingerprint_only(settings: Settings) -> None:
    with webhook() as good, webhook() as bad:
        bad.status = 500
        addresses = f"{good.url()} {bad.url('S3cretPath')}"

        with pytest.raises(
            DeliveryError, match=r"1 of 2 alert addresses failed: \w+ \(json\) did not accept the message"
        ) as caught:
            send_test(with_alerts(settings, addresses), now=NOW)
        assert "S3cretPath" not in str(caught.value)
        assert len(good.received) == 1


def test_a_receiver_that_is_none_is_said_though_the_others_accept_it(settings: Settings) -> None:
    with mail_server() as mailbox:
        wrong = with_alerts(settings, mailbox.to("to=ann@example.org,bob.example.org"))

        with pytest.raises(DeliveryError, match="has a part that Apprise leaves out, such as a receiver that is none"):
            send_test(wrong, now=NOW)
        assert len(mailbox.messages) == 1


def test_the_setting_of_the_one_that_does_not_accept_it_is_named(settings: Settings) -> None:
    with webhook() as good, webhook() as bad:
        bad.status = 500
        addresses = {"alert_urls": good.url(), "ticket_urls": good.url("tickets"), "escalation_urls": bad.url()}

        with pytest.raises(DeliveryError, match=r"correct STUDYML_ESCALATION_URLS\.$"):
            send_test(load_settings(**{**settings.model_dump(), **addresses}), now=NOW)


def test_without_an_address_the_setting_is_named(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="STUDYML_ALERT_URLS is not set"):
        send_test(settings, now=NOW)
