"""A version's network in ONNX Runtime, and the rules that turn its output into hours and intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS
from studyml.errors import ArtifactError
from studyml.interval import Interval, bounds

#: Rows per call of the network: the size at which ONNX Runtime with one thread is fastest (facts.md).
BLOCK_ROWS = 8192

Floats = NDArray[np.float64]


#: The coverages of the two intervals that a prediction carries.
NARROW, WIDE = 0.8, 0.9


@dataclass(frozen=True)
class Output:
    """How predictions leave a version: their limits in hours, and the intervals around them, none without labels."""

    intervals: tuple[Interval, ...] = ()
    minimum_hours: float = MINIMUM_HOURS
    maximum_hours: float = MAXIMUM_HOURS

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Output":
        """The inverse of ``dataclasses.asdict``; reads what versions held before they had two intervals, too."""
        limits = {name: stored[name] for name in ("minimum_hours", "maximum_hours") if name in stored}
        if "intervals" in stored:
            return cls(tuple(Interval.from_json(each) for each in stored["intervals"]), **limits)
        lower, upper = stored["lower_ratio"], stored["upper_ratio"]
        if lower is None or upper is None:
            return cls((), **limits)
        return cls((Interval(float(stored["coverage"]), (1.0,), (lower,), (upper,)),), **limits)


@dataclass(frozen=True)
class Predictions:
    """Hours [n], and the ends of their 80 % and their 90 % interval, None where the version has no such interval."""

    hours: Floats
    lower: Floats | None = None
    upper: Floats | None = None
    lower_90: Floats | None = None
    upper_90: Floats | None = None


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
    """Hours within the contract's limits, with their intervals; raises ArtifactError where one is not finite."""
    raw = run_network(network, matrix)
    if not np.isfinite(raw).all():
        raise ArtifactError(
            f"the network returned {int((~np.isfinite(raw)).sum())} predictions that are not numbers: make another"
            " version champion."
        )
    hours = np.clip(raw, output.minimum_hours, output.maximum_hours)
    found = dict(zip((each.coverage for each in output.intervals), bounds(hours, output.intervals), strict=True))
    narrow, wide = found.get(NARROW, (None, None)), found.get(WIDE, (None, None))
    return Predictions(hours, *narrow, *wide)
