"""How often the diagnosis warns of a healthy training, and how often it sees a fault, on real trainings.

    .venv/bin/python -m benchmarks.diagnosis [--seeds 50] [--faults 10]

Logs of the guide's data process, 600 sessions each, the newest fifth held out. Healthy: every recipe as it is; any
warning is a false alarm. Faulty: a hyperparameter or the data made wrong; seen means that the fault's own kind is
among the warnings.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from benchmarks.quality.log import simulated_log
from studyml.evaluation.finding import Finding
from studyml.features.encoder import Encoder
from studyml.frame import Frame
from studyml.hyperparameters import Hyperparameters
from studyml.model.recipe import RECIPES, Recipe, with_hyperparameters
from studyml.steps.diagnose_training import diagnose_training
from studyml.steps.fit_recipe import fit_recipe, predict_hours
from studyml.steps.training_data import LABEL

SESSIONS, HELD_OUT = 600, 0.2
HEALTHY = (("mlp", "guide"), ("ensemble", "selected"), ("ensemble", "history"))


@dataclass(frozen=True)
class Case:
    """A fault: the kind it has to be called, the recipe, and what is done to log, recipe or inputs."""

    kind: str
    name: str
    recipe: Recipe
    spoil: Callable[[Frame], Frame] = lambda frame: frame
    unscale: bool = False


def recipe(name: str, architecture: str = "ensemble", **changes: Any) -> Recipe:
    """A recipe with hyperparameters changed."""
    return with_hyperparameters(replace(RECIPES[name], architecture=architecture), Hyperparameters(**changes))


def cases() -> Iterator[Case]:
    """Every fault, on the recipes that can have it (what ``selected`` keeps is too little to learn rows by heart)."""
    for name in ("guide", "history"):
        changes = {"neurons": 256, "dropout": 0, "l2": 0, "epochs": 200, "stop_patience": 200}
        yield Case("overfitting", f"{name}, wide, no dropout", recipe(name, **changes))
    for name in RECIPES:
        yield Case("underfitting", f"{name}, L2 10", recipe(name, l2=10))
        yield Case("poor_convergence", f"{name}, 3 epochs", recipe(name, epochs=3))
        yield Case("poor_convergence", f"{name}, rate 1", recipe(name, learning_rate=1, stop_patience=100))
    swing = {"learning_rate": 0.03, "schedule": "constant", "epochs": 40, "stop_patience": 100}
    yield Case("poor_convergence", "guide, rate 0.03, constant", recipe("guide", **swing))
    usual = recipe("selected")
    yield Case("too_few_rows", "90 sessions", usual, lambda frame: frame.take(np.arange(len(frame) - 90, len(frame))))
    yield Case(
        "constant_features", "every age 20", usual, lambda frame: frame.with_columns(age=np.full(len(frame), 20.0))
    )
    yield Case("unscaled_features", "inputs as they are", usual, unscale=True)
    yield Case(
        "outliers", "5 % of timers ran on", usual, lambda frame: _longer(frame, np.arange(len(frame)) % 20 == 7, 24)
    )
    yield Case("target_shift", "newest fifth x 1.4", usual, lambda frame: _longer(frame, _newest(frame), 1.4))


def _newest(frame: Frame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.arange(len(frame)) >= round((1 - HELD_OUT) * len(frame))


def _longer(frame: Frame, rows: np.ndarray[Any, np.dtype[np.bool_]], factor: float) -> Frame:
    hours = frame[LABEL].astype(np.float64)
    return frame.with_columns(**{LABEL: np.where(rows, np.minimum(hours * factor, 24), hours)})


def diagnosed(frame: Frame, given: Recipe, *, unscale: bool = False) -> list[Finding]:
    """Train on the older rows, predict the newest, and diagnose; the warnings."""
    newest = _newest(frame)
    fitted = fit_recipe(frame.take(~newest), given)
    predicted = np.concatenate([fitted.out_of_fold, predict_hours(fitted, frame.take(newest))])
    encoder = _unscaled(fitted.encoder) if unscale else fitted.encoder
    found = diagnose_training(frame, newest, predicted, encoder=encoder, recipe=asdict(given), curves=fitted.curves)
    return [each for each in found if each.severity == "warning"]


def _unscaled(encoder: Encoder) -> Encoder:
    inputs = tuple(replace(each, mean=0.0, scale=1.0) for each in encoder.inputs)
    return replace(encoder, inputs=inputs, clip=1e9)


def main() -> None:
    """Print both rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50, help="healthy logs")
    parser.add_argument("--faults", type=int, default=10, help="logs for each fault")
    given = parser.parse_args()
    print(f"Healthy trainings of {SESSIONS} sessions: false alarms")
    for architecture, name in HEALTHY:
        alarms = []
        for seed in range(given.seeds):
            chosen = replace(recipe(name, architecture), seed=seed)
            alarms += [(seed, each.kind) for each in diagnosed(simulated_log("guide", SESSIONS, seed).training, chosen)]
        rung = len({seed for seed, _ in alarms})
        print(f"  {architecture + ' ' + name:22} {rung:3d} of {given.seeds}  {alarms or ''}", flush=True)
    print("Faults: seen")
    for case in cases():
        seen, others = 0, set[str]()
        for seed in range(given.faults):
            frame = case.spoil(simulated_log("guide", SESSIONS, seed).training)
            kinds = {each.kind for each in diagnosed(frame, case.recipe, unscale=case.unscale)}
            seen += case.kind in kinds
            others |= kinds - {case.kind}
        beside = f"  beside it: {', '.join(sorted(others))}" if others else ""
        print(f"  {case.kind:18} {case.name:28} {seen:3d} of {given.faults}{beside}", flush=True)


if __name__ == "__main__":
    main()
