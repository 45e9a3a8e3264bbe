"""Between nights: nights that lack are noticed, ended silences and untaken pages told, messages delivered."""

import logging
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial

from studyml.alerting.incidents import Event
from studyml.alerting.lifecycle import Moment, escalate, tell_held_back
from studyml.alerting.message import Links
from studyml.alerting.messages import WAITING_TITLE, escalation_message
from studyml.alerting.outbox import deliver
from studyml.database.connection import Connection, advisory_lock
from studyml.registry.approvals import waiting
from studyml.registry.versions import Version
from studyml.settings import Settings
from studyml.steps.opening import own_database
from studyml.steps.recipients import recipients, secrets
from studyml.steps.watch_nights import watch_nights

_logger = logging.getLogger("studyml")


def deliver_alerts(settings: Settings, *, now: datetime) -> dict[str, int]:
    """Watch nights, escalate, and send every message that is due and that an address of its severity has not had yet.

    Returns the messages sent now, still pending and given up. One that an address does not accept is tried again
    later, after 1, 2, 4 … minutes, at most 6 hours, for 14 days.
    """
    with own_database(settings) as connection:
        with advisory_lock(connection, "watch"):
            watch_nights(settings, connection, now=now)
            tell_held_back(connection, Moment(now, now), partial(_is_news, waiting(connection)))
            _escalate(settings, connection, now)
            connection.commit()
        result = deliver(connection, recipients(settings), now=now, secrets=secrets(settings))
    if not settings.alert_addresses:
        _logger.warning("STUDYML_ALERT_URLS is not set: nobody is paged")
    _logger.info("messages: %d sent, %d wait for a later try, %d given up", result.sent, result.pending, result.dead)
    return asdict(result)


def _is_news(candidate: Version | None, event: Event) -> bool:
    """A version that waits for approval is, while it waits; whatever else a silence held back."""
    if WAITING_TITLE not in (event.message_subject or ""):
        return True
    return candidate is not None and candidate.version in (event.message_body or "")


def _escalate(settings: Settings, connection: Connection, now: datetime) -> None:
    hours = settings.escalate_after_hours
    links = Links(settings.runbook_url, settings.airflow_url)
    escalated = escalate(
        connection,
        Moment(now, now),
        after=timedelta(hours=hours),
        message=lambda incident: escalation_message(incident, hours=hours, links=links),
    )
    for incident_id in escalated:
        _logger.warning("incident %d was not acknowledged for %g h and is escalated", incident_id, hours)
