"""Loading a million sessions against the floor: a bare COPY of the same file into an equal table.

    .venv/bin/python benchmarks/load.py [--sessions 1000000] [--rounds 3]

The table of the floor has the same columns and its primary key, and nothing else is done there: no check, no
quarantine, no foreign key. Floor and load run by turns, each into a fresh table; the medians, their ratio, the time
of a second load of the same files, and the peak memory of ``studyml load`` are printed. An embedded PostgreSQL with
its default settings is started for it and removed afterwards.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg2

from studyml.database import migrate
from studyml.development import postgres
from studyml.simulation import Simulation, simulate, write_csv

END = datetime(2026, 3, 1, tzinfo=UTC)
FLOOR = """CREATE TABLE floor (session_id bigint PRIMARY KEY, student_id bigint NOT NULL, topic_id bigint NOT NULL,
    session_date timestamptz NOT NULL, actual_duration float8, time_of_day text, study_method text, environment text,
    energy_level float8, distraction_level float8, breaks_taken float8, planned_duration float8)"""


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes by the wall clock."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def copy_bare(url: str, folder: Path) -> None:
    """COPY the file of sessions into a keyed table and commit."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(FLOOR)
        with (folder / "study_sessions.csv").open("rb") as file:
            cursor.copy_expert("COPY floor FROM STDIN (FORMAT csv, HEADER)", file, size=1 << 16)
    connection.close()


# A small process in between: a child's peak counts the memory of the process that started it.
_MEASURE = """
import resource, subprocess, sys
subprocess.run([sys.argv[1], "load", sys.argv[2]], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


def load(url: str, folder: Path) -> float:
    """``studyml load`` in a process of its own; its peak resident MB."""
    command = [sys.executable, "-S", "-c", _MEASURE, str(Path(sys.executable).with_name("studyml")), str(folder)]
    environment = {**os.environ, "STUDYML_DATABASE_URL": url}
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def measure(server: postgres.Server, folder: Path, rounds: int) -> dict[str, float]:
    """Floor and load by turns, each in a database of its own."""
    floors, loads, peaks = [], [], []
    for turn in range(rounds):
        url = server.url(f"turn_{turn}")
        postgres.create_database(server, f"turn_{turn}")
        migrate.upgrade(url)
        floors.append(seconds(lambda url=url: copy_bare(url, folder)))
        loads.append(seconds(lambda url=url: peaks.append(load(url, folder))))
    low, high = statistics.median(floors), statistics.median(loads)
    return {
        "floor_seconds": round(low, 2),
        "load_seconds": round(high, 2),
        "ratio": round(high / low, 2),
        "second_load_seconds": round(seconds(lambda: load(url, folder)), 2),
        "peak_mb": round(max(peaks), 1),
    }


def main() -> None:
    """Print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        plan = Simulation(sessions=options.sessions, students=10_000, days=365)
        simulating = seconds(lambda: write_csv(simulate(plan, END), root / "logs"))
        with (root / "logs" / "study_sessions.csv").open("rb") as file:
            rows = sum(1 for _ in file) - 1
        server = postgres.start(root / "postgres")
        try:
            result = measure(server, root / "logs", options.rounds)
        finally:
            postgres.remove(root / "postgres")
    speed = round(rows / result["load_seconds"])
    print(
        json.dumps(
            {"rows": rows, "simulate_seconds": round(simulating, 2), **result, "rows_per_second": speed}, indent=2
        )
    )


if __name__ == "__main__":
    main()
