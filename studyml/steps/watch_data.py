"""Watch whether the study app's data are what the contract promises, and whether outcomes still arrive."""

from datetime import datetime, timedelta
from functools import partial

from studyml.alerting.incidents import CONTRACT_BROKEN, NO_NEW_LABELS, PAGE, TICKET, open_of_kind
from studyml.alerting.lifecycle import Moment, Problem, report_problem
from studyml.alerting.message import Links
from studyml.alerting.messages import contract_message, no_labels_message, unjudged_message, unplanned_message
from studyml.database.connection import Connection
from studyml.database.night_counts import NightCounts, newest_label, night_counts, reasons_found
from studyml.database.nights import finished_before
from studyml.database.source import count_dated
from studyml.monitoring.verdict import ERROR
from studyml.monitoring.verdicts import stored_verdict
from studyml.settings import Settings
from studyml.steps.opening import read_source
from studyml.steps.report_over import report_over

#: A contract counts as broken from this share of the rows on, and this many of them.
BROKEN_SHARE, BROKEN_ROWS = 0.1, 5
#: Without predictions for so many of the planned sessions somebody is paged: analysts miss them.
UNSCORED_SHARE = 0.5
#: Where a night has fewer new rows than these make together, a week of nights is looked at.
FEW_ROWS, FEW_ROWS_DAYS = BROKEN_ROWS / BROKEN_SHARE, 7
#: How many columns and reasons a message names; the runbook's query has all.
_MOST_REASONS = 3


def watch_data(settings: Settings, connection: Connection, at: Moment) -> None:
    """Open, update or resolve the incidents about the data of the night. The caller commits."""
    _watch_contract(settings, connection, at)
    _watch_labels(settings, connection, at)


def _watch_contract(settings: Settings, connection: Connection, at: Moment) -> None:
    links = Links(settings.runbook_url, settings.airflow_url)
    verdict = stored_verdict(connection, at.as_of) or {}
    unjudged = str(verdict["reason"]) if verdict.get("verdict") == ERROR else None
    counts = night_counts(connection, at.as_of)
    found, days = _broken(connection, at.as_of, counts)
    reasons = reasons_found(connection, at.as_of, days=days)[:_MOST_REASONS] if found else []
    if not found and unjudged is None:
        if not _was_broken_before(connection, at.as_of):
            good = "the night was judged, and what is new of the study app's data is as it should be"
            report_over(settings, connection, CONTRACT_BROKEN, at, note=good)
        return
    unscored = _is_unscored(counts)
    if not found:
        describe = partial(unjudged_message, str(unjudged))
    elif len(found) == 1 and _is_unplanned(counts) and unjudged is None:
        describe = partial(unplanned_message, found)
    else:
        said = [] if unjudged is None else [f"the night could not be judged: {unjudged}"]
        describe = partial(contract_message, [*found, *reasons, *said], unscored=unscored)
    problem = Problem(
        CONTRACT_BROKEN,
        PAGE if unscored else TICKET,
        lambda incident_id: describe(as_of=at.as_of, incident_id=incident_id, links=links),
        figures={"found": found, "reasons": reasons, "unjudged": unjudged},
    )
    report_problem(connection, problem, at, cool_off=timedelta(days=settings.incident_cool_off_days))


def _is_unscored(counts: NightCounts) -> bool:
    return counts.refused >= max(BROKEN_ROWS, UNSCORED_SHARE * counts.planned)


def _is_unplanned(counts: NightCounts) -> bool:
    return counts.planned == 0 and counts.planned_before >= FEW_ROWS


def _was_broken_before(connection: Connection, as_of: datetime) -> bool:
    """Whether the night before found the contract broken: one good night may be chance, as with a degradation."""
    present, before = open_of_kind(connection, CONTRACT_BROKEN), finished_before(connection, as_of)
    return present is not None and before is not None and present.updated_as_of >= before


def _broken(connection: Connection, as_of: datetime, counts: NightCounts) -> tuple[list[str], int]:
    """What breaks the contract, ``counts`` being the night's, and over how many days the new rows were counted."""
    found, rows = broken(counts), counts.outcomes + counts.quarantined
    is_clean = rows > 0 and counts.quarantined == 0
    # What the days before found was told by a night that has finished since, and may be closed: it takes a new row.
    is_told = open_of_kind(connection, CONTRACT_BROKEN) is None and not _quarantined_since(connection, as_of)
    if found or is_clean or is_told or rows >= FEW_ROWS:
        return found, 1
    return broken(night_counts(connection, as_of, days=FEW_ROWS_DAYS), days=FEW_ROWS_DAYS), FEW_ROWS_DAYS


def _quarantined_since(connection: Connection, as_of: datetime) -> bool:
    """Whether a row was quarantined for the first time since the night that finished before."""
    before = finished_before(connection, as_of)
    days = FEW_ROWS_DAYS if before is None else (as_of - before) / timedelta(days=1)
    return night_counts(connection, as_of, days=days).quarantined > 0


def broken(counts: NightCounts, *, days: int = 1) -> list[str]:
    """What breaks the contract, in sentences; ``days``: those over which new rows were counted.

    >>> broken(NightCounts(outcomes=90, quarantined=10, planned=100, refused=9, impossible=0))
    ['10 of 100 new outcomes and rows were quarantined as impossible']
    """
    looked_at = counts.outcomes + counts.quarantined
    when = "" if days == 1 else f" in {days} days"
    shares = (
        (counts.quarantined, looked_at, f"new outcomes and rows were quarantined as impossible{when}"),
        (counts.refused, counts.planned, "planned sessions have no student or no topic and got no prediction"),
        (counts.impossible, counts.planned, "planned sessions were predicted with an impossible input left out"),
        (counts.removed, counts.labelled, f"outcomes of the last 30 days were taken back or deleted{when}"),
    )
    return [
        *(
            f"{count} of {rows} {words}"
            for count, rows, words in shares
            if count >= BROKEN_ROWS and count >= BROKEN_SHARE * rows
        ),
        *([f"no session is planned, up to {counts.planned_before} were before"] if _is_unplanned(counts) else []),
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
