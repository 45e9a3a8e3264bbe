"""Say that a problem is over, the same way for every kind but a degradation."""

from studyml.alerting.incidents import Incident, newest_event_at, open_of_kind
from studyml.alerting.lifecycle import CLOCKS_DIFFER, Moment, report_recovery
from studyml.alerting.message import Links
from studyml.alerting.messages import over_message
from studyml.database.connection import Connection
from studyml.database.nights import started_at
from studyml.settings import Settings


def report_over(settings: Settings, connection: Connection, kind: str, at: Moment, *, note: str) -> None:
    """Resolve the open incident of a kind, if any, with a message that says why. The caller commits.

    One that this very night found, since it was begun the last time, stays open: a task that failed may have been the
    only one to see the problem.
    """
    present = open_of_kind(connection, kind)
    if present is not None and is_of_this_night(connection, present, at):
        return
    links = Links(settings.runbook_url, settings.airflow_url)
    report_recovery(connection, kind, lambda incident: over_message(incident, note=note, links=links), at, note=note)


def is_of_this_night(connection: Connection, incident: Incident, at: Moment) -> bool:
    """Whether a night found the problem of an incident since it was begun the last time."""
    begun = started_at(connection, at.as_of)
    if begun is None or incident.updated_as_of < at.as_of:
        return False
    newest = newest_event_at(connection, incident.id, before=at.now + CLOCKS_DIFFER)
    return newest is not None and newest >= begun
