"""What a ridge regression expected of a session when it was observed: the yardstick of a history's residuals.

Its coefficients of a night are w = (3 I + sum z z')^-1 sum z ratio over the outcomes that stood before that night
(Hoerl and Kennard, Ridge Regression, Technometrics 12, 1970), so that no outcome is measured with a yardstick
that has seen it, or one of its own night. Two sums say all that is needed: a night costs its own rows only.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: The regression's features, each as the logarithm of its value over this reference.
INPUTS: Mapping[str, float] = {"estimated_base_time": 1.0, "avg_focus_duration": 60.0, "difficulty_level": 5.0}
#: 1, then each input's logarithm and whether it is missing.
DESIGN_COLUMNS = 1 + 2 * len(INPUTS)
_PENALTY = 3.0
#: An absurd but possible number may not outweigh everything else: e^7 is 1097 hours, e^-7 three seconds.
_LARGEST_LOGARITHM = 7.0


@dataclass(frozen=True)
class Expectation:
    """The sums of a ridge regression: ``matrix`` = penalty + sum z z' [7, 7], ``vector`` = sum z ratio [7]."""

    matrix: Floats
    vector: Floats

    @classmethod
    def empty(cls) -> "Expectation":
        """Before the first outcome: it expects a ratio of 0."""
        return cls(_PENALTY * np.eye(DESIGN_COLUMNS), np.zeros(DESIGN_COLUMNS))

    def weights(self) -> Floats:
        """The coefficients [7]."""
        return np.asarray(np.linalg.solve(self.matrix, self.vector), np.float64)

    def learn(self, design: Floats, counts: Floats, ratios: Floats) -> "Expectation":
        """With rows [n, 7] that entered (``counts`` 1), changed (0) or left (-1), and the change of their ratios."""
        return Expectation(self.matrix + (design * counts[:, None]).T @ design, self.vector + ratios @ design)


def log_inputs(columns: Mapping[str, NDArray[np.generic]]) -> Floats:
    """The logarithms [n, 3] of the INPUTS; NaN where one is missing, or no positive finite number."""
    found = []
    for name, reference in INPUTS.items():
        values = columns[name].astype(np.float64)
        usable = np.isfinite(values) & (values > 0)
        logarithms = np.log(np.where(usable, values, reference) / reference)
        found.append(np.where(usable, np.clip(logarithms, -_LARGEST_LOGARITHM, _LARGEST_LOGARITHM), np.nan))
    return np.column_stack(found)


def log_ratio(hours: Floats, inputs: Floats) -> Floats:
    """log(actual / estimate) [n], log(actual) where there is no estimate, NaN where there is no label."""
    return np.log(hours) - np.nan_to_num(inputs[:, 0])


def design_matrix(inputs: Floats) -> Floats:
    """The regression's rows z [n, 7] from the logarithms of its inputs [n, 3]."""
    design = np.ones((len(inputs), DESIGN_COLUMNS))
    design[:, 1::2] = np.nan_to_num(inputs)
    design[:, 2::2] = np.isnan(inputs)
    return design


def expect(
    inputs: Floats,
    counts: Floats,
    ratios: Floats,
    night: Integers,
    *,
    start: Expectation,
    same_night: tuple[int, Expectation] | None = None,
) -> tuple[Floats, list[tuple[int, Expectation]]]:
    """What was expected of each row [n] before its night, and the sums after each night, oldest first.

    ``counts`` and ``ratios`` say what each row changes (``Expectation.learn``); rows are in order of ``night``.
    ``same_night``: a night that ``start`` has seen a part of, and the sums before that night.
    """
    expected = np.zeros(len(night))
    sums: list[tuple[int, Expectation]] = []
    current = start
    starts = np.flatnonzero(np.r_[True, night[1:] != night[:-1]])[: len(night)]
    for begin, end in zip(starts, [*starts[1:], len(night)], strict=False):
        rows, moment = slice(begin, end), int(night[begin])
        before = same_night[1] if same_night is not None and same_night[0] == moment else current
        design = design_matrix(inputs[rows])
        expected[rows] = design @ before.weights()
        current = current.learn(design, counts[rows], ratios[rows])
        sums.append((moment, current))
    return expected, sums
