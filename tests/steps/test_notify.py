"""Messages leave with the night, those that could not with the next."""

import logging
from datetime import timedelta

import pytest

from studyml.settings import Settings, load_settings
from studyml.steps.notify import notify
from tests.alerting.messages import write
from tests.alerting.receivers import webhook
from tests.conftest import END, NOW
from tests.scoring.world import finish


def with_alerts(settings: Settings, addresses: str) -> Settings:
    return load_settings(**{**settings.model_dump(), "alert_urls": addresses})


def test_what_fails_tonight_is_sent_tomorrow(settings: Settings) -> None:
    write(settings, "one")
    with webhook() as hook:
        alerting = with_alerts(settings, hook.url())
        hook.status = 500
        assert notify(alerting, as_of=END, now=NOW) == {"sent": 0, "pending": 1, "dead": 0}
        hook.status = 200
        assert notify(alerting, as_of=END, now=NOW + timedelta(days=1)) == {"sent": 1, "pending": 0, "dead": 0}


def test_several_addresses_are_separated_by_spaces_or_commas(settings: Settings) -> None:
    write(settings, "one")
    with webhook() as first, webhook() as second, webhook() as third:
        alerting = with_alerts(settings, f"{first.url()} {second.url()},{third.url()}\n")

        assert notify(alerting, as_of=END, now=NOW)["sent"] == 3


def test_without_an_address_the_night_warns_and_goes_on(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    write(settings, "one")
    with caplog.at_level(logging.WARNING):
        assert notify(settings, as_of=END, now=NOW)["sent"] == 0

    assert "STUDYML_ALERT_URLS is not set" in caplog.text


def test_a_replay_sends_nothing_not_even_what_waits(settings: Settings) -> None:
    write(settings, "one")
    finish(settings, END)
    with webhook() as hook:
        alerting = with_alerts(settings, hook.url())

        assert notify(alerting, as_of=END.replace(year=2025), now=NOW)["sent"] == 0
        assert hook.asked == []
        assert notify(alerting, as_of=END, now=NOW)["sent"] == 1
