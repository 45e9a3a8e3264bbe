"""The evaluation report of a version, written into its folder: JSON, a page, pictures, and the model card."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from studyml.errors import ArtifactError
from studyml.evaluation import holdout as kept
from studyml.evaluation.gates import Holdout
from studyml.evaluation.report import Evidence, evaluate, predictor_of
from studyml.frame import Frame
from studyml.registry.bundle import write_json
from studyml.reporting import plots
from studyml.reporting.evaluation_page import evaluation_page
from studyml.reporting.model_card import write_model_card
from studyml.reporting.pictures import inline_svg, save_png

JSON, PAGE, CARD = "evaluation.json", "evaluation.html", "model_card.md"
OUT_OF_FOLD, CURVES = "out_of_fold.csv", "learning_curves.json"
#: The guide's pictures, also as files of their own; all others are in the page.
FILES = ("learning_curves", "predicted_actual", "residuals")

#: A figure and what it says to a person who does not see it.
Picture = tuple[Callable[[], Any], str]


def write_evaluation(
    folder: Path,
    frame: Frame | None,
    metadata: Mapping[str, Any],
    importance: Mapping[str, Any] | None = None,
    diagnosis: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Evaluate the version in ``folder`` and write the report beside its files; return what ``evaluation.json`` holds.

    Reads holdout.csv and, where they are there, out_of_fold.csv and learning_curves.json. ``frame`` holds the rows
    of the version's snapshot with every feature; None leaves out the errors by feature. Raises ArtifactError where
    the frame lacks a holdout session.
    """
    holdout = kept.read_holdout(folder / kept.FILE)
    document = evaluate(
        Evidence(
            metadata,
            holdout,
            None if frame is None else rows_of(frame, holdout),
            _out_of_fold(folder),
            _curves(folder),
            importance,
            diagnosis,
        )
    )
    predicted = holdout.predicted[predictor_of(metadata)]
    document = _finite(document | {"points_shown": _points_shown(len(predicted))})
    write_json(folder / JSON, document)
    drawn = _draw(folder, pictures(document, holdout.actual, predicted))
    (folder / PAGE).write_text(evaluation_page(document, drawn), encoding="utf-8")
    write_model_card(folder / CARD, metadata, document)
    return document


def rows_of(frame: Frame, holdout: Holdout) -> Frame:
    """The frame's rows of the holdout's sessions, in its order; raises ArtifactError where one is not there."""
    order = np.argsort(frame["id"], kind="stable")
    places = np.searchsorted(frame["id"], holdout.session_id, sorter=order)
    rows = order[np.minimum(places, max(len(order) - 1, 0))] if len(order) else order
    found = frame["id"][rows] == holdout.session_id if len(order) else np.zeros(len(holdout.session_id), bool)
    if not found.all():
        missing = int(holdout.session_id[~found][0])
        raise ArtifactError(f"the snapshot does not hold the held-out session {missing}: train again.")
    return frame.take(rows)


def without_gaps(value: Any) -> Any:
    """The document as JSON can hold it: what is not a finite number becomes null."""
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): without_gaps(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_gaps(each) for each in value]
    return value


def _finite(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: without_gaps(each) for key, each in document.items()}


def pictures(document: Mapping[str, Any], actual: plots.Floats, predicted: plots.Floats) -> dict[str, Picture]:
    """What can be drawn of a document and the hours [n] of its holdout, by name."""
    found: dict[str, Picture] = {}
    curves, residuals, folds = (document[name] for name in ("learning_curves", "residuals", "cross_validation"))
    if curves and curves.get("members"):
        found["learning_curves"] = (lambda: plots.learning_curves(curves), "error by epoch of every member")
    if residuals:
        found["predicted_actual"] = (
            lambda: plots.predicted_actual(actual, predicted),
            "predicted against actual hours of the held-out sessions",
        )
        found["residuals"] = (lambda: plots.residual_histogram(residuals), "histogram of actual less predicted hours")
        found["residuals_predicted"] = (
            lambda: plots.residuals_predicted(actual, predicted, residuals),
            "actual less predicted hours against predicted hours",
        )
    if folds:
        found["cross_validation"] = (lambda: plots.cross_validation(folds), "mean absolute error of each fold")
    return found | _interval_pictures(document["calibration"]) | _importance_pictures(document["importance"])


def _interval_pictures(found: Mapping[str, Any] | None) -> dict[str, Picture]:
    if not found or not any(found.values()):
        return {}
    return {
        "reliability": (lambda: plots.reliability(found), "actual against promised coverage of the intervals"),
        "coverage": (
            lambda: plots.coverage_by_length(found),
            "coverage of the 80 % and the 90 % interval by predicted length",
        ),
    }


def _importance_pictures(importance: Mapping[str, Any] | None) -> dict[str, Picture]:
    found: dict[str, Picture] = {}
    for name, label, value, words in (
        ("permutation", "feature", "mean", "MAE grows by (hours)"),
        ("shap", "feature", "mean_absolute", "contribution (hours)"),
        ("weights", "input", "value", "mean absolute weight"),
    ):
        listed = (importance or {}).get(name)
        if listed:
            rows = [(str(row[label]), float(row[value] or 0), float(row.get("std") or 0)) for row in listed]
            found[name] = (
                lambda rows=rows, words=words: plots.bars(rows, words),  # type: ignore[misc]
                f"importance of features by {name}: first {', '.join(row[0] for row in rows[:3])}",
            )
    return found


def _draw(folder: Path, wanted: Mapping[str, Picture]) -> dict[str, str]:
    drawn = {}
    for name, (draw, words) in wanted.items():
        figure = draw()
        if name in FILES:
            save_png(folder / f"{name}.png", figure)
        drawn[name] = inline_svg(name, figure, words)
    return drawn


def _points_shown(rows: int) -> int | None:
    shown = len(plots.sampled(rows))
    return shown if shown < rows else None


def _out_of_fold(folder: Path) -> Holdout | None:
    path = folder / OUT_OF_FOLD
    return kept.read_holdout(path) if path.is_file() else None


def _curves(folder: Path) -> dict[str, Any] | None:
    path = folder / CURVES
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
