"""Write a trained network: ``model.keras`` for people and Keras, ``model.onnx`` for scoring."""

import contextlib
import io
from pathlib import Path

from studyml.model.training import Trained


def save(trained: Trained, folder: Path) -> None:
    """Write ``model.keras`` and its export ``model.onnx`` into ``folder``."""
    trained.network.save(folder / "model.keras")
    with contextlib.redirect_stdout(io.StringIO()):
        trained.network.export(folder / "model.onnx", format="onnx", verbose=False)
