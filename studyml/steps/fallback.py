"""The fallback: the better naive predictor as a version of its own, until a network has earned its place."""

from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS
from studyml.database.connection import Connection
from studyml.evaluation.gates import Holdout
from studyml.evaluation.holdout import FILE, read_holdout, write_holdout
from studyml.evaluation.intervals import fit_intervals
from studyml.evaluation.metrics import mean_absolute_error, root_mean_squared_error
from studyml.evaluation.naive import LOG_FEATURES, fit_naive
from studyml.features.definition import derive
from studyml.features.encoder import Encoder, Input
from studyml.frame import Frame
from studyml.model.naive_network import save_linear
from studyml.monitoring.degradation import expected_error
from studyml.registry.bundle import build_folder, load_json, write_json
from studyml.registry.kept_snapshots import load_snapshot
from studyml.registry.retraining import RetrainingRun, set_version
from studyml.registry.store import begin_build, is_taken, save_build
from studyml.registry.versions import Version, find, record_lineage, record_training, reserve
from studyml.scoring.predictor import Output
from studyml.settings import Settings
from studyml.steps.evaluation_report import write_evaluation
from studyml.steps.lineage import lineage
from studyml.steps.newest_level import changes_of, with_newest_level
from studyml.steps.opening import artifact_store
from studyml.steps.reference import write_reference
from studyml.steps.serving import fetch_version
from studyml.steps.training_data import LABEL, TrainingData, read_training_data

ARCHITECTURE = "naive"
ESTIMATE = "estimated_base_time"
#: No standardised estimate is ever clipped: the naive predictors are linear in hours.
_NO_CLIP = 1e6
_LIBRARIES = ("onnx", "numpy")


def build_fallback(
    settings: Settings, connection: Connection, run: RetrainingRun, candidate: Version | None, now: datetime
) -> tuple[str, str]:
    """Build the better of training median and topic estimate aside; return its version and why it was chosen.

    Judged on the failed candidate's holdout, else on all labels; without any label it is the topic's estimate,
    else WITHOUT_ANYTHING hours. The caller publishes and commits.
    """
    holdout, median, frame = _judged_on(settings, connection, run, candidate)
    errors, store = _errors(holdout), artifact_store(settings)
    best = min(errors, key=lambda name: errors[name]) if errors else "estimate"
    version = reserve(
        connection,
        architecture=ARCHITECTURE,
        recipe=best,
        is_fallback=True,
        as_of=run.as_of,
        now=now,
        dag_run_id=run.dag_run_id,
        is_taken=partial(is_taken, store),
    )
    set_version(connection, run.id, version)
    why = _words(best, errors, len(holdout.actual))
    learned_from = (candidate and candidate.training_rows) or len(holdout.actual)
    metadata = _write(settings, version, run, holdout, best, median, errors, learned_from, why, now)
    folder = build_folder(store.local, version)
    write_reference(folder, frame, predicted=_hours(frame, best, median))
    write_evaluation(folder, frame, metadata)
    save_build(store, version)
    record_training(
        connection,
        version,
        training_from=None if candidate is None else candidate.training_from,
        training_through=None if candidate is None else candidate.training_through,
        training_rows=learned_from,
        holdout_rows=len(holdout.actual),
        metrics=_metrics(holdout, best, errors),
    )
    record_lineage(connection, version, metadata["lineage"])
    return version, why


def _errors(holdout: Holdout) -> dict[str, float]:
    """MAE, hours, of each naive predictor; empty without rows."""
    if not len(holdout.actual):
        return {}
    return {name: mean_absolute_error(holdout.actual, holdout.predicted[name]) for name in ("median", "estimate")}


def _metrics(holdout: Holdout, best: str, errors: dict[str, float]) -> dict[str, Any]:
    metrics: dict[str, Any] = {
        "holdout_rows": len(holdout.actual),
        **{f"{name}_mae": value for name, value in errors.items()},
    }
    if not errors:
        return metrics
    predicted = holdout.predicted[best]
    expected = expected_error(holdout.actual, predicted, holdout.student_id, holdout.session_date)
    return metrics | {
        "mae": errors[best],
        "rmse": root_mean_squared_error(holdout.actual, predicted),
        "relative_error": None if expected is None else expected.to_json(),
    }


