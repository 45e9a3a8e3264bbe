"""Watch whether the study app's data are what the contract promises, and whether outcomes still arrive."""

from datetime import datetime, timedelta

from studyml.alerting.incidents import CONTRACT_BROKEN, NO_NEW_LABELS, TICKET
from studyml.alerting.lifecycle import Moment, Problem, report_problem
from studyml.alerting.message import Links
from studyml.alerting.messages import contract_message, no_labels_message
from studyml.database.connection import Connection
from studyml.database.night_counts import NightCounts, newest_label, night_counts
from studyml.database.source import count_dated
from studyml.monitoring.verdict import ERROR
from studyml.monitoring.verdicts import stored_verdict
from studyml.settings import Settings
from studyml.steps.opening import read_source
from studyml.steps.report_over import report_over

#: A contract counts as broken from this share of a night's rows on, and this many of them.
BROKEN_SHARE, BROKEN_ROWS = 0.1, 5


def watch_data(settings: Settings, connection: Connection, at: Moment) -> None:
    """Open, update or resolve the incidents about the data of the night. The caller commits."""
    _watch_contract(settings, connection, at)
    _watch_labels(settings, connection, at)


def _watch_contract(settings: Settings, connection: Connection, at: Moment) -> None:
    links = Links(settings.runbook_url, settings.airflow_url)
    verdict = stored_verdict(connection, at.as_of) or {}
    found = broken(night_counts(connection, at.as_of))
    if verdict.get("verdict") == ERROR:
        found.append(f"the night could not be judged: {verdict['reason']}")
    if not found:
        report_over(settings, connection, CONTRACT_BROKEN, at, note="this night's data are as they should be")
        return
    problem = Problem(
        CONTRACT_BROKEN,
        TICKET,
        lambda incident_id: contract_message(found, as_of=at.as_of, incident_id=incident_id, links=links),
        figures={"found": found},
    )
    report_problem(connection, problem, at, cool_off=timedelta(days=settings.incident_cool_off_days))


def broken(counts: NightCounts) -> list[str]:
    """What breaks the contract, in sentences.

    >>> broken(NightCounts(outcomes=90, quarantined=10, planned=100, refused=9, impossible=0))
    ['10 of 100 new outcomes and rows were quarantined as impossible']
    """
    looked_at = counts.outcomes + counts.quarantined
    shares = (
        (counts.quarantined, looked_at, "new outcomes and rows were quarantined as impossible"),
        (counts.refused, counts.planned, "planned sessions have no student or no topic and got no prediction"),
        (counts.impossible, counts.planned, "planned sessions were predicted with an impossible input left out"),
    )
    return [
        f"{count} of {rows} {words}"
        for count, rows, words in shares
        if count >= BROKEN_ROWS and count >= BROKEN_SHARE * rows
    ]


def _watch_labels(settings: Settings, connection: Connection, at: Moment) -> None:
    links = Links(settings.runbook_url, settings.airflow_url)
    newest = newest_label(connection, at.as_of)
    if newest is None:
        return  # a system without any label yet is not one whose labels stopped
    waited = at.as_of - newest
    if waited < timedelta(days=settings.no_labels_days):
        report_over(settings, connection, NO_NEW_LABELS, at, note="outcomes arrive again")
        return
    due = _due(settings, newest, at.as_of)
    days = waited.total_seconds() / 86400
    problem = Problem(
        NO_NEW_LABELS,
        TICKET,
        lambda incident_id: no_labels_message(
            days=days, newest=newest, due=due, as_of=at.as_of, incident_id=incident_id, links=links
        ),
        figures={"newest_label": newest.isoformat(), "sessions_due": due},
    )
    report_problem(connection, problem, at, cool_off=timedelta(days=settings.incident_cool_off_days))


def _due(settings: Settings, after: datetime, through: datetime) -> int:
    return read_source(settings, lambda s: count_dated(s, settings.source_schema, after=after, through=through))
