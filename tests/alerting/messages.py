"""Messages in the outbox, and rounds of their delivery."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import psycopg2

from studyml.alerting.incidents import add_event, list_incidents, open_incident
from studyml.alerting.outbox import Addresses, Delivered, deliver
from studyml.settings import Settings
from tests.alerting.receivers import Webhook
from tests.conftest import NOW
from tests.scoring.world import query

# A receiver may take twenty seconds to answer; a test waits less.
IMPATIENT = "?rto=0.3&cto=0.3"
#: One round of delivery to the given addresses of pages.
Round = Callable[..., Delivered]

DELIVER = """
import os, psycopg2
from tests.conftest import NOW
from studyml.alerting import outbox
from studyml.alerting.outbox import Addresses, deliver
{first}
deliver(psycopg2.connect(os.environ["URL"]), Addresses(page=(os.environ["HOOK"],)), now=NOW)
"""


def write(
    settings: Settings, *texts: str, at: datetime = NOW, severity: str | None = None, event: str = "opened"
) -> None:
    """A message for each text."""
    connection = psycopg2.connect(settings.database)
    with connection:
        for text in texts:
            incident = open_incident(
                connection,
                kind=text,
                severity="ticket",  # which is not escalated
                title=text,
                model_version=None,
                figures={},
                as_of=at,
                now=at,
            )
            if incident is None:
                incident = next(each.id for each in list_incidents(connection) if each.kind == text)
            id_ = add_event(
                connection, incident, event=event, as_of=at, now=at, actor="test", subject=text, body=f"{text}, told"
            )
            with connection.cursor() as cursor:
                cursor.execute("UPDATE studyml.incident_events SET severity = %s WHERE id = %s", (severity, id_))
    connection.close()


def run(settings: Settings, addresses: Addresses, later: timedelta = timedelta(0)) -> Delivered:
    """One round of delivery, so long after NOW."""
    connection = psycopg2.connect(settings.database)
    try:
        return deliver(connection, addresses, now=NOW + later)
    finally:
        connection.close()


def titles(hook: Webhook) -> list[str]:
    """The subjects that a webhook accepted, in the order of arrival."""
    return [document["title"] for document in hook.received]


def statuses(settings: Settings) -> list[tuple[str, int]]:
    """(status, attempts) of every delivery."""
    return [(row[0], row[1]) for row in query(settings, "SELECT status, attempts FROM studyml.deliveries ORDER BY id")]


def deliverer(settings: Settings, address: str, first: str = "") -> subprocess.Popen[bytes]:
    """A process that delivers to a page's address at NOW, after the statement ``first``."""
    environment = {**os.environ, "URL": settings.database, "HOOK": address}
    code = DELIVER.format(first=first)
    return subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=Path(__file__).parents[2])