def _judged_on(
    settings: Settings, connection: Connection, run: RetrainingRun, candidate: Version | None
) -> tuple[Holdout, float, Frame]:
    """The rows to choose by, the training median in hours, and a frame with the rows' features."""
    # Found again: it was published as rejected since, unless no network could be trained.
    rejected = None if candidate is None else find(connection, candidate.version)
    if rejected is not None and rejected.manifest_sha256 is not None:
        folder = fetch_version(settings, rejected)
        frame = derive(load_snapshot(artifact_store(settings), rejected.metrics["snapshot_sha256"]))
        frame = with_newest_level(frame, changes_of(load_json(folder / "metadata.json")))
        return read_holdout(folder / FILE), float(rejected.metrics["training_median_hours"]), frame
    through = run.consumed_through or 0
    settings = settings.model_copy(update={"training_from": None})  # for a median every session is better than none
    return _all_rows(
        read_training_data(settings, connection, as_of=run.as_of, through_outcome_id=through, history=False)
    )


def _all_rows(data: TrainingData) -> tuple[Holdout, float, Frame]:
    frame = data.frame
    features: dict[str, NDArray[np.float64]] = {name: frame[name].astype(np.float64) for name in LOG_FEATURES}
    hours = frame[LABEL].astype(np.float64)
    naive = fit_naive(features, hours)
    predicted = {
        name: np.clip(each, MINIMUM_HOURS, MAXIMUM_HOURS) for name, each in naive.predict(features, len(hours)).items()
    }
    ids, students, dates = (frame[name].astype(np.int64) for name in ("id", "student_id", "session_date"))
    return Holdout(ids, students, dates, hours, predicted), naive.median, frame


def _hours(frame: Frame, best: str, median: float) -> NDArray[np.float64]:
    """What the fallback says of each row [n]."""
    estimates = frame[ESTIMATE].astype(np.float64)
    known = np.isfinite(estimates) & (best == "estimate")
    return np.clip(np.where(known, estimates, median), MINIMUM_HOURS, MAXIMUM_HOURS)


def _words(best: str, errors: dict[str, float], rows: int) -> str:
    name = {"median": "the training median", "estimate": "the topic's estimated_base_time"}[best]
    if not errors:
        return f"fallback: {name}, since there is no label to choose by"
    shown = ", ".join(f"{each} {value:.3f} h" for each, value in errors.items())
    return f"fallback: {name} (MAE on {rows} sessions: {shown})"


def _write(
    settings: Settings,
    version: str,
    run: RetrainingRun,
    holdout: Holdout,
    best: str,
    median: float,
    errors: dict[str, float],
    learned_from: int,
    why: str,
    now: datetime,
) -> dict[str, Any]:
    """Write what scoring needs into the build of ``version``; return its metadata."""
    folder = begin_build(artifact_store(settings), version)
    encoder = Encoder((Input(ESTIMATE, "number", 0.0, 1.0, fill=median),), {}, {}, _NO_CLIP)
    save_linear(folder, [1.0 if best == "estimate" else 0.0], 0.0 if best == "estimate" else median)
    output = Output(fit_intervals(holdout.actual, holdout.predicted[best]))
    write_json(folder / "features.json", {"features": encoder.to_json(), "output": asdict(output)})
    write_holdout(folder / FILE, holdout)
    made_of = lineage(settings, run, None, _LIBRARIES)
    metadata = {
        "version": version,
        "architecture": ARCHITECTURE,
        "recipe": best,
        "is_fallback": True,
        "mae": errors.get(best),
        "training_samples": learned_from,
        "holdout_samples": len(holdout.actual),
        "features": [ESTIMATE],
        "baselines": errors,
        "why": why,
        "libraries": made_of["libraries"],
        "lineage": made_of,
        "as_of": run.as_of.isoformat(),
        "trained_at": now.isoformat(),
    }
    write_json(folder / "metadata.json", metadata)
    return metadata
