"""Write down what a judged candidate is: the diagnosis of its training, its importance, its report, its card."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from studyml.evaluation.gates import Holdout
from studyml.evaluation.holdout import read_holdout
from studyml.features.encoder import Encoder
from studyml.frame import Frame
from studyml.registry.bundle import load_json
from studyml.scoring.predictor import Output, open_network
from studyml.steps.diagnose_training import diagnose_training
from studyml.steps.evaluation_report import CURVES, OUT_OF_FOLD, rows_of, write_evaluation
from studyml.steps.explain import Learned, version_importance
from studyml.steps.newest_level import changes_of, with_newest_level
from studyml.steps.serving import ServedModel

_logger = logging.getLogger("studyml")


def describe_candidate(folder: Path, frame: Frame, holdout: Holdout, metadata: dict[str, Any]) -> dict[str, Any]:
    """Write the report and the model card into ``folder``; return the metadata with the diagnosis.

    ``frame``: the rows of the candidate's snapshot, derived. A network whose predictions are not finite has no
    importance to measure.
    """
    stored = load_json(folder / "features.json")
    encoder = Encoder.from_json(stored["features"])
    judged = rows_of(frame, holdout)
    newest = np.isin(frame["id"], holdout.session_id)
    findings = diagnose_training(
        with_newest_level(frame, changes_of(metadata)),
        newest,
        _predicted(frame, holdout, read_holdout(folder / OUT_OF_FOLD)),
        encoder=encoder,
        recipe=metadata["hyperparameters"],
        curves=load_json(folder / CURVES),
        configured=metadata["lineage"]["settings"]["hyperparameters"],
    )
    for each in findings:
        _logger.log(logging.WARNING if each.severity == "warning" else logging.INFO, "%s", each.sentence)
    importance = None
    if np.isfinite(holdout.predicted["network"]).all():
        network = open_network(folder / "model.onnx")
        model = ServedModel(str(metadata["version"]), encoder, network, Output.from_json(stored["output"]))
        learned = Learned(judged, holdout.actual, frame.take(~newest))
        importance = version_importance(model, learned, metadata["first_layer_weights"])
    metadata = metadata | {"diagnosis": [each.to_json() for each in findings]}
    write_evaluation(folder, frame, metadata, importance, metadata["diagnosis"])
    return metadata


def _predicted(frame: Frame, holdout: Holdout, out_of_fold: Holdout) -> np.ndarray[Any, Any]:
    """Hours [n] that no network had seen the label of: out of fold, and on the holdout."""
    ids = np.concatenate([out_of_fold.session_id, holdout.session_id])
    hours = np.concatenate([out_of_fold.predicted["network"], holdout.predicted["network"]])
    order = np.argsort(ids)
    places = np.searchsorted(ids, frame["id"], sorter=order)
    found: np.ndarray[Any, Any] = hours[order[places]]
    return found
