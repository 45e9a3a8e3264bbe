"""What ``make run`` does, on a copy of the project: real PostgreSQL, real Airflow, real training.

The copy keeps its state apart from that of the checkout; only the installed packages are shared.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest

PROJECT = Path(__file__).resolve().parents[2]
PARTS = ("studyml", "dags", "plugins", "docs", "pyproject.toml", "README.md")
RUN_SECONDS = 600

pytestmark = pytest.mark.timeout(3 * RUN_SECONDS)


@dataclass(frozen=True)
class Checkout:
    """A copy of the project in which commands are run as a user would."""

    folder: Path

    def studyml(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end and keep what it printed."""
        others = {name: value for name, value in os.environ.items() if not name.startswith(("STUDYML_", "AIRFLOW"))}
        environment = others | {"PYTHONPATH": str(self.folder), "COLUMNS": "200", **variables}
        return subprocess.run(
            [sys.executable, "-c", "from studyml.cli import main; main()", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            stdin=subprocess.DEVNULL,
        )

    def ask(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query on the database that a run left behind."""
        assert self.studyml("dev", "postgres", "start").returncode == 0
        url = self.studyml("dev", "postgres", "url", "--database", database).stdout.strip()
        with psycopg2.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            rows = cursor.fetchall()
        connection.close()
        assert self.studyml("dev", "postgres", "stop").returncode == 0
        return rows


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A fresh copy, without any state."""
    folder = tmp_path_factory.mktemp("checkout")
    for part in PARTS:
        if (PROJECT / part).is_dir():
            shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif (PROJECT / part).is_file():
            shutil.copy(PROJECT / part, folder / part)
    fresh = Checkout(folder)
    yield fresh
    fresh.studyml("dev", "down", "--remove-data")


@pytest.fixture(scope="module")
def simulated_run(checkout: Checkout) -> subprocess.CompletedProcess[str]:
    """The first ``make run`` of a new user."""
    return checkout.studyml("dev", "run")


def test_a_first_run_lives_two_nights_and_says_what_happened(simulated_run: subprocess.CompletedProcess[str]) -> None:
    said = simulated_run.stdout + simulated_run.stderr

    assert simulated_run.returncode == 0, said[-4000:]
    assert "simulated" in said.lower()
    assert said.count("finished") >= 2
    for words in ("decision", "MAE", "log-linear", "predictions", "verdict", "quarantined", "Where to look"):
        assert words in said, words


def test_what_comes_out_is_right(checkout: Checkout, simulated_run: subprocess.CompletedProcess[str]) -> None:
    nights = checkout.ask("studyml", "SELECT as_of, finished_at IS NOT NULL, replay FROM studyml.nights ORDER BY as_of")
    assert [night[1:] for night in nights] == [(True, False), (True, False)]
    assert (nights[1][0] - nights[0][0]).days == 7

    champions = checkout.ask("studyml", "SELECT is_fallback FROM studyml.model_versions WHERE status = 'champion'")
    assert champions == [(False,)], "the network earns its place on the guide's own process"

    judged = checkout.ask(
        "studyml",
        "SELECT m.n, m.verdict, (SELECT count(*) FROM public.study_sessions s WHERE s.actual_duration IS NOT NULL"
        " AND s.session_date > (SELECT min(as_of) FROM studyml.nights)),"
        " (SELECT avg(abs(s.actual_duration - p.predicted_hours)) FROM studyml.predictions p"
        "  JOIN public.study_sessions s ON s.id = p.session_id"
        "  WHERE p.as_of = (SELECT min(as_of) FROM studyml.nights) AND s.actual_duration IS NOT NULL), m.rolling_mae"
        " FROM studyml.monitoring_runs m WHERE scope = 'served' ORDER BY as_of DESC LIMIT 1",
    )[0]
    assert judged[0] == judged[2] > 10, "every label of the week was observed once, with its prediction"
    assert judged[4] == pytest.approx(judged[3]), "the rolling MAE is that of the served predictions"
    assert judged[1] in ("healthy", "suspected", "confirmed")

    planned = checkout.ask(
        "studyml",
        "SELECT (SELECT count(*) FROM analytics.study_time_predictions),"
        " (SELECT count(*) FROM public.study_sessions WHERE actual_duration IS NULL)",
    )[0]
    assert planned[0] == planned[1] > 0, "every planned session has its prediction"


def test_a_second_run_starts_from_what_is_there(
    checkout: Checkout, simulated_run: subprocess.CompletedProcess[str]
) -> None:
    state = "SELECT version, status FROM studyml.model_versions ORDER BY version"
    outcomes = "SELECT count(*), max(outcome_id) FROM studyml.outcomes"
    before = checkout.ask("studyml", state), checkout.ask("studyml", outcomes)

    again = checkout.studyml("dev", "run")

    assert again.returncode == 0, again.stderr[-4000:]
    assert (checkout.ask("studyml", state), checkout.ask("studyml", outcomes)) == before


@pytest.mark.deployment
def test_a_real_log_is_loaded_and_ends_in_an_honest_decision(checkout: Checkout, kaist: Path) -> None:
    quick = {"STUDYML_RECIPE": "selected", "STUDYML_HYPERPARAMETERS": '{"epochs": 10}'}
    run = checkout.studyml("dev", "run", "--data", str(kaist), **quick)

    assert run.returncode == 0, (run.stdout + run.stderr)[-4000:]
    assert "1,343" in run.stdout + run.stderr
    database = "studyml_kaist"
    rows = checkout.ask(
        database,
        "SELECT r.decision, v.is_fallback, v.status FROM studyml.retraining_runs r"
        " JOIN studyml.model_versions v USING (version) ORDER BY r.id",
    )
    assert len(rows) == 2
    assert {decision for decision, *_ in rows} <= {"promoted", "fallback", "rejected"}
    assert checkout.ask(database, "SELECT count(*) FROM studyml.predictions")[0][0] == 444


def test_nothing_is_left_running(checkout: Checkout, simulated_run: subprocess.CompletedProcess[str]) -> None:
    down = checkout.studyml("dev", "down")

    assert down.returncode == 0
    assert "Nothing was running" in down.stdout
