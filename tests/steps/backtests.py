"""What the tests of backtests share: a short log, quick settings, and a backtest in one line."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from studyml.database.scratch import beside, drop_scratch, scratch_name
from studyml.hyperparameters import Hyperparameters
from studyml.settings import Settings
from studyml.simulation import Simulation
from studyml.steps.backtest import backtest
from studyml.steps.backtest_workspace import Request
from studyml.steps.load import simulate_into_database
from tests.conftest import END, NOW, silent

#: The quickest network there is: what a training makes is tested elsewhere.
QUICK = {"architecture": "mlp", "recipe": "guide", "hyperparameters": Hyperparameters(epochs=2, neurons=8)}
#: No network at all: nights in a fraction of a second.
NAIVE = {"retrain_min_labels": 10_000}


class Watch:
    """A progress that keeps what it was told."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, int]] = []
        self.lines: list[tuple[str, bool]] = []
        self.steps: list[str] = []

    def begin(self, nights: int, done: int) -> None:
        self.begun.append((nights, done))

    def step(self, words: str) -> None:
        self.steps.append(words)

    def lived(self, line: str, *, notable: bool) -> None:
        self.lines.append((line, notable))


def replay(
    settings: Settings,
    folder: Path | None,
    *,
    first: str | None = None,
    last: str | None = None,
    keep: bool = False,
    watch: Watch | None = None,
    **request: Any,
) -> dict[str, Any]:
    """The document of a backtest."""
    first_night, last_night = (None if each is None else date.fromisoformat(each) for each in (first, last))
    given = {"label_delay_hours": 24.0, "workspace": None, **request}
    asked = Request(first_night, last_night, folder=folder, **given)
    return backtest(settings, asked, keep=keep, now=NOW, progress=watch or Watch())[0]


def scratch_of(settings: Settings) -> Settings:
    """Settings that look into the scratch database beside our own."""
    return settings.model_copy(
        update={"database_url": type(settings.database_url)(beside(settings.database, scratch_name(settings.database)))}
    )


def databases(settings: Settings) -> set[str]:
    """The names of our own database and of those named after it: other tests have theirs on the same server."""
    connection = psycopg2.connect(settings.database)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, current_database())")
        found = {name for (name,) in cursor.fetchall()}
    connection.close()
    return found


@pytest.fixture
def log(settings: Settings) -> Iterator[Settings]:
    """Three weeks of 130 simulated sessions up to END, and no night; a scratch database is dropped at the end."""
    simulate_into_database(settings, Simulation(130, 10, 21), end=END, now=NOW, progress=silent)
    yield settings.model_copy(update=QUICK)
    drop_scratch(settings.database)
