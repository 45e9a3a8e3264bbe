"""How often each gate fails a network where nothing is wrong: it was trained on the same rows as its champion.

Network and champion are the default portfolio with different seeds, on simulated logs with the guide's labels. Both are
judged on the newest rows by every gate that reads predictions; a failure is a false one. The gates on the exported
file, its schema, size and time are left out: nothing of them is chance.
"""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from studyml.errors import TrainingError
from studyml.evaluation.gates import GateResult, Holdout, apply_gates
from studyml.evaluation.serving_gates import in_range, intervals_cover, worst_slice
from studyml.evaluation.slices import dimensions
from studyml.features.definition import derive
from studyml.frame import Frame
from studyml.hyperparameters import Hyperparameters
from studyml.interval import bounds
from studyml.model.recipe import portfolio
from studyml.steps.build_candidate import output_rules, with_naive
from studyml.steps.fit_portfolio import fit_portfolio
from studyml.steps.fit_recipe import Fitted, limited, predict_hours
from studyml.steps.training_data import LABEL

#: Between the seeds of a network and of its champion: further apart than the logs are many.
_APART = 10_000
#: Of two equals each is better in about half of all cases: the champion stays, as it should.
_BETTER = "not_worse_than_champion"


def gates(fitting: Frame, judging: Frame, seed: int) -> list[GateResult] | None:
    """The results on ``judging`` of a network held against its equal; None where one of them could not be trained."""
    network, champion = (_trained(fitting, each) for each in (seed, seed + _APART))
    if network is None or champion is None:
        return None
    raw = predict_hours(network, judging)
    holdout = with_naive(fitting, judging, limited(raw))
    output = output_rules(network, fitting[LABEL].astype(np.float64), holdout)
    ends = dict(zip((each.coverage for each in output.intervals), bounds(limited(raw), output.intervals), strict=True))
    holdout = replace(holdout, predicted={**holdout.predicted, "champion": limited(predict_hours(champion, judging))})
    results = apply_gates(holdout, parity_hours=0.0, seed=seed)
    return results + _serving(holdout, judging, raw) + intervals_cover(holdout, ends)


def _serving(holdout: Holdout, judging: Frame, raw: np.ndarray) -> list[GateResult]:
    cuts, _ = dimensions(holdout.actual, holdout.predicted["network"], derive(judging))
    return [in_range(raw), worst_slice(holdout, cuts)]


def _trained(fitting: Frame, seed: int) -> Fitted | None:
    try:
        chosen, _ = fit_portfolio(fitting, portfolio("auto", "auto", Hyperparameters(), seed=seed))
    except TrainingError:
        return None
    return chosen.fitted


def count(sessions: int, results: list[list[GateResult] | None]) -> dict[str, Any]:
    """How many of the networks failed at each gate, and at any but the one that wants it better than the champion."""
    judged = [each for each in results if each is not None]
    failed = Counter(gate.gate for each in judged for gate in each if not gate.passed)
    names = dict.fromkeys(gate.gate for each in judged for gate in each)
    return {
        "sessions": sessions,
        "logs": len(judged),
        "failed": {name: failed[name] for name in names},
        "rejected": sum(not all(gate.passed for gate in each if gate.gate != _BETTER) for each in judged),
    }


def show(found: list[dict[str, Any]], console: Console) -> None:
    """A row for each gate, a column for each size."""
    table = Table("fails a network as good as its champion", *(f"{each['sessions']} sessions" for each in found))
    for name in dict.fromkeys(name for each in found for name in each["failed"]):
        table.add_row(name, *(f"{each['failed'].get(name, 0)} of {each['logs']}" for each in found))
    table.add_row("any but that against the champion", *(f"{each['rejected']} of {each['logs']}" for each in found))
    console.print(table)
