"""``studyml score``: a night's scoring in one small process."""

import json
import os
import subprocess
import sys
from pathlib import Path

from studyml.settings import Settings
from studyml.steps.score import score
from tests.conftest import FIRST_NIGHT, NOW
from tests.scoring.world import query
from tests.steps.test_score_range import rows

HEAVY = ("tensorflow", "keras", "sklearn", "pandas", "pyarrow", "matplotlib", "alembic", "sqlalchemy", "airflow")

# Runs the command line and then says what it had to load.
CLI = """
import json, sys
from studyml.cli import main
sys.argv = ["studyml", "score", "--json", "--as-of", sys.argv[1]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
# In between, since a child's peak counts the memory of the process that started it.
MEASURE = """
import resource, subprocess, sys
ended = subprocess.run(sys.argv[1:])
print("PEAK", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2))
sys.exit(ended.returncode)
"""


def run_cold(settings: Settings) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "STUDYML_DATABASE_URL": settings.database,
        "STUDYML_ARTIFACT_ROOT": str(settings.artifact_root),
    }
    command = [sys.executable, "-S", "-c", MEASURE, sys.executable, "-c", CLI, FIRST_NIGHT.isoformat()]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[2])


def test_a_thousand_sessions_are_scored_in_less_than_120_mb_without_the_libraries_of_training(lived: Settings) -> None:
    query(
        lived,
        "INSERT INTO study_sessions (id, student_id, topic_id, session_date) SELECT 10000 + g, 1 + g %% 30,"
        " 1 + g %% 25, %s::timestamptz + interval '1 minute' * g FROM generate_series(1, 1000) AS g",
        FIRST_NIGHT,
    )

    ended = run_cold(lived)

    assert ended.returncode == 0, ended.stderr
    document, _, peak = ended.stdout.partition("PEAK")
    assert json.loads(document)["written"] == len(rows(lived)) > 1000
    loaded = json.loads(ended.stderr.splitlines()[-1])
    assert [name for name in HEAVY if name in loaded] == []
    assert float(peak) < 120


def test_progress_is_told_range_by_range(lived: Settings) -> None:
    told: list[str] = []
    size = -(-len(rows(lived)) // 2)

    score(lived.model_copy(update={"scoring_range_sessions": size}), as_of=FIRST_NIGHT, now=NOW, progress=told.append)

    assert told == ["scoring range 1 of 2", "scoring range 2 of 2", "publishing the predictions"]
