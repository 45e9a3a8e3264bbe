"""Run one step of a retraining and die at a named point of it, as a machine does that loses power.

Called as a process of its own: ``python -m tests.faults.killed_step STEP RUN_ID POINT DATABASE_URL ARTIFACT_ROOT``.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from studyml.model import training
from studyml.model.naive_network import save_linear
from studyml.model.networks import Layout
from studyml.model.recipe import Recipe
from studyml.registry import bundle, objects
from studyml.settings import load_settings
from studyml.steps import build_candidate, describe_candidate, evaluate_candidate, publish_version, train_candidate
from tests.conftest import NOW

#: Where each point is: the step that reaches it, the module, and the function at whose call the process dies.
POINTS: dict[str, tuple[str, ModuleType, str]] = {
    "reserved": ("train", train_candidate, "build_candidate"),
    "building": ("train", build_candidate, "write_holdout"),
    "describing the build": ("train", build_candidate, "write_json"),
    "built": ("train", train_candidate, "_record"),
    "reporting": ("evaluate", describe_candidate, "write_evaluation"),
    "judging": ("evaluate", evaluate_candidate, "write_json"),
    "judged": ("evaluate", evaluate_candidate, "_store"),
    "publishing": ("publish", publish_version, "publish"),
    "sealing": ("publish", bundle, "seal"),
    "manifest written": ("publish", bundle, "_flush"),
    "renaming": ("publish", os, "rename"),
    "renamed": ("publish", publish_version, "commit_artifact"),
    "promoting": ("publish", publish_version, "promote"),
    "before the commit": ("publish", publish_version, "decide"),
    "after the commit": ("publish", publish_version, "find_run"),
}
#: On an object store: the second file of an upload is the last that the process begins.
UPLOADS: dict[str, tuple[str, ModuleType, str]] = {
    f"uploading in {step}": (step, objects, "upload") for step in ("train", "evaluate", "publish")
}
HOURS = 19.5


def die(*_: Any, **__: Any) -> None:
    """End like a process that the kernel kills: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def at_second_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, but the second call is the last thing that the process does."""
    calls: list[int] = []

    def counting(*given: Any, **named: Any) -> Any:
        calls.append(1)
        return die() if len(calls) == 2 else function(*given, **named)

    return counting


def without_tensorflow() -> None:
    """A training that takes no time and always says HOURS, through the same files."""
    curve = {"loss": [1.0], "val_loss": [1.0], "best_epoch": 1}

    def train(rows: training.Rows, recipe: Recipe, layout: Layout, _: Any = None) -> training.Trained:
        curves = {"members": [{"member": "fold 1", **curve}], "learning_rate": [0.001]}
        return training.Trained(layout.inputs, np.full(len(rows.hours), HOURS), curves, 1)

    def save(trained: training.Trained, folder: Path) -> None:
        (folder / "model.keras").write_bytes(b"stands in for a network")
        save_linear(folder, [0.0] * trained.network, HOURS)

    training.train = train
    training.predict = lambda _, matrix: np.full(len(matrix), HOURS)
    build_candidate.save = save
    build_candidate.first_kernel = lambda _: None


def main(step: str, run_id: str, point: str, database_url: str, artifact_root: str) -> None:
    """Run the step until the point."""
    settings = load_settings(database_url=database_url, artifact_root=artifact_root, level_changes="ignore")
    without_tensorflow()
    expected, module, name = {**POINTS, **UPLOADS}[point]
    assert expected == step
    again = point == "after the commit" or point in UPLOADS
    setattr(module, name, at_second_call(getattr(module, name)) if again else die)
    if step == "train":
        train_candidate.train_candidate(settings, retraining_run_id=int(run_id), now=NOW)
    elif step == "evaluate":
        evaluate_candidate.evaluate_candidate(settings, retraining_run_id=int(run_id))
    else:
        publish_version.publish_version(settings, retraining_run_id=int(run_id), now=NOW)


if __name__ == "__main__":
    main(*sys.argv[1:])
