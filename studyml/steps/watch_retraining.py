"""What came of retrainings: whether they keep failing, and whether the one for a degradation helped."""

from datetime import datetime, timedelta
from typing import Any

from studyml.alerting.incidents import DEGRADED, PAGE, RETRAINING_FAILING, TICKET, Incident, add_figures, open_of_kind
from studyml.alerting.lifecycle import Moment, Problem, report_problem, send
from studyml.alerting.message import Links
from studyml.alerting.messages import retraining_message, waiting_message
from studyml.alerting.no_better_message import no_better_message
from studyml.database.connection import Connection
from studyml.monitoring.verdict import CONFIRMED
from studyml.monitoring.verdict import DEGRADED as DEGRADED_VERDICTS
from studyml.monitoring.verdicts import stored_verdict
from studyml.registry.aftermath import ON_TRIAL, SERVED, WAITING, aftermath
from studyml.registry.approvals import waiting, waits_since
from studyml.registry.retraining import (
    FAILED,
    OPEN_ENDED,
    RetrainingRun,
    breaker_open,
    decided_for,
    newest_in_a_row,
    newest_tried,
)
from studyml.registry.trials import challenger
from studyml.registry.versions import Version, champion
from studyml.settings import Settings
from studyml.steps.report_over import report_over

#: How many reasons of the newest run a message quotes.
_MOST_REASONS = 5


def watch_retraining(settings: Settings, connection: Connection, at: Moment) -> None:
    """Open or resolve the incident of failing retrainings; say once where one did not help. The caller commits."""
    _watch_streak(settings, connection, at)
    _watch_degraded(settings, connection, at)


def _watch_streak(settings: Settings, connection: Connection, at: Moment) -> None:
    streak = newest_in_a_row(connection)
    links = Links(settings.runbook_url, settings.airflow_url)
    if not streak:
        tried = newest_tried(connection)
        if tried is not None and tried.decision in OPEN_ENDED:
            return  # what it brought may still be rejected: then the retrainings brought nothing as before
        report_over(settings, connection, RETRAINING_FAILING, at, note="a retraining has brought a new version")
        return
    if len(streak) < settings.retraining_failures:
        return
    stopped = breaker_open(streak, settings.retraining_failures)
    present = open_of_kind(connection, RETRAINING_FAILING)
    problem = Problem(
        RETRAINING_FAILING,
        TICKET,
        lambda incident_id: retraining_message(
            times=len(streak), reasons=_reasons(streak[0]), stopped=stopped, incident_id=incident_id, links=links
        ),
        figures={"times": len(streak), "newest": streak[0].id, "stopped": stopped},
        another=stopped and present is not None and not present.figures.get("stopped"),
    )
    report_problem(connection, problem, at, cool_off=timedelta(days=settings.incident_cool_off_days))


def _reasons(run: RetrainingRun) -> list[str]:
    return [f"{run.as_of:%Y-%m-%d} {run.decision}: {reason}" for reason in run.reasons[:_MOST_REASONS]]


def _watch_degraded(settings: Settings, connection: Connection, at: Moment) -> None:
    """Ask a person: for each candidate that waits, and once for an incident whose retraining did not end it."""
    incident = open_of_kind(connection, DEGRADED)
    if incident is None:
        return
    _tell_of_waiting(settings, connection, incident, at)
    run = decided_for(connection, incident.id)
    if run is None or incident.figures.get("asked") is not None:
        return
    if _newer(run, waiting(connection)) is not None:
        return  # of which a person was told: to ask for another retraining would put it aside
    found = aftermath(connection, run)
    word = SERVED if _serves_newer(connection, run) else found.word
    # What brought no version was about a candidate; what brought one, about the newest that served since.
    verdict = _degraded_since(connection, run, at.as_of) if word == SERVED else None
    version = run.version if verdict is None else str(verdict["scope"])
    if not _is_no_help(settings, connection, incident, word, verdict):
        return
    message = no_better_message(
        incident_id=incident.id,
        came_to=word,
        reasons=found.reasons[:_MOST_REASONS],
        version=version,
        verdict=verdict,
        on_trial=_newer(run, challenger(connection)),
        links=Links(settings.runbook_url, settings.airflow_url),
    )
    send(connection, incident.id, DEGRADED, incident.severity, message, at, event="updated", note=message.title)
    add_figures(connection, incident.id, {"asked": run.id})


def _newer(run: RetrainingRun, found: Version | None) -> str | None:
    """The name of ``found`` where a later retraining than ``run`` brought it."""
    return found.version if found is not None and found.as_of >= run.as_of and found.version != run.version else None


def _serves_newer(connection: Connection, run: RetrainingRun) -> bool:
    present = champion(connection)
    return present is not None and run.version is not None and present.version > run.version


def _tell_of_waiting(settings: Settings, connection: Connection, incident: Incident, at: Moment) -> None:
    found = waiting(connection)
    if found is None or incident.figures.get("waiting") == found.version:
        return
    since = (waits_since(connection, found.version) or (found.trained_at, ""))[0]
    message = waiting_message(
        version=found.version,
        deadline=since + timedelta(hours=settings.approval_hours),
        incident_id=incident.id,
        links=Links(settings.runbook_url, settings.airflow_url),
    )
    send(connection, incident.id, DEGRADED, incident.severity, message, at, event="updated", note=message.title)
    add_figures(connection, incident.id, {"waiting": found.version})


def _is_no_help(
    settings: Settings, connection: Connection, incident: Incident, word: str, verdict: dict[str, Any] | None
) -> bool:
    if word in FAILED:
        # Until the breaker opens, the next night tries again.
        return breaker_open(newest_in_a_row(connection), settings.retraining_failures)
    if word == SERVED:
        # What is not beyond chance wakes nobody: of a page's new version it takes a confirmed verdict as well.
        pages = incident.severity == PAGE and settings.page_rule != "guide"
        return verdict is not None and (verdict["verdict"] == CONFIRMED or not pages)
    return word not in (ON_TRIAL, WAITING)


def _degraded_since(connection: Connection, run: RetrainingRun, as_of: datetime) -> dict[str, Any] | None:
    """The verdict on the champion, where it is the version of the run, or a newer one, and is degraded itself."""
    present = champion(connection)
    if present is None or run.version is None or present.version < run.version:
        return None
    found = stored_verdict(connection, as_of, present.version)
    return found if found is not None and found["verdict"] in DEGRADED_VERDICTS else None
