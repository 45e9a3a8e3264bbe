"""Gather what a training run left, and have it diagnosed: from a fit just made, or from a version's files."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.evaluation.diagnosis import Evidence, diagnose
from studyml.evaluation.finding import Finding
from studyml.evaluation.paired import groups_of
from studyml.features.definition import FEATURES
from studyml.features.encoder import Encoder
from studyml.frame import Frame
from studyml.steps.training_data import LABEL

Floats = NDArray[np.float64]

#: What the encoder says of a column that carries nothing; other reasons are choices of a recipe.
_CARRIES_NOTHING = ("empty or constant", "no level is frequent enough")


def diagnose_training(
    frame: Frame,
    newest: NDArray[np.bool_],
    predicted: Floats,
    *,
    encoder: Encoder,
    recipe: Mapping[str, Any],
    curves: Mapping[str, Any],
    configured: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Finding, ...]:
    """Diagnose a training on the labelled rows of ``frame`` [n], oldest first.

    ``newest`` [n]: the holdout, which no network saw; ``predicted`` [n]: hours out of fold, for the holdout those of
    the network, NaN where there is none; ``recipe``: ``asdict`` of it, as ``metadata.json`` has it under
    ``hyperparameters``; ``configured``: what the setting of that name held, None where it said nothing.
    """
    actual = frame[LABEL].astype(np.float64)
    estimate = frame["estimated_base_time"].astype(np.float64)
    fitting = ~newest
    evidence = Evidence(
        actual=actual,
        predicted=predicted,
        naive={"median": np.full(len(actual), np.median(actual[fitting])), "estimate": estimate},
        estimate=estimate,
        groups=groups_of(frame["student_id"].astype(np.int64), frame["session_date"].astype(np.int64)),
        newest=newest,
        inputs=encoder.encode(frame.take(fitting)),
        names=[each.name for each in encoder.inputs],
        constant={
            name: reason
            for name, reason in encoder.dropped.items()
            if name in FEATURES and reason.startswith(_CARRIES_NOTHING)
        },
        squared=recipe["loss"] == "mse",
        is_log=recipe["target"] == "log",
        hyperparameters=_named(recipe),
        configured={name: value for name, value in configured.items() if value is not None},
    )
    return diagnose(curves, evidence)


def _named(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's values by the names of ``STUDYML_HYPERPARAMETERS``."""
    widths = {"layers": len(recipe["layers"]), "neurons": recipe["layers"][0], "dropout": max(recipe["dropouts"])}
    return {**recipe, **widths}
