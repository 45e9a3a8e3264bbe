"""How often drift is reported where nothing drifts, and how often where something does.

    .venv/bin/python -m benchmarks.drift [--nights 300] [--rows 600] [--students 30] [--json FILE]

Each night is a simulated log of 120 days with returning students, where nothing changes but chance. What came before
the last 30 days is the reference, what came after is the night's. Predictions are the guide's formula without noise.
``habits``: each student keeps to few places and methods, as real students do, and some are very busy for a while.
The shifted rows change one thing of the same night.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.quality.frames import LABEL, labelled_frame
from studyml.frame import MISSING, Frame
from studyml.monitoring.drift import Drift, compare
from studyml.monitoring.profile import build_reference
from studyml.simulation import Simulation, simulate

END = datetime(2026, 3, 1, tzinfo=UTC)
_REFERENCE_SHARE = 0.75
Change = Callable[[Frame], Frame]


def habits(frame: Frame, random: np.random.Generator) -> Frame:
    """Half of the rows, of students who keep to one value nine times in ten, in weeks in which a few are busy."""
    number = frame["student_id"].astype(np.int64)
    columns: dict[str, NDArray[np.generic]] = {}
    for name in ("environment", "study_method", "time_of_day"):
        own = random.integers(0, len(frame.vocabularies[name]), number.max() + 1)[number].astype(np.int32)
        columns[name] = np.where(random.random(len(frame)) < 0.9, own, frame[name]).astype(np.int32)
    week = frame["session_date"].astype(np.int64) // (7 * 24 * 3600 * 1_000_000)
    week -= week.min()
    busy = random.gamma(0.5, 1.0, (number.max() + 1, week.max() + 1))[number, week]
    drawn = random.choice(len(frame), len(frame) // 2, replace=False, p=(busy + 1e-6) / (busy + 1e-6).sum())
    return frame.with_columns(**columns).take(np.sort(drawn))


def _cafe(frame: Frame) -> Frame:
    to = np.arange(len(frame)) % 3 == 0
    return frame.with_columns(environment=np.where(to, 0, frame["environment"]).astype(np.int32))


def _gone(frame: Frame) -> Frame:
    lost = np.arange(len(frame)) % 8 == 0
    return frame.with_columns(time_of_day=np.where(lost, MISSING, frame["time_of_day"]).astype(np.int32))


CHANGES: dict[str, Change] = {
    "nothing": lambda frame: frame,
    "a third of all sessions move to one place": _cafe,
    "12 % of all times of day are missing": _gone,
    "energy is a point higher": lambda frame: frame.with_columns(energy_level=np.minimum(frame["energy_level"] + 1, 5)),
}


def night(frame: Frame, change: Change) -> Drift:
    """The last quarter of a log, changed, against the rows before."""
    hours = frame["estimated_base_time"] * frame["avg_focus_duration"] / 60 * (1 + (frame["difficulty_level"] - 5) / 10)
    before = np.arange(len(frame)) < _REFERENCE_SHARE * len(frame)
    reference = build_reference(
        frame.take(before), predicted=hours[before], actual=frame[LABEL][before].astype(np.float64)
    )
    return compare(reference, change(frame.take(~before)), hours[~before])


def measure(nights: int, rows: int, students: int) -> list[dict[str, Any]]:
    """For each kind of log and change: the share of nights in which any feature moved, and which ones."""
    found = []
    for kind in ("independent", "habits"):
        drawn = rows * 2 if kind == "habits" else rows
        logs = [labelled_frame(simulate(Simulation(drawn, students, 120, seed), END)) for seed in range(nights)]
        if kind == "habits":
            logs = [habits(log, np.random.default_rng(seed)) for seed, log in enumerate(logs)]
        for name, change in CHANGES.items():
            moved = [[each.feature for each in night(log, change).moved] for log in logs]
            found.append(
                {
                    "sessions": kind,
                    "changed": name,
                    "nights": nights,
                    "moved": sum(map(bool, moved)) / nights,
                    "features": dict(Counter(feature for each in moved for feature in each).most_common(3)),
                }
            )
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for option, default in (("--nights", 300), ("--rows", 600), ("--students", 30)):
        parser.add_argument(option, type=int, default=default)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    found = measure(chosen.nights, chosen.rows, chosen.students)
    table = Table("sessions", "changed", "nights with anything moved", "what moved (nights)")
    for row in found:
        table.add_row(row["sessions"], row["changed"], f"{row['moved']:.1%}", str(row["features"]))
    Console(width=140).print(table)
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
