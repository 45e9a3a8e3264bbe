"""No secret anywhere: not in logs, tables or messages."""

import logging

import pytest

from studyml.alerting.messenger import fingerprint, scheme
from studyml.alerting.outbox import Delivered
from studyml.settings import Settings
from tests.alerting.messages import Round, write
from tests.alerting.receivers import Webhook, free_port
from tests.scoring.world import every_text


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
