"""Build a candidate's folder aside: the chosen network, what scoring needs, and every error it is judged by."""

import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS
from studyml.errors import TrainingError
from studyml.evaluation.calibration import evenly
from studyml.evaluation.gates import Holdout
from studyml.evaluation.holdout import FILE, write_holdout
from studyml.evaluation.importance import first_layer_importance
from studyml.evaluation.intervals import fit_intervals
from studyml.evaluation.metrics import mean_absolute_error, root_mean_squared_error
from studyml.evaluation.naive import LOG_FEATURES, fit_naive
from studyml.features.outliers import outlying
from studyml.frame import Frame, to_datetime
from studyml.model.networks import first_kernel
from studyml.model.recipe import Recipe, portfolio
from studyml.model.saving import save
from studyml.model.sklearn_artifacts import save_sklearn
from studyml.monitoring.degradation import expected_error
from studyml.registry.bundle import write_json
from studyml.registry.kept_snapshots import keep_snapshot
from studyml.registry.retraining import RetrainingRun
from studyml.registry.store import begin_build, save_build
from studyml.scoring.predictor import Output, open_network, run_network
from studyml.settings import Settings
from studyml.steps.evaluation_report import CURVES, OUT_OF_FOLD, without_gaps
from studyml.steps.fit_portfolio import Entry, fit_portfolio
from studyml.steps.fit_recipe import Fitted, fit_recipe, limited, predict_hours
from studyml.steps.lineage import lineage
from studyml.steps.newest_level import Split, split_rows, with_newest_level
from studyml.steps.opening import artifact_store
from studyml.steps.reference import write_reference
from studyml.steps.training_data import LABEL, snapshot_columns

#: Rows at most that the random split is made of: it is a figure for people, and would cost a second training.
_COMPARED_ROWS = 20_000

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Built:
    """What was built: its rows, which of them [n] were held out, the chosen recipe, its metrics and its lineage."""

    frame: Frame
    held: Mask
    recipe: Recipe
    metrics: dict[str, Any]
    lineage: dict[str, Any]


def build_candidate(settings: Settings, run: RetrainingRun, version: str, frame: Frame, now: datetime) -> Built:
    """Train the portfolio on all but the newest labelled rows of ``frame`` and write the build of ``version``.

    Raises TrainingError where no recipe can be trained, OSError where the folder cannot be written.
    """
    store = artifact_store(settings)
    folder = begin_build(store, version)
    kept = Frame({name: frame[name] for name in snapshot_columns(frame)}, frame.vocabularies)
    snapshot = keep_snapshot(store, kept)
    split = split_rows(frame, holdout_fraction=settings.holdout_fraction, follow=settings.level_changes == "follow")
    held, levelled = split.held, with_newest_level(frame, split.changes)
    fitting, judging = levelled.take(~held), frame.take(held)
    recipes = portfolio(settings.architecture, settings.recipe, settings.hyperparameters, seed=settings.seed)
    started = time.monotonic()
    chosen, entries = fit_portfolio(fitting, recipes)
    seconds = time.monotonic() - started
    fitted = _trained(chosen)
    save(fitted.trained, folder)
    raw = run_network(open_network(folder / "model.onnx"), fitted.encoder.encode(judging))
    with np.errstate(invalid="ignore"):  # infinite less infinite is no number, and so no parity
        parity = float(np.max(np.abs(raw - predict_hours(fitted, judging))))
    holdout = with_naive(fitting, judging, limited(raw))
    metrics = _metrics(holdout) | {
        "export_parity_hours": parity if np.isfinite(parity) else None,
        "epochs": fitted.trained.epochs,
        "training_seconds": round(seconds, 1),
        "out_of_fold_mae": _finite(chosen.out_of_fold_mae),
        "random_split_mae": random_split_mae(levelled, chosen.recipe, settings.holdout_fraction),
        "outlying_labels": int(outlying(fitting[LABEL].astype(np.float64)).sum()),
        "snapshot_sha256": snapshot,
        "relative_error": _unseen_error(fitting, fitted, holdout),
    }
    _write_files(folder, fitting, fitted, holdout)
    portfolio_json = [each.to_json(chosen) for each in entries]
    metadata = _metadata(settings, run, version, frame, split, fitted, metrics, now) | {"portfolio": portfolio_json}
    write_json(folder / "metadata.json", metadata)
    save_build(store, version)
    return Built(frame, held, chosen.recipe, metrics, metadata["lineage"])


def _unseen_error(fitting: Frame, fitted: Fitted, holdout: Holdout) -> dict[str, float | int] | None:
    """The relative error on rows that were not learned from, out of fold and held out: what served ones are held to."""
    actual = np.concatenate([fitting[LABEL].astype(np.float64), holdout.actual])
    predicted = np.concatenate([limited(fitted.out_of_fold), holdout.predicted["network"]])
    students = np.concatenate([fitting["student_id"].astype(np.int64), holdout.student_id])
    dates = np.concatenate([fitting["session_date"].astype(np.int64), holdout.session_date])
    expected = expected_error(actual, predicted, students, dates)
    return None if expected is None else expected.to_json()


def _trained(entry: Entry) -> Fitted:
    if entry.fitted is None:
        raise AssertionError("the chosen entry of a portfolio is trained")
    return entry.fitted


