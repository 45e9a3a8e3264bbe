"""Judge the served predictions of the last days, and open or resolve the incident that follows from it."""

import logging
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from studyml.alerting.incidents import DEGRADED, add_event, open_incident, open_of_kind, resolve
from studyml.alerting.message import degraded_message
from studyml.database.connection import Connection, advisory_lock
from studyml.database.nights import is_replay
from studyml.database.source import count_dated
from studyml.monitoring.rolling import (
    SERVED,
    Rolling,
    Rule,
    Verdict,
    forget_verdicts,
    judge,
    label_coverage,
    record_verdict,
    rolling_errors,
)
from studyml.registry.versions import Version, champion_at
from studyml.settings import Settings
from studyml.steps.opening import own_database, read_source

_logger = logging.getLogger("studyml")


def monitor(settings: Settings, *, as_of: datetime, now: datetime) -> list[dict[str, Any]]:
    """Store and return the verdict of every scope, ``served`` first; hours, and coverage as a share.

    A degraded verdict on the served predictions opens one incident with its message, in the same transaction; a
    healthy one resolves it. A replay stores the verdict only.
    """
    window = settings.monitoring_window_days
    rule = Rule(settings.baseline_mae, settings.degraded_ratio, settings.monitoring_min_outcomes)
    start = as_of - timedelta(days=window)
    sessions = read_source(settings, lambda s: count_dated(s, settings.source_schema, after=start, through=as_of))
    with own_database(settings) as connection, advisory_lock(connection, "monitor"):
        version = champion_at(connection, as_of)
        expected = None if version is None else version.metrics.get("mae")
        coverage = label_coverage(connection, as_of=as_of, window_days=window, sessions=sessions)
        forget_verdicts(connection, as_of)
        results = []
        for rolling in rolling_errors(connection, as_of=as_of, window_days=window):
            verdict = judge(rolling, rule)
            record_verdict(
                connection,
                as_of=as_of,
                now=now,
                rolling=rolling,
                verdict=verdict,
                rule=rule,
                expected_mae=expected,
                coverage=coverage,
                window_days=window,
            )
            results.append(_result(as_of, rolling, verdict, rule, expected, coverage))
            if rolling.scope == SERVED and not is_replay(connection, as_of):
                _follow_up(connection, settings, as_of, now, rolling, verdict, rule, version)
        connection.commit()
    _logger.info("%s: %s", results[0]["verdict"], results[0]["reason"])
    return results


def _result(
    as_of: datetime, rolling: Rolling, verdict: Verdict, rule: Rule, expected: float | None, coverage: float | None
) -> dict[str, Any]:
    return {
        "as_of": as_of.isoformat(),
        "scope": rolling.scope,
        "rolling_mae": rolling.mae,
        "rolling_rmse": rolling.rmse,
        "n": rolling.n,
        "coverage": coverage,
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
    rolling: Rolling,
    verdict: Verdict,
    rule: Rule,
    version: Version | None,
) -> None:
    present = open_of_kind(connection, DEGRADED)
    if verdict.verdict == "healthy" and present is not None:
        resolve(connection, present.id, as_of=as_of, now=now, actor="studyml", note=verdict.reason)
    if verdict.verdict != "degraded" or rolling.mae is None or rolling.rmse is None:
        return
    name = "unknown" if version is None else version.version
    subject, body = degraded_message(
        as_of=as_of,
        since=as_of if present is None else present.opened_as_of,
        version=name,
        rolling_mae=rolling.mae,
        rolling_rmse=rolling.rmse,
        n=rolling.n,
        baseline_mae=rule.baseline_mae,
        threshold=rule.threshold,
        expected_mae=None if version is None else version.metrics.get("mae"),
        window_days=settings.monitoring_window_days,
        runbook_url=settings.runbook_url,
        airflow_url=settings.airflow_url,
    )
    incident_id, is_new = open_incident(
        connection,
        kind=DEGRADED,
        severity="page",
        title=subject.removeprefix("studyml: "),
        model_version=None if version is None else version.version,
        figures={"mae": rolling.mae, "rmse": rolling.rmse, "n": rolling.n, "threshold": rule.threshold},
        as_of=as_of,
        now=now,
    )
    if is_new:
        add_event(
            connection, incident_id, event="opened", as_of=as_of, now=now, actor="studyml", subject=subject, body=body
        )
