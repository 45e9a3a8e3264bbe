"""The reference of a version, among its files: what later nights are compared with."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from studyml.frame import Frame
from studyml.monitoring.profile import Reference, build_reference
from studyml.registry.bundle import load_json, write_json
from studyml.registry.versions import Version
from studyml.settings import Settings
from studyml.steps.serving import fetch_version
from studyml.steps.training_data import LABEL

FILE = "reference.json"


def write_reference(folder: Path, frame: Frame, *, predicted: NDArray[np.float64]) -> None:
    """Write the reference of the training rows ``frame`` [n] into a build; ``predicted`` [n] hours, honest ones."""
    reference = build_reference(frame, predicted=predicted, actual=frame[LABEL].astype(np.float64))
    write_json(folder / FILE, reference.to_json())


def read_reference(settings: Settings, version: Version) -> Reference | None:
    """The reference of a published version, verified; None where the version is older than references.

    Raises as ``fetch_version`` does.
    """
    path = fetch_version(settings, version) / FILE
    return Reference.from_json(load_json(path)) if path.is_file() else None
