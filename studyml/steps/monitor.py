"""Judge the served predictions of the last days, and open or resolve the incident that follows from it."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from studyml.database.connection import Connection, advisory_lock
from studyml.database.nights import is_replay
from studyml.database.source import count_dated
from studyml.errors import SourceError, StudymlError
from studyml.monitoring.degradation import RULES, Evidence, ExpectedError, weigh
from studyml.monitoring.degradation_query import relative_errors
from studyml.monitoring.ledger import count_outcomes
from studyml.monitoring.rolling import SERVED, coverage, rolling_errors
from studyml.monitoring.verdict import DEGRADED, ERROR, HEALTHY, Rule, Verdict, judge
from studyml.monitoring.verdicts import Judged, store_verdicts, stored_verdict
from studyml.registry.versions import Version, champion_at, find
from studyml.settings import Settings
from studyml.steps.check_drift import check_drift
from studyml.steps.follow_up import follow_up
from studyml.steps.label_coverage import label_coverage
from studyml.steps.opening import own_database, read_source
from studyml.steps.served_slices import worst_slices

_logger = logging.getLogger("studyml")
Found = TypeVar("Found")


def monitor(
    settings: Settings, *, as_of: datetime, now: datetime, dag_run_id: str | None = None, look: bool = False
) -> list[dict[str, Any]]:
    """Store and return the verdict of every scope, ``served`` first; hours, and the coverages as shares.

    A degraded verdict opens one incident with its message, in the same transaction; a healthy one resolves it. A replay
    stores the verdict only, and only where the night has none: what the study app has deleted since would change what
    explains it. A mere ``look`` changes nothing.
    """
    window = settings.monitoring_window_days
    with own_database(settings) as connection, advisory_lock(connection, "monitor"):
        champion = _judged_champion(connection, as_of)
        judged = _judge_scopes(settings, connection, champion, as_of)
        replay = is_replay(connection, as_of)
        if not (look or (replay and _was_judged(connection, as_of))):
            store_verdicts(connection, judged, as_of=as_of, now=now, window_days=window)
            if not replay:
                follow_up(settings, connection, judged, champion, as_of=as_of, now=now, dag_run_id=dag_run_id)
            connection.commit()
    results = [{"as_of": as_of.isoformat(), **each.columns(window)} for each in judged]
    _logger.info("%s: %s", results[0]["verdict"], results[0]["reason"])
    return results


def _was_judged(connection: Connection, as_of: datetime) -> bool:
    found = stored_verdict(connection, as_of)
    return found is not None and found["verdict"] != ERROR


def _judged_champion(connection: Connection, as_of: datetime) -> Version | None:
    """The champion before this night: a re-run judges the same predictions, not those of what it promoted since."""
    return champion_at(connection, as_of - timedelta(microseconds=1))


def _judge_scopes(
    settings: Settings, connection: Connection, champion: Version | None, as_of: datetime
) -> list[Judged]:
    rule = Rule(settings.baseline_mae, settings.degraded_ratio, settings.monitoring_min_outcomes)
    window = settings.monitoring_window_days
    start = as_of - timedelta(days=window)
    unknown: list[str] = []
    sessions = _from_source(
        "label coverage",
        lambda: read_source(settings, lambda s: count_dated(s, settings.source_schema, after=start, through=as_of)),
        unknown,
    )
    covered = coverage(count_outcomes(connection, after=start, as_of=as_of), sessions or 0)
    rolled = rolling_errors(connection, as_of=as_of, window_days=window)
    versions = {each.scope: find(connection, each.scope) for each in rolled if each.scope != SERVED}
    if champion is not None:
        versions[SERVED] = champion
    evidence = _evidence(connection, versions, as_of)
    judged = []
    for rolling in rolled:
        found = versions.get(rolling.scope)
        known = evidence.get(found.version) if found is not None else None
        verdict = judge(rolling, rule, known)
        explained: dict[str, Any] = {}
        if rolling.scope == SERVED:
            explained = _explained(settings, connection, champion, as_of, unknown)
        elif found == champion and verdict.verdict in DEGRADED:
            explained = {"worst_slices": _worst_slices(settings, connection, champion, as_of, unknown)}
        judged.append(
            Judged(
                rolling,
                _with_unknown(verdict, unknown),
                rule,
                evidence=known,
                expected_mae=None if found is None else found.metrics.get("mae"),
                coverage=covered,
                **explained,
            )
        )
    return judged


def _with_unknown(verdict: Verdict, unknown: list[str]) -> Verdict:
    """The verdict with what could not be checked: what then looks healthy is an error, what is degraded stays so."""
    if not unknown:
        return verdict
    word = ERROR if verdict.verdict == HEALTHY else verdict.verdict
    return replace(verdict, verdict=word, reason="; ".join([verdict.reason, *unknown]))


def _evidence(connection: Connection, versions: dict[str, Version], as_of: datetime) -> dict[str, Evidence]:
    """What speaks beyond chance about each version, from its own served outcomes."""
    expected = {each.version: ExpectedError.from_json(each.metrics.get("relative_error")) for each in versions.values()}
    caps = {version: error.cap for version, error in expected.items() if error is not None}
    observed = relative_errors(connection, as_of=as_of, caps=caps, days=[rule.days for rule in RULES])
    weighed = {
        version: weigh(error, observed[version])
        for version, error in expected.items()
        if error is not None and version in observed
    }
    return {version: found for version, found in weighed.items() if found is not None}


def _explained(
    settings: Settings, connection: Connection, champion: Version | None, as_of: datetime, unknown: list[str]
) -> dict[str, Any]:
    """What explains a verdict: labels that lack, features that moved, slices that are worst."""
    window = settings.monitoring_window_days
    dated = _from_source(
        "label coverage by night",
        lambda: label_coverage(settings, connection, as_of=as_of, window_days=window),
        unknown,
    )
    drift = None if champion is None else _drift(settings, connection, champion, as_of)
    return {
        "coverage_by_date": dated,
        "drift": drift,
        "estimated_mae": None if drift is None else drift.get("estimated_mae"),
        "worst_slices": _worst_slices(settings, connection, None, as_of, unknown),
    }


def _worst_slices(
    settings: Settings, connection: Connection, version: Version | None, as_of: datetime, unknown: list[str]
) -> list[dict[str, Any]]:
    window = settings.monitoring_window_days
    found = _from_source(
        "slices",
        lambda: worst_slices(settings, connection, version=version, as_of=as_of, window_days=window),
        unknown,
    )
    return found or []


def _from_source(what: str, look: Callable[[], Found], unknown: list[str]) -> Found | None:
    """What the study app's tables say; where they cannot be read the verdict says what is ``unknown``."""
    try:
        return look()
    except SourceError as error:
        _logger.warning("%s: unknown: %s", what, error)
        unknown.append(f"{what}: unknown, {str(error).rstrip('.')}")
        return None


def _drift(settings: Settings, connection: Connection, champion: Version, as_of: datetime) -> dict[str, Any] | None:
    """The drift of the night, or the sentence of why it could not be checked: it explains, and decides nothing."""
    try:
        return check_drift(settings, connection, version=champion, as_of=as_of)
    except StudymlError as error:
        _logger.warning("drift was not checked: %s", error)
        return {"error": str(error)}
