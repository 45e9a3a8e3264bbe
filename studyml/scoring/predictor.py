"""A version's network in ONNX Runtime, and the rules that turn its output into hours and an interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS
from studyml.errors import ArtifactError

#: Rows per call of the network: the size at which ONNX Runtime with one thread is fastest (facts.md).
BLOCK_ROWS = 8192

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Output:
    """How predictions leave a version: the quantiles of actual / predicted around them, None without labels."""

    lower_ratio: float | None
    upper_ratio: float | None
    coverage: float = 0.8
    minimum_hours: float = MINIMUM_HOURS
    maximum_hours: float = MAXIMUM_HOURS

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Output":
        """The inverse of ``dataclasses.asdict``."""
        return cls(**stored)


@dataclass(frozen=True)
class Predictions:
    """Hours [n], and the ends of their interval or None where the version has none."""

    hours: Floats
    lower: Floats | None
    upper: Floats | None


def open_network(path: Path) -> Any:
    """An ONNX Runtime session of one thread; raises ArtifactError where the file is no network."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    errors: tuple[type[Exception], ...] = (*_load_errors(), RuntimeError)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except errors as error:
        words = str(error).rpartition(":")[2].strip().rstrip(".")
        raise ArtifactError(
            f"{path.name} of version {path.parent.name} cannot be loaded ({words}): make another version champion."
        ) from None


def _load_errors() -> tuple[type[Exception], ...]:
    # Every status of ONNX Runtime is an exception class of its own, and they share no base but Exception.
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = (getattr(state, name) for name in dir(state))
    return tuple(each for each in found if isinstance(each, type) and issubclass(each, Exception))


def run_network(network: Any, matrix: NDArray[np.float32]) -> Floats:
    """The network's own output [n] in hours, before any rule, from encoded inputs [n, inputs]."""
    name = network.get_inputs()[0].name
    starts = range(0, len(matrix), BLOCK_ROWS)
    blocks = [network.run(None, {name: matrix[at : at + BLOCK_ROWS]})[0] for at in starts]
    if not blocks:
        return np.zeros(0)
    return np.concatenate(blocks)[:, 0].astype(np.float64)


def predict(network: Any, matrix: NDArray[np.float32], output: Output) -> Predictions:
    """Hours within the contract's limits, with their interval; raises ArtifactError where one is not finite."""
    raw = run_network(network, matrix)
    if not np.isfinite(raw).all():
        raise ArtifactError(
            f"the network returned {int((~np.isfinite(raw)).sum())} predictions that are not numbers: make another"
            " version champion."
        )
    hours = np.clip(raw, output.minimum_hours, output.maximum_hours)
    if output.lower_ratio is None or output.upper_ratio is None:
        return Predictions(hours, None, None)
    lower = np.clip(hours * output.lower_ratio, output.minimum_hours, hours)
    upper = np.clip(hours * output.upper_ratio, hours, output.maximum_hours)
    return Predictions(hours, lower, upper)
