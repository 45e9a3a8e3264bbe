"""A version's folder as a training leaves it, in the real formats, without TensorFlow: log-linear predictions."""

from pathlib import Path
from typing import Any

import numpy as np

from studyml.evaluation.folds import grouped_folds
from studyml.evaluation.gates import Holdout, apply_gates
from studyml.evaluation.holdout import FILE, newest_rows, write_holdout
from studyml.evaluation.naive import LOG_FEATURES, NaivePredictors, fit_naive
from studyml.features.definition import derive
from studyml.frame import Frame
from studyml.registry.bundle import write_json
from tests.features.frames import simulated_log

NASTY = "<script>alert('$x^{')</script> & co"


def history_counts(frame: Frame) -> Frame:
    """The frame with how often each student and topic occurred before: what ``with_history`` calls their count."""
    columns = {}
    for name in ("student", "topic"):
        ids = frame[f"{name}_id"]
        order = np.argsort(ids, kind="stable")
        first = np.searchsorted(ids[order], ids[order])
        seen = np.empty(len(ids))
        seen[order] = np.arange(len(ids)) - first
        columns[f"{name}_history_count"] = np.log1p(np.maximum(seen - 2, 0))
    return frame.with_columns(**columns)


def log_frame(sessions: int, *, nasty: bool = False) -> Frame:
    """The simulated log with derived features and histories; ``nasty`` names a subject as an attacker would."""
    frame = history_counts(derive(simulated_log(sessions=sessions)))
    if not nasty:
        return frame
    subjects = (NASTY, *frame.vocabularies["subject"][1:])
    return Frame(frame.columns, {**frame.vocabularies, "subject": subjects})


def hours_of(naive: NaivePredictors, frame: Frame) -> dict[str, Any]:
    return naive.predict({name: frame[name].astype(np.float64) for name in LOG_FEATURES}, len(frame))


def fitted(frame: Frame) -> NaivePredictors:
    features = {name: frame[name].astype(np.float64) for name in LOG_FEATURES}
    return fit_naive(features, frame["actual_duration"].astype(np.float64))


def rows_of(frame: Frame, predicted: dict[str, Any]) -> Holdout:
    ids = [frame[name].astype(np.int64) for name in ("id", "student_id", "session_date")]
    return Holdout(*ids, frame["actual_duration"].astype(np.float64), predicted)


def curves_of(seed: int = 0) -> dict[str, Any]:
    """Curves of five members in hours, each best at another epoch."""
    random = np.random.default_rng(seed)
    members = []
    for number in range(5):
        epochs = np.arange(1, 41)
        mae = 0.9 + 1.4 * np.exp(-epochs / 8) + random.normal(0, 0.02, 40)
        validation = mae + 0.08 + 0.0006 * np.maximum(epochs - 20, 0) ** 1.5
        members.append(
            {
                "member": f"fold {number + 1}",
                "loss": (mae**2).tolist(),
                "val_loss": (validation**2).tolist(),
                "mae": mae.tolist(),
                "val_mae": validation.tolist(),
                "best_epoch": int(np.argmin(validation)) + 1,
            }
        )
    return {"members": members, "learning_rate": [1e-3] * 25 + [5e-4] * 10 + [2.5e-4] * 5}


def build_folder(
    folder: Path, *, sessions: int = 600, nasty: bool = False
) -> tuple[Frame, dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """Write holdout.csv, out_of_fold.csv and learning_curves.json; return frame, metadata, importance, diagnosis."""
    frame = log_frame(sessions, nasty=nasty)
    held = newest_rows(frame["session_date"].astype(np.int64), frame["id"].astype(np.int64), 0.2)
    fitting, judging = frame.take(~held), frame.take(held)
    hours = hours_of(fitted(fitting), judging)
    holdout = rows_of(judging, {"network": hours["log_linear"], **hours, "champion": hours["log_linear"] * 1.05})
    write_holdout(folder / FILE, holdout)
    ids, dates = fitting["student_id"].astype(np.int64), fitting["session_date"].astype(np.int64)
    folds = grouped_folds(ids, dates, folds=5, seed=1)
    outside = {name: np.zeros(len(fitting)) for name in ("median", "estimate", "log_linear")}
    for fold in range(5):
        for name, values in hours_of(fitted(fitting.take(folds != fold)), fitting.take(folds == fold)).items():
            outside[name][folds == fold] = values
    out_of_fold = {"network": outside["log_linear"], "fold": folds.astype(np.float64), **outside}
    write_holdout(folder / "out_of_fold.csv", rows_of(fitting, out_of_fold))
    write_json(folder / "learning_curves.json", curves_of())
    return frame, metadata_of(holdout, len(fitting)), importance_of(frame), DIAGNOSIS


def metadata_of(holdout: Holdout, training_samples: int) -> dict[str, Any]:
    mae = {name: float(np.abs(holdout.actual - each).mean()) for name, each in holdout.predicted.items()}
    return {
        "version": "v_20260301_013000",
        "architecture": "mlp",
        "recipe": "selected",
        "is_fallback": False,
        "mae": mae["network"],
        "rmse": float(np.sqrt(np.square(holdout.actual - holdout.predicted["network"]).mean())),
        "training_samples": training_samples,
        "holdout_samples": len(holdout.actual),
        "features": ["age", "subject=Physics"],
        "features_dropped": {"breaks_taken": "never known before a session"},
        "baselines": {name: mae[name] for name in ("median", "estimate", "log_linear")},
        "metrics": {"champion_mae": mae["champion"], "champion_version": "v_20260222_010000"},
        "gates": [each.to_json() for each in apply_gates(holdout, parity_hours=1e-7, seed=1)],
        "portfolio": [
            {
                "architecture": "mlp",
                "recipe": recipe,
                "out_of_fold_mae": mae["network"] * factor,
                "recent_out_of_fold_mae": mae["network"] * factor,
                "chosen": recipe == "selected",
                "seconds": 4.2,
            }
            for recipe, factor in (("guide", 1.12), ("selected", 1.0), ("history", 1.03))
        ],
        "data_window": ["2025-12-01T09:00:00+00:00", "2026-02-28T19:00:00+00:00"],
        "as_of": "2026-03-01T00:00:00+00:00",
        "trained_at": "2026-03-01T01:30:00+00:00",
    }


def importance_of(frame: Frame) -> dict[str, Any]:
    names = ["estimated_base_time", "avg_focus_duration", "difficulty_level", "subject", "age", "energy_level"]
    values = [0.9, 0.7, 0.3, 0.02, 0.01, -0.01]
    subject = frame.vocabularies["subject"][0]
    return {
        "permutation": [
            {"feature": name, "mean": value, "std": 0.03} for name, value in zip(names, values, strict=True)
        ],
        "shap": [{"feature": name, "mean_absolute": abs(value)} for name, value in zip(names, values, strict=True)],
        "weights": [{"input": f"subject={subject}", "value": 0.2}, {"input": "age", "value": 0.1}],
    }


DIAGNOSIS = [
    {
        "kind": "overfitting",
        "severity": "warning",
        "sentence": "After epoch 20 the validation error rose by 12 % while the training error still fell.",
        "remedies": ["Raise dropout to 0.3 (STUDYML_HYPERPARAMETERS).", "Collect more sessions."],
    }
]
