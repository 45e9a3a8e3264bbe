"""Scoring 100,000 planned sessions against the floor: the same rows copied out of and into PostgreSQL.

    .venv/bin/python benchmarks/scoring.py [--sessions 1000000] [--rounds 5]

The floor is a raw COPY of the joined features out and a raw COPY of the result rows into a table without a key:
what no batch scoring through PostgreSQL can avoid. Floor and scoring (plan, ranges, publish) run by turns in this
process; the ratio of their medians is printed, and the peak memory of a cold ``studyml score`` on 1,000 sessions.
An embedded PostgreSQL is started for it and removed afterwards.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2

from studyml.database import migrate
from studyml.database.predictions import COLUMNS
from studyml.development import postgres
from studyml.settings import Settings, load_settings
from studyml.simulation import Simulation
from studyml.steps.load import simulate_into_database
from studyml.steps.night import night
from studyml.steps.score import score

END = datetime(2026, 3, 1, tzinfo=UTC)
COLD_SESSIONS = 1000

JOINED = """
SELECT s.id, s.student_id, s.topic_id, s.session_date, s.time_of_day, s.study_method, s.environment, s.energy_level,
    s.distraction_level, u.age, u.education_level, u.learning_style, u.avg_focus_duration, t.subject,
    t.difficulty_level, t.estimated_base_time, t.prerequisites_count, t.content_type
FROM study_sessions s JOIN students u ON u.id = s.student_id JOIN topics t ON t.id = s.topic_id
WHERE s.session_date > %s AND s.session_date <= %s
"""


def silent(_: str) -> None:
    """A progress that tells nobody."""


def fill(settings: Settings, sessions: int) -> None:
    """Multiply students and planned sessions in SQL."""
    with psycopg2.connect(settings.database) as connection, connection.cursor() as cursor:
        copies = max(1, sessions // 1000)
        cursor.execute(
            "INSERT INTO students (id, age, education_level, learning_style, avg_focus_duration)"
            " SELECT id + 30 * g, age, education_level, learning_style, avg_focus_duration"
            " FROM students, generate_series(1, %s) AS g",
            (copies,),
        )
        cursor.execute("DELETE FROM study_sessions WHERE session_date > %s", (END,))
        cursor.execute(
            "INSERT INTO study_sessions (id, student_id, topic_id, session_date, time_of_day, study_method,"
            " environment, energy_level, distraction_level) SELECT 10000 + g, 1 + g %% (30 + 30 * %s), 1 + g %% 25,"
            " %s::timestamptz + interval '1 minute' * (1 + g %% 44000), s.time_of_day, s.study_method, s.environment,"
            " s.energy_level, s.distraction_level FROM generate_series(1, %s) AS g"
            " JOIN study_sessions s ON s.id = 1 + g %% 600",
            (copies, END, sessions),
        )
    connection = psycopg2.connect(settings.database)
    connection.autocommit = True
    connection.cursor().execute("VACUUM ANALYZE")
    connection.close()


def floor(settings: Settings) -> None:
    """Copy the joined features out and as many result rows as were scored into a table without a key."""
    with psycopg2.connect(settings.database) as connection, connection.cursor() as cursor:
        query = cursor.mogrify(JOINED, (END - timedelta(days=7), END + timedelta(days=31))).decode()
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT binary)", io.BytesIO())
        cursor.execute("CREATE TABLE floor (LIKE studyml.predictions)")
        cursor.copy_expert("COPY floor FROM STDIN (FORMAT binary)", _results(settings))
        cursor.execute("DROP TABLE floor")


_stored: dict[str, bytes] = {}


def _results(settings: Settings) -> io.BytesIO:
    if settings.database not in _stored:
        buffer = io.BytesIO()
        with psycopg2.connect(settings.database) as connection, connection.cursor() as cursor:
            columns = ", ".join(COLUMNS)
            cursor.copy_expert(f"COPY (SELECT {columns} FROM studyml.predictions) TO STDOUT (FORMAT binary)", buffer)
        _stored[settings.database] = buffer.getvalue()
    return io.BytesIO(_stored[settings.database])


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes by the wall clock."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(settings: Settings, rounds: int) -> dict[str, float]:
    """Median seconds of the floor and of scoring, run by turns, and their ratio."""

    def scored() -> object:
        return score(settings, as_of=END, now=END, progress=silent)

    scored(), floor(settings)
    floors, scorings = [], []
    for _ in range(rounds):
        floors.append(seconds(lambda: floor(settings)))
        scorings.append(seconds(scored))
    low, high = statistics.median(floors), statistics.median(scorings)
    return {"floor_seconds": round(low, 3), "scoring_seconds": round(high, 3), "ratio": round(high / low, 2)}


def cold_start(settings: Settings) -> dict[str, float]:
    """Wall seconds and peak resident MB of one ``studyml score`` in a process of its own."""
    environment = {
        **os.environ,
        "STUDYML_DATABASE_URL": settings.database,
        "STUDYML_ARTIFACT_ROOT": str(settings.artifact_root),
    }
    command = [sys.executable, "-S", "-c", _MEASURE, str(Path(sys.executable).with_name("studyml")), END.isoformat()]
    found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
    return {"cold_sessions": COLD_SESSIONS, "cold_seconds": float(found[-2]), "cold_peak_mb": float(found[-1])}


# A small process in between: a child's peak counts the memory of the process that started it.
_MEASURE = """
import resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run([sys.argv[1], "score", "--as-of", sys.argv[2]], check=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(round(time.perf_counter() - started, 2), round(peak, 1))
"""


def main() -> None:
    """Print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        server = postgres.start(root / "postgres")
        try:
            made = {}
            postgres.create_database(server, "lived")
            migrate.upgrade(server.url("lived"))
            lived = load_settings(database_url=server.url("lived"), artifact_root=root / "artifacts")
            simulate_into_database(lived, Simulation(), end=END, now=END, progress=silent)
            night(lived, as_of=END, now=END, progress=silent)
            for name, sessions in (("cold", COLD_SESSIONS), ("warm", options.sessions)):
                postgres.create_database(server, name, template="lived")
                made[name] = load_settings(database_url=server.url(name), artifact_root=lived.artifact_root)
                fill(made[name], sessions)
            result = {"sessions": options.sessions, **cold_start(made["cold"]), **compare(made["warm"], options.rounds)}
        finally:
            postgres.remove(root / "postgres")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
