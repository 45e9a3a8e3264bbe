"""What follows from a verdict: a degradation opens its incident, goes on, gets worse, or is over."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from studyml.alerting.degraded_message import (
    A_PERSON,
    NO_HELP_YET,
    TO_APPROVE,
    Findings,
    degraded_message,
    recovered_message,
)
from studyml.alerting.incidents import DEGRADED, PAGE, TICKET, Incident, back_since, newest_of_kind, open_of_kind
from studyml.alerting.lifecycle import Moment, Problem, report_problem, report_recovery
from studyml.alerting.message import Links, Message, moment
from studyml.database.connection import Connection
from studyml.monitoring import verdict as verdicts
from studyml.monitoring.verdicts import Judged, healthy_nights, last_healthy, was_judged
from studyml.registry import aftermath as aftermaths
from studyml.registry.approvals import waiting
from studyml.registry.retraining import FAILED, breaker_open, decided_for, newest_in_a_row
from studyml.registry.versions import Version
from studyml.settings import Settings
from studyml.steps.training_data import too_few_since

_logger = logging.getLogger("studyml")

#: One healthy night may be chance: an error about its limit would open and resolve an incident by turns.
_RECOVERED_NIGHTS, _MOST_DOUBLINGS = 2, 3
_STOPPED = (
    "no retraining is started, since the last ones failed: it takes enough new labels, or studyml retrain --force"
)
#: How many features a message names.
_MOST_MOVED = 3
_FIGURES = ("verdict", "rolling_mae", "rolling_rmse", "n", "threshold", "error_ratio", "error_ratio_limit")


def nights_to_recover(times_reopened: int) -> int:
    """How many healthy nights in a row end an incident: each time it came back twice as many, so that it calms down.

    >>> [nights_to_recover(times) for times in (0, 1, 2, 3, 4)]
    [2, 4, 8, 16, 16]
    """
    return _RECOVERED_NIGHTS << min(times_reopened, _MOST_DOUBLINGS)


def follow_up(
    settings: Settings,
    connection: Connection,
    judged: Sequence[Judged],
    champion: Version | None,
    *,
    as_of: datetime,
    now: datetime,
    dag_run_id: str | None = None,
) -> str | None:
    """Bring the incident of degradation up to date with the night's verdicts; return the event. The caller commits.

    The champion is judged by its own outcomes as soon as they suffice: the window of what was served still holds the
    errors of the versions before it, for which a retraining was made already (design section 4). The guide's rule has
    to hold for both: over the first few outcomes of a version it is chance.
    """
    own, served = _own(judged, champion), judged[0]
    at = Moment(as_of, now)
    if _is_degraded(served, own):
        blamed = champion.version if own is not None and champion is not None else _of_most(judged, champion)
        if champion is not None and blamed != champion.version and open_of_kind(connection, DEGRADED) is None:
            _logger.info("the errors are those of %s, and the champion has too few outcomes of its own", blamed)
            return None
        problem = _problem(settings, connection, judged, own or served, blamed, as_of, dag_run_id)
        return report_problem(connection, problem, at, cool_off=timedelta(days=settings.incident_cool_off_days))
    if own is not None and champion is not None and own.verdict.verdict == verdicts.HEALTHY:
        _recover(settings, connection, own, champion, at)
    return None


def _recover(settings: Settings, connection: Connection, own: Judged, champion: Version, at: Moment) -> None:
    """Resolve the incident, if any, once the champion was healthy for as many nights in a row as it takes."""
    present = open_of_kind(connection, DEGRADED)
    if present is None:
        return
    if not healthy_nights(connection, at.as_of, champion.version, nights=nights_to_recover(present.times_reopened)):
        return

    def recovered(incident: Incident) -> Message:
        return recovered_message(
            incident_id=incident.id,
            opened_as_of=incident.opened_as_of,
            as_of=at.as_of,
            times_reopened=incident.times_reopened,
            verdict=own.columns(settings.monitoring_window_days),
            version=champion.version,
            links=Links(settings.runbook_url, settings.airflow_url),
        )

    report_recovery(connection, DEGRADED, recovered, at, note=own.verdict.reason)


def _own(judged: Sequence[Judged], champion: Version | None) -> Judged | None:
    """The verdict on the champion's own outcomes, where they are enough to judge it by."""
    if champion is None:
        return None
    found = next((each for each in judged[1:] if each.rolling.scope == champion.version), None)
    enough = found is not None and found.verdict.verdict not in (verdicts.INSUFFICIENT_DATA, verdicts.ERROR)
    return found if enough else None


def _is_degraded(served: Judged, own: Judged | None) -> bool:
    suspected = served.verdict.verdict in verdicts.DEGRADED
    if own is None:
        return suspected
    return own.verdict.verdict == verdicts.CONFIRMED or (suspected and own.verdict.verdict == verdicts.SUSPECTED)


