"""Publish a judged candidate and promote it, or keep the champion; without one, publish the fallback."""

import logging
from datetime import datetime
from typing import Any

from studyml.database.connection import Connection, advisory_lock
from studyml.database.nights import is_replay
from studyml.errors import ArtifactError
from studyml.registry.retraining import CONSUMING, RetrainingRun, decide, failure_recorded, find_run
from studyml.registry.store import forget_build, publish, resume_build
from studyml.registry.versions import Version, champion, commit_artifact, find, promote, reject
from studyml.settings import Settings
from studyml.steps.evaluate_candidate import judge_candidate
from studyml.steps.fallback import build_fallback
from studyml.steps.opening import artifact_store, own_database

_logger = logging.getLogger("studyml")
ACTOR = "studyml"


def publish_version(settings: Settings, *, retraining_run_id: int, now: datetime) -> dict[str, Any]:
    """Decide the run: ``promoted``, ``rejected`` (the champion stays) or ``fallback``; return it with its reasons.

    One publisher at a time; where the champion changed since the candidate was judged, it is judged again. Run
    again after a crash it ends in the same decision. A run whose night has become a replay is ``abandoned``.
    """
    with (
        own_database(settings) as connection,
        advisory_lock(connection, f"retraining {retraining_run_id}"),
        advisory_lock(connection, "registry"),
    ):
        run = find_run(connection, retraining_run_id)
        if run.decision not in CONSUMING:
            with failure_recorded(connection, run.id, now):
                _decide(settings, connection, run, now)
            candidate, run = run.version, find_run(connection, retraining_run_id)
            _forget_builds(settings, {candidate, run.version})
    _logger.info("%s: %s", run.decision, "; ".join(run.reasons))
    promoted = run.decision in ("promoted", "fallback")
    return {"decision": run.decision, "version": run.version, "promoted": promoted, "reasons": run.reasons}


def _decide(settings: Settings, connection: Connection, run: RetrainingRun, now: datetime) -> None:
    if is_replay(connection, run.as_of):
        if run.version is not None:
            reject(connection, run.version)
        decide(connection, run.id, "abandoned", ["a newer night is finished, and a replay never promotes"], now)
        connection.commit()
        return
    present = champion(connection)
    candidate = None if run.version is None else find(connection, run.version)
    reasons = [f"no network is trained on fewer than {run.labels_needed} labels"]
    if candidate is not None and not candidate.is_fallback:
        gates = _gates(settings, connection, candidate, present)
        failed = [str(gate["reason"]) for gate in gates if not gate["passed"]]
        if not failed:
            passed = [str(gate["reason"]) for gate in gates]
            why = f"passed {len(gates)} gates; due because {run.note}"
            _promote(settings, connection, run, candidate.version, present, now, "promoted", why, passed)
            return
        _reject(settings, connection, candidate.version)
        reasons = failed
    if present is None:
        version, why = build_fallback(settings, connection, run, candidate, now)
        _promote(settings, connection, run, version, None, now, "fallback", why, [why, *reasons])
        return
    decide(connection, run.id, "rejected", [*reasons, f"{present.version} stays champion"], now)
    connection.commit()


def _gates(
    settings: Settings, connection: Connection, candidate: Version, present: Version | None
) -> list[dict[str, Any]]:
    judged_against = candidate.metrics.get("champion_version")
    if candidate.gates and judged_against == (present.version if present else None):
        return candidate.gates
    return [each.to_json() for each in judge_candidate(settings, connection, candidate, present)]


def _promote(
    settings: Settings,
    connection: Connection,
    run: RetrainingRun,
    version: str,
    present: Version | None,
    now: datetime,
    decision: str,
    why: str,
    reasons: list[str],
) -> None:
    _publish(settings, connection, version)
    replacing = None if present is None else present.version
    promote(connection, version, replacing=replacing, as_of=run.as_of, now=now, actor=ACTOR, reason=why)
    decide(connection, run.id, decision, reasons, now)
    connection.commit()


def _reject(settings: Settings, connection: Connection, version: str) -> None:
    if (resume_build(artifact_store(settings), version) / "metadata.json").is_file():
        _publish(settings, connection, version)
    reject(connection, version)


def _publish(settings: Settings, connection: Connection, version: str) -> None:
    uri, manifest_sha256 = publish(artifact_store(settings), version)
    commit_artifact(connection, version, manifest_sha256=manifest_sha256, artifact_uri=uri)


def _forget_builds(settings: Settings, versions: set[str | None]) -> None:
    """The run is decided whatever happens here; what stays is removed by the weekly upkeep."""
    try:
        for version in versions - {None}:
            forget_build(artifact_store(settings), str(version))
    except ArtifactError as error:
        _logger.warning("builds of this run are left for the upkeep: %s", error)
