"""How often a network that learned nothing gets past the gates, and how often one that learned something does.

    .venv/bin/python -m benchmarks.gates [--quick] [--logs 20] [--equals | --trials] [--json FILE]

``--equals`` measures how often a network that is as good as its champion is rejected, see ``benchmarks/equals.py``;
``--trials`` measures the trials of challengers instead, see ``benchmarks/trials.py``.

Each log is a simulated one, its labels either the guide's or noise that follows from nothing, with a seed of its own
for the log and for the training. The default portfolio is trained on the older rows and judged by the gates on the
newest, without a champion: a network that passes would be promoted. The last column is the share that would pass were
the bound's limit 1.00.
"""

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks import equals, trials
from benchmarks.quality.frames import LABEL, labelled_frame
from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS
from studyml.errors import TrainingError
from studyml.evaluation.gates import GateResult, apply_gates, passed
from studyml.evaluation.holdout import newest_rows
from studyml.features.history import history_from_log
from studyml.frame import Frame
from studyml.hyperparameters import Hyperparameters
from studyml.model.recipe import portfolio
from studyml.settings import Settings
from studyml.simulation import Simulation, simulate
from studyml.steps.build_candidate import with_naive
from studyml.steps.fit_portfolio import fit_portfolio
from studyml.steps.fit_recipe import limited, predict_hours

END = datetime(2026, 3, 1, tzinfo=UTC)
_HOUR_MICROSECONDS = 3_600_000_000
Labels = Callable[[np.random.Generator, NDArray[np.float64]], NDArray[np.float64]]
LABELS: dict[str, Labels] = {
    "noise, lognormal": lambda random, hours: random.lognormal(1.0, 0.5, len(hours)),
    "noise, normal": lambda random, hours: random.normal(3.0, 0.7, len(hours)),
    "the guide's": lambda _, hours: hours,
}
SIZES, QUICK_SIZES = (100, 250, 600), (100,)


def log(labels: Labels, sessions: int, seed: int) -> Frame:
    """Labelled rows of the simulated log, oldest first, with these labels and their history."""
    frame = labelled_frame(simulate(Simulation(sessions=sessions, days=90, seed=seed), END))
    hours = labels(np.random.default_rng(seed), frame[LABEL].astype(np.float64))
    frame = frame.with_columns(**{LABEL: np.clip(np.round(hours, 2), MINIMUM_HOURS, MAXIMUM_HOURS)})
    ended = frame["session_date"].astype(np.int64) + (frame[LABEL] * _HOUR_MICROSECONDS).astype(np.int64)
    return history_from_log(frame, ended)


def gates(frame: Frame, seed: int) -> list[GateResult] | None:
    """The gates' results of the default portfolio; None where nothing could be trained."""
    held = _newest(frame)
    try:
        chosen, _ = fit_portfolio(frame.take(~held), portfolio("auto", "auto", Hyperparameters(), seed=seed))
    except TrainingError:
        return None
    if chosen.fitted is None:
        return None
    predicted = limited(predict_hours(chosen.fitted, frame.take(held)))
    return apply_gates(with_naive(frame.take(~held), frame.take(held), predicted), parity_hours=0.0, seed=seed)


def _newest(frame: Frame) -> NDArray[np.bool_]:
    fraction = Settings.model_fields["holdout_fraction"].default
    return newest_rows(frame["session_date"].astype(np.int64), frame["id"].astype(np.int64), fraction)


def measure(name: str, sessions: int, logs: int) -> dict[str, Any]:
    """How many of ``logs`` logs got a network past the gates, and past stricter ones."""
    results = [gates(log(LABELS[name], sessions, seed), seed) for seed in range(logs)]
    judged = [each for each in results if each is not None]
    stricter = [each for each in judged if passed(each) and all((gate.upper_bound or 0) < 1 for gate in each)]
    return {
        "labels": name,
        "sessions": sessions,
        "logs": logs,
        "passed": sum(map(passed, judged)),
        "passed_under_1": len(stricter),
    }


def measure_equals(sizes: tuple[int, ...], logs: int, console: Console) -> list[dict[str, Any]]:
    """The gates' results for networks that are as good as their champion, counted for each size."""
    found = []
    for sessions in sizes:
        results = []
        for seed in range(logs):
            console.print(f"an equal champion, {sessions} sessions, log {seed + 1} of {logs}", style="dim")
            frame = log(LABELS["the guide's"], sessions, seed)
            held = _newest(frame)
            results.append(equals.gates(frame.take(~held), frame.take(held), seed))
        found.append(equals.count(sessions, results))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gates", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 sessions, 5 logs")
    parser.add_argument("--logs", type=int, help="logs of each kind and size (default 20)")
    parser.add_argument("--equals", action="store_true", help="networks as good as their champion: who is rejected")
    parser.add_argument("--trials", action="store_true", help="the trials of challengers: no network is trained")
    parser.add_argument("--rounds", type=int, help="trials of each kind (default 300, with --quick 100)")
    parser.add_argument("--json", type=Path, help="write the figures to a file as well")
    options = parser.parse_args()
    if options.trials:
        found = trials.run(Console(stderr=True), quick=options.quick, rounds=options.rounds)
        _write(options.json, found)
        return
    logs = options.logs or (5 if options.quick else 20)
    sizes = QUICK_SIZES if options.quick else SIZES
    if options.equals:
        found = measure_equals(sizes, logs, Console(stderr=True))
        equals.show(found, Console())
        _write(options.json, found)
        return
    console, found = Console(stderr=True), []
    table = Table("labels", "sessions", "logs", "passed", "limit 1.00")
    for name in LABELS:
        for sessions in sizes:
            console.print(f"{name}, {sessions} sessions", style="dim")
            found.append(measure(name, sessions, logs))
            table.add_row(*map(str, found[-1].values()))
    Console().print(table)
    _write(options.json, found)


def _write(path: Path | None, found: list[dict[str, Any]]) -> None:
    if path is not None:
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