def _of_most(judged: Sequence[Judged], champion: Version | None) -> str | None:
    """The version of most outcomes of the window: whose errors they are while the champion has too few."""
    most = max(judged[1:], key=lambda each: each.rolling.n, default=None)
    if most is None or champion is None:
        return None if champion is None else champion.version
    return most.rolling.scope


def _problem(
    settings: Settings,
    connection: Connection,
    judged: Sequence[Judged],
    ruling: Judged,
    blamed: str | None,
    as_of: datetime,
    dag_run_id: str | None,
) -> Problem:
    served, verdict = judged[0], ruling.columns(settings.monitoring_window_days)
    is_own = ruling.rolling.scope != served.rolling.scope
    differs = (ruling.rolling.n, ruling.rolling.mae) != (served.rolling.n, served.rolling.mae)
    verdict["expected_mae"] = next((each.expected_mae for each in judged if each.rolling.scope == blamed), None)
    pages = verdict["verdict"] == verdicts.CONFIRMED or settings.page_rule == "guide"
    known = newest_of_kind(connection, DEGRADED)
    if known is not None and known.status != "open":
        cool_off = timedelta(days=settings.incident_cool_off_days)
        known = known if known.is_reopened_at(as_of, cool_off) else None
    links = Links(settings.runbook_url, settings.airflow_url)
    findings = Findings(
        verdict,
        as_of if known is None else known.opened_as_of,
        version=blamed or "unknown",
        window_days=settings.monitoring_window_days,
        baseline_ratio=settings.degraded_ratio,
        last_healthy=last_healthy(connection, as_of),
        all_served=(served.rolling.mae or 0.0, served.rolling.n) if is_own and differs else None,
        judged_before=was_judged(connection, as_of),
        back_since=None if known is None else _back_since(connection, known, as_of),
        slices=[each["sentence"] for each in ruling.worst_slices or []],
        moved=_moved(served.drift),
        report=None if blamed is None else f"studyml versions report {blamed}",
        run_id=dag_run_id,
        **_retraining(settings, connection, known, as_of),
    )
    return Problem(
        DEGRADED,
        PAGE if pages else TICKET,
        lambda incident_id: degraded_message(findings, links, incident_id=incident_id, pages=pages),
        model_version=blamed,
        figures={name: verdict[name] for name in _FIGURES},
    )


def _back_since(connection: Connection, known: Incident, as_of: datetime) -> datetime | None:
    """The night in which the problem came back, None where it was never over: a closed incident is reopened now."""
    if known.status != "open":
        return as_of
    return back_since(connection, known.id)


def _retraining(settings: Settings, connection: Connection, known: Incident | None, as_of: datetime) -> dict[str, Any]:
    """What was done about it, in words, and whether more is ahead; a message says by itself that one is due.

    With the version that waits for a person, unless what is due now may put it aside.
    """
    run = None if known is None else decided_for(connection, known.id)
    was_asked = known is not None and known.figures.get("asked") is not None
    not_yet = TO_APPROVE if settings.promotion == "approve" else NO_HELP_YET
    candidate = waiting(connection)
    answer = {"waiting": None if candidate is None else candidate.version}
    if run is None or run.decision in FAILED:
        stopped = breaker_open(newest_in_a_row(connection), settings.retraining_failures)
        too_few = too_few_since(settings, connection, as_of)
        if not stopped and too_few is None:
            return {"asks": "" if was_asked else not_yet}
        words = _STOPPED if stopped else f"a retraining for it waits: {too_few}"
        asks = not_yet if not stopped else "" if run is None else A_PERSON
        return {"retraining": words, "retraining_ahead": False, "asks": "" if was_asked else asks, **answer}
    came_to = aftermaths.aftermath(connection, run).word
    ahead = came_to in (aftermaths.ON_TRIAL, aftermaths.WAITING)
    words = {
        aftermaths.REJECTED: "its version was no better, and the next one is due with enough new labels",
        aftermaths.ON_TRIAL: f"{run.version} is tried beside the champion",
        aftermaths.WAITING: f"{run.version} waits for a person's approval",
        aftermaths.TRIED: f"the trial of {run.version} ended, and the next one is due with enough new labels",
        aftermaths.DECLINED: f"{run.version} was not approved, and the next one is due with enough new labels",
    }.get(came_to, f"it brought {run.version}, which was promoted")
    return {
        "retraining": f"a retraining in the night of {moment(run.as_of)}; {words}",
        "retraining_ahead": ahead,
        "asks": "" if was_asked else not_yet if ahead else A_PERSON,
        **answer,
    }


def _moved(drift: dict[str, Any] | None) -> list[str] | None:
    """Sentences about the features that moved most, and about the volume of sessions; None where it is not known."""
    if drift is None or "features" not in drift:
        return None
    features = [each["sentence"] for each in drift["features"] if each["moved"]]
    volume = [drift["volume"]["sentence"]] if drift["volume"]["moved"] else []
    return [*features[:_MOST_MOVED], *volume]
