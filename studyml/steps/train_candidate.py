"""Train the network of a retraining run and build its version aside, with every error of its holdout."""

import logging
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml import __version__
from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS
from studyml.database.connection import Connection, advisory_lock
from studyml.database.quarantine import record_quarantined
from studyml.errors import ArtifactError, TrainingError
from studyml.evaluation.gates import Holdout
from studyml.evaluation.holdout import FILE, newest_rows, write_holdout
from studyml.evaluation.metrics import interval_ratios, mean_absolute_error, root_mean_squared_error
from studyml.evaluation.naive import LOG_FEATURES, fit_naive
from studyml.features.encoder import Encoder, fit_encoder
from studyml.frame import Frame, to_datetime
from studyml.model import network
from studyml.model.recipe import Recipe
from studyml.model.sklearn_artifacts import save_sklearn
from studyml.registry.bundle import new_build, write_json
from studyml.registry.retraining import CONSUMING, RetrainingRun, failure_recorded, find_run, set_version
from studyml.registry.snapshot import write_snapshot
from studyml.registry.versions import champion, find, record_training, reserve
from studyml.reporting.plots import plot_learning_curves, plot_predicted_actual, plot_residuals
from studyml.scoring.predictor import Output, open_network, run_network
from studyml.settings import Settings
from studyml.steps.opening import own_database
from studyml.steps.serving import open_version
from studyml.steps.training_data import LABEL, SNAPSHOT_COLUMNS, read_training_data

_logger = logging.getLogger("studyml")
INTERVAL_COVERAGE = 0.8
_LIBRARIES = ("tensorflow", "keras", "onnx", "onnxruntime", "scikit-learn", "numpy")
_TELL_SECONDS = 5.0


@dataclass(frozen=True)
class _Fitted:
    """A network, its encoder and its unclipped holdout predictions, by Keras and by the exported ONNX."""

    trained: network.Trained
    encoder: Encoder
    keras_hours: NDArray[np.float64]
    seconds: float


def train_candidate(settings: Settings, *, retraining_run_id: int, now: datetime) -> str | None:
    """Train and build the run's candidate; return its version, or None where labels are too few for a network.

    The candidate is judged by ``evaluate_candidate``; nothing serves it yet. Run again, it trains again under the
    same version. Raises ArtifactError where the champion that it would be held against is damaged.
    """
    with own_database(settings) as connection, advisory_lock(connection, f"retraining {retraining_run_id}"):
        run = find_run(connection, retraining_run_id)
        if run.decision in CONSUMING:
            return run.version
        with failure_recorded(connection, run.id, now):
            present = champion(connection)
            if present is not None:
                # What the candidate is to be held against must be whole: better known before a training than after.
                open_version(settings, present)
            return _train(settings, connection, run, now)


def _train(settings: Settings, connection: Connection, run: RetrainingRun, now: datetime) -> str | None:
    data = read_training_data(settings, connection, as_of=run.as_of, through_outcome_id=run.consumed_through or 0)
    record_quarantined(connection, data.refused, run.as_of)
    connection.commit()
    rows = len(data.frame)
    _logger.info("%d labelled sessions to learn from, %d refused", rows, len(data.refused))
    if rows < settings.retrain_min_labels:
        _logger.info("fewer than %d: no network is trained, the fallback will do", settings.retrain_min_labels)
        return None
    version = _reserve(settings, connection, run, now)
    connection.commit()  # no transaction stays open while a network trains
    try:
        _build(settings, connection, run, version, data.frame, now)
    except TrainingError as error:
        _logger.warning("no network: %s", error)
    except OSError as error:
        raise ArtifactError(
            f"version {version} cannot be built in {settings.artifact_root} ({error.strerror or error}): check"
            " permissions and free space."
        ) from error
    return version


def _reserve(settings: Settings, connection: Connection, run: RetrainingRun, now: datetime) -> str:
    if run.version is not None and find(connection, run.version).status == "candidate":
        return run.version
    version = reserve(
        connection,
        architecture=settings.architecture,
        recipe=settings.recipe,
        is_fallback=False,
        as_of=run.as_of,
        now=now,
        dag_run_id=run.dag_run_id,
        artifact_root=settings.artifact_root,
    )
    set_version(connection, run.id, version)
    return version


