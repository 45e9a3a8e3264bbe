"""The gates between a trained network and the users: each a small test with numbers and a sentence."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.evaluation.paired import Comparison, compare, groups_of

Floats = NDArray[np.float64]

#: A predictor is good enough when its ratio is at most 1 and the ratio's bound stays below this (facts.md).
BOUND_LIMIT = 1.03
#: A champion that learned from part of the holdout is compared on the others, if they are as many.
MINIMUM_COMPARED = 30
#: Largest difference between Keras and its ONNX export, hours (design section 5).
PARITY_LIMIT_HOURS = 1e-4

_WORDS = {"median": "the training median", "estimate": "the topic's estimated_base_time", "champion": "the champion"}


@dataclass(frozen=True)
class GateResult:
    """One gate: whether it passed, what was measured, and why in words."""

    gate: str
    passed: bool
    reason: str
    value: float | None = None
    upper_bound: float | None = None
    limit: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as ``model_versions.gates`` holds it; what is not finite becomes null."""
        stored = asdict(self)
        for name in ("value", "upper_bound", "limit"):
            if stored[name] is not None and not np.isfinite(stored[name]):
                stored[name] = None
        return stored


@dataclass(frozen=True)
class Holdout:
    """What the gates see: the holdout rows [n], their actual hours, and hours by predictor.

    The champion has no hours (NaN) for sessions that it learned from: there its error would be that of a fit.
    """

    session_id: NDArray[np.int64]
    student_id: NDArray[np.int64]
    session_date: NDArray[np.int64]
    actual: Floats
    predicted: Mapping[str, Floats]

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "Holdout":
        """The given rows, by a mask [n] or by their places."""
        return Holdout(
            self.session_id[rows],
            self.student_id[rows],
            self.session_date[rows],
            self.actual[rows],
            {name: hours[rows] for name, hours in self.predicted.items()},
        )


def apply_gates(holdout: Holdout, *, parity_hours: float, seed: int) -> list[GateResult]:
    """Every gate in order, on the predictors ``network``, ``median``, ``estimate`` and, if any, ``champion``."""
    finite = _finite(holdout)
    results = [finite, _parity(parity_hours)]
    if not finite.passed:
        return results
    references = [name for name in ("median", "estimate", "champion") if name in holdout.predicted]
    return results + [_not_worse(holdout, name, seed) for name in references]


def passed(results: list[GateResult]) -> bool:
    """Whether every gate passed."""
    return all(each.passed for each in results)


def compare_predictors(holdout: Holdout, name: str, reference: str, seed: int) -> Comparison:
    """The paired comparison of two predictors of the holdout."""
    groups = groups_of(holdout.student_id, holdout.session_date)
    errors = np.abs(holdout.actual - holdout.predicted[name])
    return compare(errors, np.abs(holdout.actual - holdout.predicted[reference]), groups, seed=seed)


def _finite(holdout: Holdout) -> GateResult:
    bad = int((~np.isfinite(holdout.predicted["network"])).sum())
    rows = len(holdout.actual)
    if rows == 0:
        return GateResult("finite", False, "there are no holdout rows to judge the network on", 0.0)
    words = f"all {rows} predictions are finite" if bad == 0 else f"{bad} of {rows} predictions are not finite"
    return GateResult("finite", bad == 0, words, float(bad), limit=0.0)


def _parity(parity_hours: float) -> GateResult:
    good = bool(parity_hours <= PARITY_LIMIT_HOURS)
    words = "agrees" if good else "does not agree"
    reason = (
        f"the ONNX export {words} with Keras"
        f" (largest difference {parity_hours:.1e} h, limit {PARITY_LIMIT_HOURS:.0e} h)"
    )
    return GateResult("export_parity", good, reason, float(parity_hours), limit=PARITY_LIMIT_HOURS)


def compared_rows(holdout: Holdout, reference: str) -> Holdout:
    """The rows on which a reference has hours."""
    return holdout.take(~np.isnan(holdout.predicted[reference]))


def _not_worse(whole: Holdout, reference: str, seed: int) -> GateResult:
    holdout = compared_rows(whole, reference)
    gate = "not_worse_than_champion" if reference == "champion" else f"beats_{reference}"
    learned = len(whole.actual) - len(holdout.actual)
    if learned and len(holdout.actual) < MINIMUM_COMPARED:
        reason = (
            f"{_WORDS[reference]} learned from {learned} of the {len(whole.actual)} holdout sessions, and"
            f" {len(holdout.actual)} others are too few to compare them on ({MINIMUM_COMPARED} needed)"
        )
        return GateResult(gate, False, reason, limit=BOUND_LIMIT)
    found = compare_predictors(holdout, "network", reference, seed)
    good = found.ratio <= 1 and found.upper_bound < BOUND_LIMIT
    verb = (
        ("is not worse than" if reference == "champion" else "beats")
        if good
        else ("is worse than" if found.ratio > 1 else "may be worse than")
    )
    others = f" that {_WORDS[reference]} did not learn from" if learned else ""
    reason = (
        f"the network {verb} {_WORDS[reference]} on {found.rows} holdout sessions{others}:"
        f" MAE ratio {found.ratio:.3f} (limit 1), 90 % bound {found.upper_bound:.3f} (limit {BOUND_LIMIT})"
    )
    return GateResult(gate, good, reason, found.ratio, found.upper_bound, BOUND_LIMIT)