def with_naive(fitting: Frame, judging: Frame, predicted: NDArray[np.float64]) -> Holdout:
    """The ``judging`` rows with the network's hours and those of the naive predictors fitted on ``fitting``."""
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


def output_rules(fitted: Fitted, hours: NDArray[np.float64], holdout: Holdout) -> Output:
    """Intervals from the out-of-fold errors, moved to how the network that will serve did on the newest rows."""
    newest = (holdout.actual, holdout.predicted["network"])
    return Output(fit_intervals(hours, fitted.out_of_fold, newest=newest))


def random_split_mae(frame: Frame, recipe: Recipe, fraction: float) -> float | None:
    """The guide's random 80/20 split, seed 42: reported beside the honest figure, never decided on (design 9.8).

    Of very many rows some, evenly over time, are enough for it. None where that network cannot be trained or does not
    converge.
    """
    from sklearn.model_selection import train_test_split

    frame = frame.take(evenly(len(frame), _COMPARED_ROWS))
    _, held_rows = train_test_split(np.arange(len(frame)), test_size=fraction, random_state=42)
    held = np.zeros(len(frame), bool)
    held[held_rows] = True
    if recipe.stop_patience is None:
        # Half the epochs give the same figure within its chance, and a retraining has to be quick.
        recipe = replace(recipe, epochs=max(1, recipe.epochs_at(int((~held).sum())) // 2))
    try:
        fitted = fit_recipe(frame.take(~held), recipe)
    except TrainingError:
        return None  # a figure for people is missing, and the trained network is none the worse
    predicted = limited(predict_hours(fitted, frame.take(held)))
    return _finite(mean_absolute_error(frame.take(held)[LABEL].astype(np.float64), predicted))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


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


def _write_files(folder: Path, fitting: Frame, fitted: Fitted, holdout: Holdout) -> None:
    write_holdout(folder / FILE, holdout)
    write_holdout(folder / OUT_OF_FOLD, _out_of_fold(fitting, fitted))
    write_json(folder / CURVES, without_gaps(fitted.curves))
    write_reference(folder, fitting, predicted=fitted.out_of_fold)
    encoder, inputs = fitted.encoder, fitted.encoder.inputs
    output = output_rules(fitted, fitting[LABEL].astype(np.float64), holdout)
    write_json(folder / "features.json", {"features": encoder.to_json(), "output": asdict(output)})
    save_sklearn(
        folder,
        names=[each.name for each in inputs],
        means=np.array([each.mean for each in inputs]),
        scales=np.array([each.scale for each in inputs]),
        rows=len(fitting),
        categories=encoder.categories,
    )


def _out_of_fold(fitting: Frame, fitted: Fitted) -> Holdout:
    """The fitting rows, each as predicted by what never saw its fold: the network's member and the naive predictors."""
    parts = []
    for fold in np.unique(fitted.folds):
        inside = fitted.folds == fold
        parts.append((inside, with_naive(fitting.take(~inside), fitting.take(inside), fitted.out_of_fold[inside])))
    whole = with_naive(fitting, fitting, fitted.out_of_fold)
    predicted = {name: hours.copy() for name, hours in whole.predicted.items()}
    for inside, part in parts:
        for name, hours in part.predicted.items():
            predicted[name][inside] = hours
    return Holdout(
        whole.session_id,
        whole.student_id,
        whole.session_date,
        whole.actual,
        {**predicted, "fold": fitted.folds.astype(np.float64)},
    )


def _metadata(
    settings: Settings,
    run: RetrainingRun,
    version: str,
    frame: Frame,
    split: Split,
    fitted: Fitted,
    metrics: dict[str, Any],
    now: datetime,
) -> dict[str, Any]:
    recipe, encoder = fitted.recipe, fitted.encoder
    kernel = first_kernel(fitted.trained.network)
    names = [each.name for each in encoder.inputs]
    made_of = lineage(settings, run, metrics["snapshot_sha256"])
    return {
        "version": version,
        "architecture": recipe.architecture,
        "recipe": recipe.name,
        "is_fallback": False,
        "mae": metrics.get("mae"),
        "rmse": metrics.get("rmse"),
        "training_samples": int((~split.held).sum()),
        "holdout_samples": int(split.held.sum()),
        "features": names,
        "features_dropped": dict(encoder.dropped),
        "products": {each.name: list(each.features) for each in encoder.inputs if each.factors},
        "first_layer_weights": None if kernel is None else without_gaps(first_layer_importance(kernel, names)),
        "baselines": {name: metrics[f"{name}_mae"] for name in ("median", "estimate", "log_linear")},
        "baseline_mae": settings.baseline_mae,
        "metrics": metrics,
        "hyperparameters": asdict(recipe),
        "seed": settings.seed,
        "libraries": made_of["libraries"],
        "lineage": made_of,
        "data_window": [to_datetime(int(frame["session_date"][row])).isoformat() for row in (0, -1)],
        "training_from": None if settings.training_from is None else settings.training_from.isoformat(),
        "level_changes": [each.to_json() for each in split.changes],
        "snapshot_sha256": metrics["snapshot_sha256"],
        "as_of": run.as_of.isoformat(),
        "trained_at": now.isoformat(),
    }
