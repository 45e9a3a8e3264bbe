"""How long a retraining takes: the default portfolio against the guide's own loop, and from 10,000 to 1,000,000 rows.

    .venv/bin/python -m benchmarks.training [--quick] [--json FILE]

At 600 sessions the guide's loop (``model.fit`` on NumPy arrays, as guide.md has it) and all that a retraining trains
with the default recipes (whole portfolio, choice, export to ONNX, and the random split that is reported for comparison)
run by turns in one process; the ratio of their medians is printed.
Then the portfolio is trained on more and more rows, each size in a process of its own, with the time per session and
the largest memory while it trains. Imports and the making of the data are not counted.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.quality.frames import labelled_frame
from studyml.features.encoder import fit_encoder
from studyml.features.history import history_from_log
from studyml.frame import Frame
from studyml.hyperparameters import Hyperparameters
from studyml.model.keras_quietly import import_keras
from studyml.model.recipe import portfolio
from studyml.model.saving import save
from studyml.settings import Settings
from studyml.simulation import Simulation, simulate
from studyml.steps.build_candidate import random_split_mae
from studyml.steps.fit_portfolio import fit_portfolio
from studyml.steps.training_data import LABEL

END = datetime(2026, 3, 1, tzinfo=UTC)
SMALL, ROUNDS = 600, 5
SIZES = (10_000, 100_000, 1_000_000)
GOAL_RATIO, GOAL_GROWTH_BYTES = 2.0, 1e9
_HOUR_MICROSECONDS = 3_600_000_000


def make_frame(sessions: int) -> Frame:
    """Labelled rows of the guide's process with their history, as a retraining reads them."""
    students = max(30, sessions // 20)
    frame = labelled_frame(simulate(Simulation(sessions=sessions, students=students, days=90), END))
    ended = frame["session_date"] + (frame[LABEL] * _HOUR_MICROSECONDS).astype(np.int64)
    return history_from_log(frame, ended, sequences=False)


def guide_loop(frame: Frame) -> int:
    """The guide's network, callbacks and fit, on its standardised features; return the epochs."""
    keras = import_keras()
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(42)
    inputs, hours = fit_encoder(frame).encode(frame), frame[LABEL].astype(np.float64)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((inputs.shape[1],)),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(32, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(16, activation="relu"),
            layers.Dense(1, activation="linear"),
        ]
    )
    model.compile(optimizer="adam", loss="mse", metrics=["mae", "mse"])
    callbacks = [
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=15, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.2, patience=10, min_lr=0.001),
    ]
    history = model.fit(inputs, hours, epochs=150, validation_split=0.2, callbacks=callbacks, batch_size=32, verbose=0)
    return len(history.history["loss"])


def retrain(frame: Frame, seed: int = 42) -> str:
    """The default portfolio trained, chosen, exported and compared; return the recipe that was chosen."""
    chosen, _ = fit_portfolio(frame, portfolio("auto", "auto", Hyperparameters(), seed=seed))
    with tempfile.TemporaryDirectory() as folder:
        if chosen.fitted is not None:
            save(chosen.fitted.trained, Path(folder))
    random_split_mae(frame, chosen.recipe, Settings.model_fields["holdout_fraction"].default)
    return chosen.recipe.name


def against_the_guide(rounds: int, console: Console) -> dict[str, Any]:
    """Seconds of the guide's loop and of a retraining on the same 600 sessions, by turns."""
    frame = make_frame(SMALL)
    guide_loop(frame), retrain(frame)  # what TensorFlow does once in a process
    seconds: dict[str, list[float]] = {"guide": [], "retraining": []}
    epochs = 0
    for number in range(rounds):
        console.print(f"round {number + 1} of {rounds}", style="dim")
        started = time.perf_counter()
        epochs = guide_loop(frame)
        seconds["guide"].append(time.perf_counter() - started)
        started = time.perf_counter()
        retrain(frame)
        seconds["retraining"].append(time.perf_counter() - started)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    return {**medians, "epochs_of_guide": epochs, "ratio": medians["retraining"] / medians["guide"]}


