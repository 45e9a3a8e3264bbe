"""Publish a judged candidate, and promote it, try it, let it wait, or reject it; without a champion, a fallback."""

import logging
from datetime import datetime
from typing import Any

from studyml.database.connection import Connection, advisory_lock
from studyml.database.nights import is_replay
from studyml.errors import ArtifactError, ChampionChangedError
from studyml.registry.approvals import await_approval, note_answer, waiting
from studyml.registry.deployments import quarantined_twin
from studyml.registry.retraining import CONSUMING, RetrainingRun, decide, failure_recorded, find_run, set_version
from studyml.registry.store import forget_build, publish, resume_build
from studyml.registry.trials import begin_trial, challenger, end_trial
from studyml.registry.versions import Version, champion, commit_artifact, find, promote, reject
from studyml.settings import Settings
from studyml.steps.evaluate_candidate import judge_candidate
from studyml.steps.fallback import build_fallback
from studyml.steps.opening import artifact_store, own_database

_logger = logging.getLogger("studyml")
ACTOR = "studyml"
#: So often a decision is made again where the champion changes under it.
_TRIES = 3


def publish_version(settings: Settings, *, retraining_run_id: int, now: datetime) -> dict[str, Any]:
    """Decide the run; return the decision, the version it is about, its reasons, and the ``champion`` from then on.

    A candidate that failed is ``rejected`` (the champion stays, or a ``fallback`` serves). One that passed is
    ``promoted``, becomes ``challenger`` or is ``awaiting_approval``, by ``settings.promotion`` (decision 0007).
    ``waiting``: the version that a person is to be asked about. ``promoted``: whether the champion is a new one.

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
                _decide_in_the_end(settings, connection, run, now)
            candidate, run = run.version, find_run(connection, retraining_run_id)
            _forget_builds(settings, {candidate, run.version})
        present = champion(connection)
    _logger.info("%s: %s", run.decision, "; ".join(run.reasons))
    # A candidate that waits without a champion has brought a fallback in the same run.
    meanwhile = present is not None and present.is_fallback and present.as_of == run.as_of
    return {
        "decision": run.decision,
        "version": run.version,
        "promoted": run.decision in ("promoted", "fallback") or (run.decision == "awaiting_approval" and meanwhile),
        "reasons": run.reasons,
        "champion": None if present is None else present.version,
        "waiting": run.version if run.decision == "awaiting_approval" else None,
    }


def _decide_in_the_end(settings: Settings, connection: Connection, run: RetrainingRun, now: datetime) -> None:
    """Decide; where a person, who waits for no training, changed the champion meanwhile, judge it against that one."""
    for _ in range(_TRIES - 1):
        try:
            return _decide(settings, connection, run, now)
        except ChampionChangedError as error:
            _logger.info("%s", error)
            connection.rollback()
    return _decide(settings, connection, run, now)


def _decide(settings: Settings, connection: Connection, run: RetrainingRun, now: datetime) -> None:
    if is_replay(connection, run.as_of):
        if run.version is not None:
            reject(connection, run.version)
        decide(connection, run.id, "abandoned", ["a newer night is finished, and a replay never promotes"], now)
        connection.commit()
        return
    present = champion(connection)
    candidate = None if run.version is None else find(connection, run.version)
    since = "" if settings.training_from is None else f" of sessions since {settings.training_from}"
    reasons = [f"no network is trained on fewer than {run.labels_needed} labels{since}"]
    if candidate is not None and not candidate.is_fallback:
        gates = _gates(settings, connection, candidate, present)
        failed = [str(gate["reason"]) for gate in gates if not gate["passed"]]
        twin = quarantined_twin(connection, candidate.version)
        if twin is not None:
            failed.append(f"it is the same network as {twin}, which was taken back")
        if not failed:
            _passed(settings, connection, run, candidate, present, [str(gate["reason"]) for gate in gates], now)
            connection.commit()
            return
        _reject(settings, connection, candidate.version)
        reasons = failed
    if present is None:
        why = _fall_back(settings, connection, run, candidate, now)
        decide(connection, run.id, "fallback", [why, *reasons], now)
    else:
        decide(connection, run.id, "rejected", [*reasons, f"{present.version} stays champion"], now)
    connection.commit()


def _passed(
    settings: Settings,
    connection: Connection,
    run: RetrainingRun,
    candidate: Version,
    present: Version | None,
    reasons: list[str],
    now: datetime,
) -> None:
    """What becomes of a candidate that passed every gate; the caller commits."""
    version = candidate.version
    why = f"passed {len(reasons)} gates; due because {run.note}"
    _publish(settings, connection, version)
    if settings.promotion == "approve":
        older = waiting(connection)
        if older is not None:
            reject(connection, older.version)
            note_answer(connection, older.version, f"{version}, newer and past the gates, took its place")
            reasons = [*reasons, f"{older.version}, which waited, gives way to this newer one"]
        await_approval(connection, version)
        if present is None:
            reasons = [
                *reasons,
                f"{_fall_back(settings, connection, run, candidate, now)}, until {version} is approved",
            ]
            set_version(connection, run.id, version)
        decide(connection, run.id, "awaiting_approval", [*reasons, f"{version} waits for a person's approval"], now)
    elif settings.promotion == "challenger" and present is not None and not present.is_fallback:
        older = challenger(connection)
        if older is not None:
            given = f"{version}, newer and past the gates, is tried in its place"
            end_trial(connection, older.version, as_of=run.as_of, now=now, actor=ACTOR, reason=given)
            reasons = [*reasons, f"{older.version}, which was on trial, gives way to this newer one"]
        begin_trial(connection, version, beside=present.version, as_of=run.as_of, now=now, actor=ACTOR, reason=why)
        decide(connection, run.id, "challenger", [*reasons, f"it is tried beside {present.version}"], now)
    else:
        replacing = None if present is None else present.version
        promote(connection, version, replacing=replacing, as_of=run.as_of, now=now, actor=ACTOR, reason=why)
        decide(connection, run.id, "promoted", reasons, now)


def _fall_back(
    settings: Settings, connection: Connection, run: RetrainingRun, candidate: Version | None, now: datetime
) -> str:
    """Make a naive predictor the first champion; return why it is the better one. The caller commits."""
    version, why = build_fallback(settings, connection, run, candidate, now)
    _publish(settings, connection, version)
    promote(connection, version, replacing=None, as_of=run.as_of, now=now, actor=ACTOR, reason=why)
    return why


def _gates(
    settings: Settings, connection: Connection, candidate: Version, present: Version | None
) -> list[dict[str, Any]]:
    judged_against = candidate.metrics.get("champion_version")
    if candidate.gates and judged_against == (present.version if present else None):
        return candidate.gates
    return [each.to_json() for each in judge_candidate(settings, connection, candidate, present)]


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
