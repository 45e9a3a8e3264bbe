"""Deliver the messages that wait in the outbox."""

import logging
from dataclasses import asdict
from datetime import datetime

from studyml.alerting.outbox import deliver
from studyml.database.nights import is_replay
from studyml.settings import Settings
from studyml.steps.opening import own_database

_logger = logging.getLogger("studyml")


def notify(settings: Settings, *, as_of: datetime, now: datetime) -> dict[str, int]:
    """Send every message that an alert address has not had yet; what fails waits for the next run.

    Returns the messages sent now, still pending and given up. A replay sends nothing.
    """
    with own_database(settings) as connection:
        if is_replay(connection, as_of):
            _logger.info("a replay sends nothing")
            return {"sent": 0, "pending": 0, "dead": 0}
        result = deliver(connection, settings.alert_addresses, now=now)
    if not settings.alert_addresses:
        _logger.warning("STUDYML_ALERT_URLS is not set: nobody is told of an incident")
    _logger.info("messages: %d sent, %d wait for the next run, %d given up", result.sent, result.pending, result.dead)
    return asdict(result)
