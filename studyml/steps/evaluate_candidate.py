"""Hold a candidate against the naive predictors and the champion, on the same holdout rows."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS
from studyml.database.connection import Connection, advisory_lock
from studyml.errors import RegistryError
from studyml.evaluation.gates import GateResult, Holdout, apply_gates, passed
from studyml.evaluation.holdout import FILE, read_holdout, read_session_ids, write_holdout
from studyml.evaluation.metrics import mean_absolute_error
from studyml.evaluation.serving_gates import SCHEMA
from studyml.features.definition import derive
from studyml.frame import Frame
from studyml.registry.bundle import load_json, write_json
from studyml.registry.kept_snapshots import load_snapshot
from studyml.registry.retraining import CONSUMING, failure_recorded, find_run
from studyml.registry.store import resume_build, save_build
from studyml.registry.versions import Version, champion, find, record_gates, record_training
from studyml.settings import Settings
from studyml.steps.describe_candidate import describe_candidate
from studyml.steps.evaluation_report import OUT_OF_FOLD
from studyml.steps.judge_serving import judge_serving
from studyml.steps.opening import artifact_store, own_database
from studyml.steps.serving import fetch_version, open_version

_logger = logging.getLogger("studyml")


def evaluate_candidate(settings: Settings, *, retraining_run_id: int) -> bool:
    """Apply the gates to the run's candidate and store every result; return whether it passed.

    Raises ArtifactError where the champion it is held against is damaged, RegistryError where the rows are not enough
    for it: then the run is failed, not decided.
    """
    with own_database(settings) as connection, advisory_lock(connection, f"retraining {retraining_run_id}"):
        run = find_run(connection, retraining_run_id)
        if run.decision in CONSUMING:
            return run.decision in ("promoted", "challenger", "awaiting_approval")
        if run.version is None:
            _logger.info("there is no network to judge")
            return False
        with failure_recorded(connection, run.id, None):
            results = judge_candidate(settings, connection, find(connection, run.version), champion(connection))
            connection.commit()
    for each in results:
        _logger.info("%s %s", "passed:" if each.passed else "FAILED:", each.reason)
    return passed(results)


def judge_candidate(
    settings: Settings, connection: Connection, candidate: Version, present: Version | None
) -> list[GateResult]:
    """Apply the gates against the ``present`` champion and write the results beside the build. The caller commits."""
    store = artifact_store(settings)
    folder = resume_build(store, candidate.version)
    if not (folder / "metadata.json").is_file():
        results = [GateResult("trained", False, "no network could be trained on these rows")]
        record_gates(connection, candidate.version, [each.to_json() for each in results])
        return results
    judgement = _judge(settings, folder, present)
    results, holdout = judgement.results, judgement.holdout
    write_holdout(folder / FILE, holdout)
    gates = [each.to_json() for each in results]
    metadata = load_json(folder / "metadata.json") | {"metrics": judgement.metrics, "gates": gates}
    if all(each.passed for each in results if each.gate == SCHEMA):
        # What cannot be encoded cannot be explained either.
        metadata = describe_candidate(folder, judgement.frame, holdout, metadata)
    write_json(folder / "metadata.json", metadata)
    save_build(store, candidate.version)
    _store(connection, candidate, judgement)
    return results


def judge_published(
    settings: Settings, connection: Connection, version: Version, present: Version | None
) -> list[GateResult]:
    """Apply the gates to a published version against another champion; its files stay what they are.

    The registry has the results, the evaluation in the folder is of the champion at its time. The caller commits.
    Raises ArtifactError where the version is damaged.
    """
    judgement = _judge(settings, fetch_version(settings, version), present)
    _store(connection, version, judgement)
    return judgement.results


@dataclass(frozen=True)
class _Judgement:
    """The gates' results, with the rows and the metrics that they are of."""

    frame: Frame
    holdout: Holdout
    metrics: dict[str, Any]
    results: list[GateResult]


def _judge(settings: Settings, folder: Path, present: Version | None) -> _Judgement:
    """Apply every gate to the files in ``folder``, which stay as they are."""
    holdout = _without_champion(read_holdout(folder / FILE))
    stored = load_json(folder / "metadata.json")["metrics"]
    metrics = {name: value for name, value in stored.items() if not name.startswith("champion")}
    if present is not None:
        hours = _champion_hours(settings, present, holdout, metrics["snapshot_sha256"])
        holdout = replace(holdout, predicted={**holdout.predicted, "champion": hours})
        metrics |= {"champion_version": present.version}
        if not np.isnan(hours).any():  # else it is on other rows than the candidate's, and no figure to hold beside it
            metrics |= {"champion_mae": mean_absolute_error(holdout.actual, hours)}
    parity = metrics.get("export_parity_hours")
    results = apply_gates(holdout, parity_hours=np.inf if parity is None else parity, seed=settings.seed)
    frame = derive(load_snapshot(artifact_store(settings), metrics["snapshot_sha256"]))
    if np.isfinite(holdout.predicted["network"]).all() and len(holdout.actual):
        results += judge_serving(folder, frame, holdout)
    return _Judgement(frame, holdout, metrics, results)


def _without_champion(holdout: Holdout) -> Holdout:
    return replace(holdout, predicted={name: hours for name, hours in holdout.predicted.items() if name != "champion"})


def _champion_hours(settings: Settings, present: Version, holdout: Holdout, snapshot: str) -> np.ndarray[Any, Any]:
    """The champion's hours on the holdout rows, from the same snapshot and through the same path as scoring.

    NaN for those that it learned from: it may have been trained on newer rows than the candidate, as with
    ``training_from`` or another ``holdout_fraction``.
    """
    frame = derive(load_snapshot(artifact_store(settings), snapshot))
    order = np.argsort(frame["id"])
    rows = order[np.searchsorted(frame["id"], holdout.session_id, sorter=order)]
    model = open_version(settings, present)
    if not model.encoder.features <= set(frame.columns):
        # One that reads sequences was promoted by hand after a training without them had read its rows.
        raise RegistryError(
            f"{present.version} became champion while this candidate trained, and reads what its rows do not hold:"
            " retrain with --force."
        )
    hours = model.predict(frame.take(rows)).hours
    learned = np.isin(holdout.session_id, _learned_from(settings, present))
    return np.where(learned, np.nan, np.clip(hours, MINIMUM_HOURS, MAXIMUM_HOURS))


def _learned_from(settings: Settings, version: Version) -> NDArray[np.int64]:
    """The sessions that a network learned from; none of a fallback, which has nothing to fit them with."""
    path = fetch_version(settings, version) / OUT_OF_FOLD
    return read_session_ids(path) if path.is_file() else np.zeros(0, np.int64)


def _store(connection: Connection, candidate: Version, judgement: _Judgement) -> None:
    record_training(
        connection,
        candidate.version,
        training_from=candidate.training_from,
        training_through=candidate.training_through,
        training_rows=candidate.training_rows or 0,
        holdout_rows=candidate.holdout_rows or 0,
        metrics=judgement.metrics,
    )
    record_gates(connection, candidate.version, [each.to_json() for each in judgement.results])
