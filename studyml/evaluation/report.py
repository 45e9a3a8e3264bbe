"""The evaluation of one version as one document: what ``evaluation.json`` holds and ``evaluation.html`` shows.

Pure: values in, a JSON document out. Errors are in hours; a residual is actual less predicted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.evaluation.calibration import calibrate
from studyml.evaluation.gates import Holdout
from studyml.evaluation.metrics import mean_absolute_error, root_mean_squared_error
from studyml.evaluation.slices import NAIVE, dimensions, slice_errors
from studyml.evaluation.spread import Resampling, resampling, spread, standard_error
from studyml.evaluation.words import add_words
from studyml.frame import Frame

Floats = NDArray[np.float64]

FORMAT = 1
#: Drawn once for every report, so that judging again says the same.
SEED = 42
BINS = 24
PARTS = 10
_SAID = (
    *("version", "architecture", "recipe", "is_fallback", "trained_at", "as_of", "training_samples", "data_window"),
    *("training_from", "level_changes"),
)


@dataclass(frozen=True)
class Evidence:
    """All that is known of a version: its metadata, its judged rows, and what its training left, None where absent.

    ``features`` are those of the holdout rows in the same order; ``out_of_fold`` has the column ``fold`` among its
    predictors; ``curves`` is ``learning_curves.json``.
    """

    metadata: Mapping[str, Any]
    holdout: Holdout
    features: Frame | None = None
    out_of_fold: Holdout | None = None
    curves: Mapping[str, Any] | None = None
    importance: Mapping[str, Any] | None = None
    diagnosis: Sequence[Mapping[str, Any]] | None = None


def predictor_of(metadata: Mapping[str, Any]) -> str:
    """The column of ``holdout.csv`` that holds the version's own hours: a fallback is one of the naive ones."""
    return str(metadata["recipe"]) if metadata["is_fallback"] else "network"


def evaluate(evidence: Evidence) -> dict[str, Any]:
    """The document; parts that these files do not allow are None, each with a sentence in ``missing``."""
    metadata, holdout = evidence.metadata, evidence.holdout
    name = predictor_of(metadata)
    judged = bool(len(holdout.actual)) and bool(np.isfinite(holdout.predicted[name]).all())
    document: dict[str, Any] = {
        "format": FORMAT,
        **{key: metadata.get(key) for key in _SAID},
        "predictor": name,
        "holdout_rows": len(holdout.actual),
        "gates": list(metadata.get("gates") or []),
        "diagnosis": None if evidence.diagnosis is None else [dict(each) for each in evidence.diagnosis],
        "portfolio": metadata.get("portfolio"),
        "learning_curves": None if evidence.curves is None else dict(evidence.curves),
        "importance": None if evidence.importance is None else dict(evidence.importance),
        **dict.fromkeys(("errors", "residuals", "slices", "cross_validation", "calibration")),
        "missing": [],
    }
    out_of_fold = None if evidence.out_of_fold is None else _known(evidence.out_of_fold)
    if judged:
        document |= _judged(holdout, evidence.features, out_of_fold, name)
    if out_of_fold is not None:
        stops = (metadata.get("hyperparameters") or {}).get("stop_patience") is not None
        document["cross_validation"] = cross_validation(out_of_fold) | {"stopped_on_own_fold": stops}
    return add_words(document)


def _known(out_of_fold: Holdout) -> Holdout | None:
    """The rows that have a fold and an out-of-fold prediction; None where no row has."""
    rows = np.isfinite(out_of_fold.predicted["network"]) & np.isfinite(out_of_fold.predicted["fold"])
    return out_of_fold.take(rows) if rows.any() else None


def _judged(holdout: Holdout, features: Frame | None, out_of_fold: Holdout | None, name: str) -> dict[str, Any]:
    drawn = resampling(holdout.student_id, holdout.session_date, seed=SEED)
    everything = np.ones(len(holdout.actual), bool)
    errors = {each: np.abs(holdout.actual - hours) for each, hours in holdout.predicted.items()}
    finite = [each for each in errors if np.isfinite(errors[each]).all()]
    cuts, absent = dimensions(holdout.actual, holdout.predicted[name], features)
    return {
        "errors": [
            {
                "predictor": each,
                "own": each == name,
                "rmse": root_mean_squared_error(holdout.actual, holdout.predicted[each]),
                "median_absolute_error": float(np.median(errors[each])),
                # The ratio is the version's error over this predictor's: under 1 the version is better.
                **asdict(spread(drawn, errors[name], errors[each], everything)),
                "mae": float(errors[each].mean()),
                "standard_error": spread(drawn, errors[each], errors[each], everything).standard_error,
            }
            for each in finite
        ],
        "residuals": residuals(holdout.actual, holdout.predicted[name], drawn),
        "slices": slice_errors(holdout, name, cuts, drawn),
        "calibration": calibrate(holdout, name, out_of_fold),
        "missing": absent,
    }


def residuals(actual: Floats, predicted: Floats, drawn: Resampling) -> dict[str, Any]:
    """Actual less predicted [n], hours: their middle, their histogram, and their spread along the prediction."""
    left = actual - predicted
    counts, edges = np.histogram(left, bins=BINS)
    parts = max(1, min(PARTS, len(left) // 10))
    ordered = np.array_split(np.argsort(predicted, kind="stable"), parts)
    return {
        "mean": float(left.mean()),
        "median": float(np.median(left)),
        "standard_error": standard_error(drawn, left),
        "within_half_an_hour": float((np.abs(left) <= 0.5).mean()),
        "half_within_hours": float(np.median(np.abs(left))),
        "nine_of_ten_within_hours": float(np.quantile(np.abs(left), 0.9)),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
        "by_predicted": [
            {
                "predicted": float(np.median(predicted[rows])),
                "rows": len(rows),
                **{f"quantile_{q}": float(np.quantile(left[rows], q / 100)) for q in (10, 50, 90)},
            }
            for rows in ordered
        ],
    }


def cross_validation(out_of_fold: Holdout) -> dict[str, Any]:
    """The MAE of each fold in hours, network and naive predictors on the same rows, with mean and deviation."""
    folds = out_of_fold.predicted["fold"].astype(np.int64)
    names = [each for each in ("network", *NAIVE, "log_linear") if each in out_of_fold.predicted]
    found = [
        {
            "fold": int(fold),
            "rows": int((folds == fold).sum()),
            "students": len(np.unique(out_of_fold.student_id[folds == fold])),
            "mae": {
                each: _finite(
                    mean_absolute_error(out_of_fold.actual[folds == fold], out_of_fold.predicted[each][folds == fold])
                )
                for each in names
            },
        }
        for fold in np.unique(folds)
    ]
    return {"folds": found, "summary": [_summary(each, found) for each in names]}


def _summary(name: str, folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    known = [fold["mae"][name] for fold in folds if fold["mae"][name] is not None]
    deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {"predictor": name, "mean": float(np.mean(known)) if known else None, "deviation": deviation}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