def _build(
    settings: Settings, connection: Connection, run: RetrainingRun, version: str, frame: Frame, now: datetime
) -> None:
    folder = new_build(settings.artifact_root, version)
    snapshot_frame = Frame({name: frame[name] for name in SNAPSHOT_COLUMNS}, frame.vocabularies)
    snapshot = write_snapshot(settings.artifact_root, snapshot_frame)
    held = newest_rows(frame["session_date"].astype(np.int64), frame["id"].astype(np.int64), settings.holdout_fraction)
    recipe = Recipe(settings.architecture, epochs=settings.epochs, batch_size=settings.batch_size, seed=settings.seed)
    _logger.info("training %s (%s) on %d sessions", recipe.architecture, settings.recipe, int((~held).sum()))
    fitted = _fit(frame, held, recipe)
    network.save(fitted.trained, folder)
    raw = run_network(open_network(folder / "model.onnx"), fitted.encoder.encode(frame.take(held)))
    with np.errstate(invalid="ignore"):  # infinite less infinite is no number, and so no parity
        parity = float(np.max(np.abs(raw - fitted.keras_hours)))
    holdout = _holdout(frame, held, _limited(raw))
    write_holdout(folder / FILE, holdout)
    metrics = _metrics(holdout) | {
        "export_parity_hours": parity if np.isfinite(parity) else None,
        "epochs": fitted.trained.epochs,
        "training_seconds": round(fitted.seconds, 1),
        "random_split_mae": _random_split_mae(frame, recipe, settings.holdout_fraction),
        "snapshot_sha256": snapshot,
    }
    _write_files(folder, held, fitted, holdout, metrics)
    write_json(
        folder / "metadata.json", _metadata(settings, run, version, frame, held, fitted.encoder, recipe, metrics, now)
    )
    _record(connection, version, frame, held, metrics)


def _fit(frame: Frame, held: NDArray[np.bool_], recipe: Recipe) -> _Fitted:
    fitting, judging = frame.take(~held), frame.take(held)
    encoder = fit_encoder(fitting)
    started = told = time.monotonic()

    def progress(epoch: int, epochs: int, validation_mae: float) -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL_SECONDS:
            told = time.monotonic()
            _logger.info("epoch %d of at most %d, validation MAE %.3f h", epoch, epochs, validation_mae)

    trained = network.train(encoder.encode(fitting), fitting[LABEL].astype(np.float64), recipe, progress)
    seconds = time.monotonic() - started
    return _Fitted(trained, encoder, network.predict(trained, encoder.encode(judging)), seconds)


