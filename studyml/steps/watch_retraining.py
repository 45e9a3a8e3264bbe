"""What came of retrainings: whether they keep failing, and whether the one for a degradation helped."""

from datetime import timedelta

from studyml.alerting.degraded_message import no_better_message
from studyml.alerting.incidents import DEGRADED, RETRAINING_FAILING, TICKET, open_of_kind
from studyml.alerting.lifecycle import Moment, Problem, report_problem, send
from studyml.alerting.message import Links
from studyml.alerting.messages import retraining_message
from studyml.database.connection import Connection
from studyml.registry.retraining import FAILED, RetrainingRun, decided_for, newest_in_a_row
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
        report_over(settings, connection, RETRAINING_FAILING, at, note="a retraining has brought a new version")
        return
    if len(streak) < settings.retraining_failures:
        return
    stopped = all(run.decision in FAILED for run in streak[: settings.retraining_failures])
    problem = Problem(
        RETRAINING_FAILING,
        TICKET,
        lambda incident_id: retraining_message(
            times=len(streak), reasons=_reasons(streak[0]), stopped=stopped, incident_id=incident_id, links=links
        ),
        figures={"times": len(streak), "newest": streak[0].id},
    )
    report_problem(connection, problem, at, cool_off=timedelta(days=settings.incident_cool_off_days))


def _reasons(run: RetrainingRun) -> list[str]:
    return [f"{run.as_of:%Y-%m-%d} {run.decision}: {reason}" for reason in run.reasons[:_MOST_REASONS]]


def _watch_degraded(settings: Settings, connection: Connection, at: Moment) -> None:
    """Ask a person where the retraining for an open degradation was decided without a new champion."""
    incident = open_of_kind(connection, DEGRADED)
    if incident is None:
        return
    run = decided_for(connection, incident.id)
    if run is None or run.decision not in ("rejected", *FAILED) or incident.figures.get("asked") == run.id:
        return
    if run.decision in FAILED and len(newest_in_a_row(connection)) < settings.retraining_failures:
        return  # it is tried again by the next night
    links = Links(settings.runbook_url, settings.airflow_url)
    message = no_better_message(
        incident_id=incident.id,
        decision=str(run.decision),
        reasons=[reason for reason in run.reasons if not reason.endswith("stays champion")][:_MOST_REASONS],
        version=run.version,
        links=links,
    )
    send(connection, incident.id, DEGRADED, incident.severity, message, at, event="updated", note=message.title)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.incidents SET figures = figures || jsonb_build_object('asked', %s::bigint) WHERE id = %s",
            (run.id, incident.id),
        )