def store_frame(sessions: int, path: str) -> None:
    """Make a frame and store it, so that the process that trains never held what making it took."""
    frame = make_frame(sessions)
    vocabularies = json.dumps({name: list(levels) for name, levels in frame.vocabularies.items()})
    np.savez(path, **dict(frame.columns), vocabularies_json=np.array(vocabularies))


def measure_size(path: str, results: "multiprocessing.Queue[dict[str, Any]]") -> None:
    """Train the portfolio on a stored frame; report seconds and the largest resident memory while training."""
    with np.load(path) as stored:
        columns = {name: stored[name] for name in stored.files if name != "vocabularies_json"}
        vocabularies = {name: tuple(each) for name, each in json.loads(str(stored["vocabularies_json"])).items()}
    frame = Frame(columns, vocabularies)
    retrain(frame.take(np.arange(SMALL)))
    process, peak, done = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    retrain(frame)
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    results.put({"sessions": len(frame), "seconds": seconds, "peak_bytes": peak[0]})


def by_size(sizes: tuple[int, ...], console: Console) -> list[dict[str, Any]]:
    """Every size in a process of its own."""
    context, found = multiprocessing.get_context("spawn"), []
    with tempfile.TemporaryDirectory() as folder:
        for sessions in sizes:
            console.print(f"{sessions:,} sessions", style="dim")
            path = str(Path(folder) / f"{sessions}.npz")
            maker = context.Process(target=store_frame, args=(sessions, path))
            maker.start()
            maker.join()
            results: multiprocessing.Queue[dict[str, Any]] = context.Queue()
            trainer = context.Process(target=measure_size, args=(path, results))
            trainer.start()
            found.append(results.get())
            trainer.join()
    return found


def show_ratio(small: dict[str, Any], console: Console) -> bool:
    """Print what 600 sessions take; return whether the goal is reached."""
    good = small["ratio"] <= GOAL_RATIO
    table = Table("600 sessions", "seconds (median)")
    table.add_row(f"the guide's own loop ({small['epochs_of_guide']} epochs)", f"{small['guide']:.2f}")
    table.add_row("a retraining, whole portfolio", f"{small['retraining']:.2f}")
    table.add_row(f"ratio (goal {GOAL_RATIO:.0f})", f"{small['ratio']:.2f} {'reached' if good else 'MISSED'}")
    console.print(table)
    return good


def show_sizes(sizes: list[dict[str, Any]], console: Console) -> bool:
    """Print what more sessions take; return whether both goals are reached."""
    table, good = Table("sessions", "seconds", "ms per session", "peak memory, MB", "growth, MB"), True
    first = sizes[0]
    for each in sizes:
        per_session, growth = each["seconds"] / each["sessions"] * 1e3, each["peak_bytes"] - first["peak_bytes"]
        table.add_row(
            f"{each['sessions']:,}",
            f"{each['seconds']:.1f}",
            f"{per_session:.3f}",
            f"{each['peak_bytes'] / 1e6:.0f}",
            f"{growth / 1e6:.0f}",
        )
        flat = per_session <= first["seconds"] / first["sessions"] * 1e3 * 1.05
        good = good and flat and growth < GOAL_GROWTH_BYTES
    console.print(table)
    console.print("goals: time per session falls or stays flat, memory grows by less than 1,000 MB:", end=" ")
    console.print("reached" if good else "MISSED")
    return good


def main() -> None:
    """Parse the arguments, measure, print; exit status 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two rounds, and up to 100,000 sessions")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    progress, console = Console(stderr=True), Console()
    small = against_the_guide(2 if given.quick else ROUNDS, progress)
    good = show_ratio(small, console)
    sizes = by_size(SIZES[:2] if given.quick else SIZES, progress)
    good = show_sizes(sizes, console) and good
    if given.json:
        given.json.write_text(json.dumps({"against_the_guide": small, "by_size": sizes}, indent=2), encoding="utf-8")
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
