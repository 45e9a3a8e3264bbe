"""Deliver the messages that are due, at any time: what a night could not deliver does not wait for the next night."""

import logging
from dataclasses import asdict
from datetime import datetime

from studyml.alerting.outbox import deliver
from studyml.settings import Settings
from studyml.steps.opening import own_database
from studyml.steps.recipients import recipients, secrets

_logger = logging.getLogger("studyml")


def deliver_alerts(settings: Settings, *, now: datetime) -> dict[str, int]:
    """Send every message that is due and that an address of its severity has not had yet.

    Returns the messages sent now, still pending and given up. One that an address does not accept is tried again
    later, after 1, 2, 4 … minutes, at most 6 hours, for 14 days.
    """
    with own_database(settings) as connection:
        result = deliver(connection, recipients(settings), now=now, secrets=secrets(settings))
    if not settings.alert_addresses:
        _logger.warning("STUDYML_ALERT_URLS is not set: nobody is told of an incident")
    _logger.info("messages: %d sent, %d wait for a later try, %d given up", result.sent, result.pending, result.dead)
    return asdict(result)
