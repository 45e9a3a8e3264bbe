"""Judge the served predictions of the last days, and open or resolve the incident that follows from it."""

import logging
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from studyml.alerting.incidents import DEGRADED, add_event, is_told, open_incident, open_of_kind, resolve
from studyml.alerting.message import Links, degraded_message
from studyml.database.connection import Connection, advisory_lock
from studyml.database.nights import is_replay
from studyml.database.source import count_dated
from studyml.monitoring.ledger import count_outcomes
from studyml.monitoring.rolling import (
    SERVED,
    Rolling,
    Rule,
    Verdict,
    coverage,
    forget_verdicts,
    judge,
    last_healthy,
    record_verdict,
    rolling_errors,
)
from studyml.registry.versions import Version, champion_at, find
from studyml.settings import Settings
from studyml.steps.opening import own_database, read_source

_logger = logging.getLogger("studyml")


def monitor(settings: Settings, *, as_of: datetime, now: datetime) -> list[dict[str, Any]]:
    """Store and return the verdict of every scope, ``served`` first; hours, and the coverages as shares.

    A degraded verdict on the served predictions opens one incident with its message, in the same transaction; a
    healthy one resolves it. A replay stores the verdict only.
    """
    window = settings.monitoring_window_days
    rule = Rule(settings.baseline_mae, settings.degraded_ratio, settings.monitoring_min_outcomes)
    start = as_of - timedelta(days=window)
    sessions = read_source(settings, lambda s: count_dated(s, settings.source_schema, after=start, through=as_of))
    with own_database(settings) as connection, advisory_lock(connection, "monitor"):
        champion = _judged_champion(connection, as_of)
        covered = coverage(count_outcomes(connection, after=start, as_of=as_of), sessions)
        forget_verdicts(connection, as_of)
        results = []
        for rolling in rolling_errors(connection, as_of=as_of, window_days=window):
            version = champion if rolling.scope == SERVED else find(connection, rolling.scope)
            expected = None if version is None else version.metrics.get("mae")
            verdict = judge(rolling, rule)
            record_verdict(
                connection,
                as_of=as_of,
                now=now,
                rolling=rolling,
                verdict=verdict,
                rule=rule,
                expected_mae=expected,
                coverage=covered,
                window_days=window,
            )
            results.append(_result(as_of, rolling, verdict, rule, expected, covered))
            if rolling.scope == SERVED and not is_replay(connection, as_of):
                _follow_up(connection, settings, as_of, now, results[0], champion)
        connection.commit()
    _logger.info("%s: %s", results[0]["verdict"], results[0]["reason"])
    return results


def _judged_champion(connection: Connection, as_of: datetime) -> Version | None:
    """The champion before this night: a re-run judges the same predictions, not those of what it promoted since."""
    return champion_at(connection, as_of - timedelta(microseconds=1))


def _result(
    as_of: datetime, rolling: Rolling, verdict: Verdict, rule: Rule, expected: float | None, covered: float | None
) -> dict[str, Any]:
    return {
        "as_of": as_of.isoformat(),
        "scope": rolling.scope,
        "rolling_mae": rolling.mae,
        "rolling_rmse": rolling.rmse,
        "n": rolling.n,
        "coverage": covered,
        "interval_80_coverage": rolling.interval_80_coverage,
        "interval_90_coverage": rolling.interval_90_coverage,
        "baseline_mae": rule.baseline_mae,
        "threshold": rule.threshold,
        "expected_mae": expected,
        **asdict(verdict),
    }


def _follow_up(
    connection: Connection,
    settings: Settings,
    as_of: datetime,
    now: datetime,
    result: dict[str, Any],
    version: Version | None,
) -> None:
    present = open_of_kind(connection, DEGRADED)
    if result["verdict"] == "healthy" and present is not None and present.updated_as_of <= as_of:
        resolve(connection, present.id, as_of=as_of, now=now, actor="studyml", note=result["reason"])
    if result["verdict"] != "degraded":
        return
    if present is None and is_told(connection, DEGRADED, as_of):
        _logger.info("this night's degradation was told before, and its incident is closed")
        return
    name = None if version is None else version.version
    last = last_healthy(connection, as_of)
    subject, body = degraded_message(
        result,
        as_of=as_of,
        version=name or "unknown",
        last_healthy=last,
        window_days=settings.monitoring_window_days,
        links=Links(settings.runbook_url, settings.airflow_url),
    )
    incident_id, is_new = open_incident(
        connection,
        kind=DEGRADED,
        severity="page",
        title=subject.removeprefix("studyml: "),
        model_version=name,
        figures={key: result[key] for key in ("rolling_mae", "rolling_rmse", "n", "threshold")},
        as_of=as_of,
        now=now,
    )
    if is_new:
        add_event(
            connection, incident_id, event="opened", as_of=as_of, now=now, actor="studyml", subject=subject, body=body
        )