def _limited(hours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hours within the contract's limits; what is not finite stays visibly so, and is not limited to a day."""
    return np.where(np.isfinite(hours), np.clip(hours, MINIMUM_HOURS, MAXIMUM_HOURS), np.nan)


def _random_split_mae(frame: Frame, recipe: Recipe, fraction: float) -> float | None:
    """The guide's random 80/20 split, seed 42: reported beside the honest figure, never decided on (design 9.8).

    None where that network does not converge.
    """
    from sklearn.model_selection import train_test_split

    _, held_rows = train_test_split(np.arange(len(frame)), test_size=fraction, random_state=42)
    held = np.zeros(len(frame), bool)
    held[held_rows] = True
    predicted = _limited(_fit(frame, held, recipe).keras_hours)
    mae = mean_absolute_error(frame.take(held)[LABEL].astype(np.float64), predicted)
    return mae if np.isfinite(mae) else None


def _holdout(frame: Frame, held: NDArray[np.bool_], predicted: NDArray[np.float64]) -> Holdout:
    fitting, judging = frame.take(~held), frame.take(held)
    naive = fit_naive(
        {name: fitting[name].astype(np.float64) for name in LOG_FEATURES}, fitting[LABEL].astype(np.float64)
    )
    others = naive.predict({name: judging[name].astype(np.float64) for name in LOG_FEATURES}, len(judging))
    others = {name: np.clip(hours, MINIMUM_HOURS, MAXIMUM_HOURS) for name, hours in others.items()}
    return Holdout(
        judging["id"].astype(np.int64),
        judging["student_id"].astype(np.int64),
        judging["session_date"].astype(np.int64),
        judging[LABEL].astype(np.float64),
        {"network": predicted, **others},
    )


def _metrics(holdout: Holdout) -> dict[str, Any]:
    actual, predicted = holdout.actual, holdout.predicted["network"]
    found: dict[str, Any] = {"holdout_rows": len(actual)}
    if np.isfinite(predicted).all():
        found["mae"] = mean_absolute_error(actual, predicted)
        found["rmse"] = root_mean_squared_error(actual, predicted)
    for name in ("median", "estimate", "log_linear"):
        found[f"{name}_mae"] = mean_absolute_error(actual, holdout.predicted[name])
    found["training_median_hours"] = float(holdout.predicted["median"][0])
    return found


def output_rules(holdout: Holdout, name: str) -> Output:
    """The output rules of a version whose holdout predictions are those of ``name``."""
    predicted = holdout.predicted[name]
    if not len(predicted) or not np.isfinite(predicted).all():
        return Output(None, None)
    lower, upper = interval_ratios(holdout.actual, predicted, INTERVAL_COVERAGE)
    return Output(lower, upper, INTERVAL_COVERAGE)


def _write_files(
    folder: Path,
    held: NDArray[np.bool_],
    fitted: _Fitted,
    holdout: Holdout,
    metrics: dict[str, Any],
) -> None:
    encoder, inputs = fitted.encoder, fitted.encoder.inputs
    features = {"features": encoder.to_json(), "output": asdict(output_rules(holdout, "network"))}
    write_json(folder / "features.json", features)
    save_sklearn(
        folder,
        names=[each.name for each in inputs],
        means=np.array([each.mean for each in inputs]),
        scales=np.array([each.scale for each in inputs]),
        rows=int((~held).sum()),
        categories=encoder.categories,
    )
    plot_learning_curves(folder / "learning_curves.png", fitted.trained.history)
    actual, predicted, mae = holdout.actual, holdout.predicted["network"], metrics.get("mae")
    plot_predicted_actual(folder / "predicted_actual.png", actual, predicted, mae)
    plot_residuals(folder / "residuals.png", actual, predicted, mae)


def _metadata(
    settings: Settings,
    run: RetrainingRun,
    version: str,
    frame: Frame,
    held: NDArray[np.bool_],
    encoder: Encoder,
    recipe: Recipe,
    metrics: dict[str, Any],
    now: datetime,
) -> dict[str, Any]:
    return {
        "version": version,
        "architecture": settings.architecture,
        "recipe": settings.recipe,
        "is_fallback": False,
        "mae": metrics.get("mae"),
        "rmse": metrics.get("rmse"),
        "training_samples": int((~held).sum()),
        "holdout_samples": int(held.sum()),
        "features": [each.name for each in encoder.inputs],
        "features_dropped": dict(encoder.dropped),
        "baselines": {name: metrics[f"{name}_mae"] for name in ("median", "estimate", "log_linear")},
        "metrics": metrics,
        "hyperparameters": asdict(recipe),
        "seed": settings.seed,
        "libraries": {"studyml": __version__, **{name: library_version(name) for name in _LIBRARIES}},
        "data_window": [to_datetime(int(frame["session_date"][row])).isoformat() for row in (0, -1)],
        "snapshot_sha256": metrics["snapshot_sha256"],
        "as_of": run.as_of.isoformat(),
        "trained_at": now.isoformat(),
    }


def _record(
    connection: Connection, version: str, frame: Frame, held: NDArray[np.bool_], metrics: dict[str, Any]
) -> None:
    dates = frame["session_date"][~held]
    record_training(
        connection,
        version,
        training_from=to_datetime(int(dates[0])),
        training_through=to_datetime(int(dates[-1])),
        training_rows=int((~held).sum()),
        holdout_rows=int(held.sum()),
        metrics=metrics,
    )
    connection.commit()
    mae = metrics.get("mae")
    _logger.info(
        "%s: MAE %s h on %d held-out sessions (median %.3f, estimate %.3f, log-linear %.3f)",
        version,
        "not finite" if mae is None else f"{mae:.3f}",
        metrics["holdout_rows"],
        metrics["median_mae"],
        metrics["estimate_mae"],
        metrics["log_linear_mae"],
    )
