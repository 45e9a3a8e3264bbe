"""Deliver, with the night, the messages that wait in the outbox."""

import logging
from datetime import datetime

from studyml.database.nights import is_replay
from studyml.settings import Settings
from studyml.steps.deliver_alerts import deliver_alerts
from studyml.steps.opening import own_database

_logger = logging.getLogger("studyml")


def notify(settings: Settings, *, as_of: datetime, now: datetime) -> dict[str, int]:
    """Send every message that is due, as ``deliver_alerts``; a replay sends nothing.

    Returns the messages sent now, still pending and given up.
    """
    with own_database(settings) as connection:
        replay = is_replay(connection, as_of)
    if replay:
        _logger.info("a replay sends nothing")
        return {"sent": 0, "pending": 0, "dead": 0}
    return deliver_alerts(settings, now=now)
