"""Say that a problem is over, the same way for every kind but a degradation."""

from studyml.alerting.lifecycle import Moment, report_recovery
from studyml.alerting.message import Links
from studyml.alerting.messages import over_message
from studyml.database.connection import Connection
from studyml.settings import Settings


def report_over(settings: Settings, connection: Connection, kind: str, at: Moment, *, note: str) -> None:
    """Resolve the open incident of a kind, if any, with a message that says why. The caller commits."""
    links = Links(settings.runbook_url, settings.airflow_url)
    report_recovery(connection, kind, lambda incident: over_message(incident, note=note, links=links), at, note=note)
