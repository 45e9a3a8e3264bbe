"""Watch whether nights run and have their predictions: looked at between nights, since a dead one tells nobody."""

from datetime import datetime, timedelta

from studyml.alerting.incidents import NIGHT_MISSING, PAGE, SCORING_LATE
from studyml.alerting.lifecycle import Moment, Problem, report_problem
from studyml.alerting.message import Links
from studyml.alerting.messages import night_missing_message, scoring_message
from studyml.database.connection import Connection
from studyml.database.night_counts import unfinished_night
from studyml.database.nights import begun_since, last_finished_at
from studyml.settings import Settings
from studyml.steps.report_over import report_over

#: A night is due every 24 h; two hours are its own length and a retry.
NIGHT_DUE_HOURS = 26


def watch_nights(settings: Settings, connection: Connection, *, now: datetime) -> None:
    """Open or resolve the incidents about nights that are missing or incomplete at ``now``. The caller commits."""
    _watch_finished(settings, connection, now)
    _watch_scoring(settings, connection, now)


def _watch_finished(settings: Settings, connection: Connection, now: datetime) -> None:
    found = last_finished_at(connection)
    if found is None:
        return  # before its first night a system is not late
    links = Links(settings.runbook_url, settings.airflow_url)
    as_of, finished = found
    begun, late = begun_since(connection, as_of), timedelta(hours=settings.scoring_late_hours)
    hours = (now - finished).total_seconds() / 3600
    if hours <= NIGHT_DUE_HOURS:
        # Since the last one, a night may have run with any as_of.
        report_over(settings, connection, NIGHT_MISSING, Moment(max(as_of, now), now), note="a night has finished")
        return
    if begun is not None and now - begun < late:
        return  # one is under way: it may end the gap, and if it does not its scoring is late
    problem = Problem(
        NIGHT_MISSING,
        PAGE,
        lambda incident_id: night_missing_message(
            last_as_of=as_of, finished_at=finished, hours=hours, incident_id=incident_id, links=links
        ),
        figures={"last_as_of": as_of.isoformat(), "hours": round(hours, 1)},
    )
    report_problem(
        connection,
        problem,
        # Each further night that is missing is news, once its incident was closed.
        Moment(as_of + timedelta(days=max(1, int(hours // 24))), now),
        cool_off=timedelta(days=settings.incident_cool_off_days),
    )


def _watch_scoring(settings: Settings, connection: Connection, now: datetime) -> None:
    found = unfinished_night(connection)
    links = Links(settings.runbook_url, settings.airflow_url)
    if found is None:
        report_over(
            settings, connection, SCORING_LATE, Moment(now, now), note="predictions were made since, and are complete"
        )
        return
    as_of, started, words = found
    if now - started < timedelta(hours=settings.scoring_late_hours):
        return
    said = f"It began at {started:%Y-%m-%d %H:%M} UTC, and {words}."
    problem = Problem(
        SCORING_LATE,
        PAGE,
        lambda incident_id: scoring_message(as_of=as_of, found=said, incident_id=incident_id, links=links),
        figures={"night": as_of.isoformat(), "found": words},
    )
    report_problem(connection, problem, Moment(as_of, now), cool_off=timedelta(days=settings.incident_cool_off_days))
