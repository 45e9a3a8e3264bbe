"""Year-long rehearsals: a healthy year, a year with a shift on a known day, and two real logs."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from studyml.database.scratch import drop_scratch
from studyml.hyperparameters import Hyperparameters
from studyml.settings import Settings
from studyml.simulation import Simulation
from studyml.steps.load import load, simulate_into_database
from tests.conftest import END, NOW, silent
from tests.steps.backtests import replay

pytestmark = [pytest.mark.deployment, pytest.mark.timeout(1800)]

#: Ten sessions a day, and a network good enough to be told from a worse one; the baseline is what it reaches.
YEAR = Simulation(sessions=3650, students=60, days=365)
SETTINGS: dict[str, Any] = {
    "architecture": "mlp",
    "recipe": "selected",
    "hyperparameters": Hyperparameters(epochs=40),
    "retrain_min_labels": 600,
    "baseline_mae": 1.15,
}
SHIFT_DAY = 240
FIRST = "2025-05-01"


@pytest.fixture
def make_log(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., Settings]]:
    """Settings over a database with a log, by a function that fills it; its scratch database is dropped at the end."""
    made: list[Settings] = []

    def make(fill: Callable[[Settings], Any], **overrides: Any) -> Settings:
        settings = make_settings(**overrides)
        fill(settings)
        made.append(settings)
        return settings

    yield make
    for settings in made:
        drop_scratch(settings.database)


def simulated(plan: Simulation) -> Callable[[Settings], Any]:
    return lambda settings: simulate_into_database(settings, plan, end=END, now=NOW, progress=silent)


def degradations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in document["incidents"] if each["kind"] == "degraded"]


def test_a_healthy_year_pages_nobody_and_beats_the_naive_predictors(
    make_log: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_log(simulated(YEAR), **SETTINGS)

    document = replay(settings, tmp_path / "out", first=FIRST)

    assert document["summary"]["nights"] == 305
    assert document["summary"]["pages"] == 0
    assert degradations(document) == []
    assert document["summary"]["promoted"] >= 1
    mae = document["served"]["mae"]
    assert mae["served"] < 0.8 * min(mae["median"], mae["estimate"])
    assert document["served"]["against"]["median"]["upper_bound"] < 0.85
    assert 0.75 < document["served"]["coverage"]["80"]["share"] < 0.85


def test_a_shift_pages_within_three_weeks_never_before_and_a_retraining_follows_it(
    make_log: Callable[..., Settings], tmp_path: Path
) -> None:
    shifted = Simulation(YEAR.sessions, YEAR.students, YEAR.days, shift=1.4, shift_day=SHIFT_DAY)
    settings = make_log(simulated(shifted), **SETTINGS)
    known = END - timedelta(days=YEAR.days - SHIFT_DAY)

    document = replay(settings, tmp_path / "out", first=FIRST)

    found = degradations(document)
    opened = [datetime.fromisoformat(each["opened_as_of"]) for each in found]
    paged = [
        datetime.fromisoformat(event["as_of"])
        for each in found
        for event in each["events"]
        if event["has_message"] and event["severity"] == "page"
    ]
    assert known < min(opened) <= min(paged) <= known + timedelta(days=21)
    assert document["summary"]["pages"] >= 1
    # An incident asks for one retraining, before 100 sessions since are labelled; one that comes later follows.
    assert [each["reason"] for each in document["retrainings"]].count("degraded") >= 1
    after = [each["served"] for each in document["served"]["months"] if each["month"] > f"{known:%Y-%m}"]
    assert after[-1] < 0.75 * max(after)
    # A higher threshold sees it later, if at all; a lower one is no later.
    first = {
        each["ratio"]: each["opened"][0] if each["opened"] else "never"
        for each in document["thresholds"]
        if each["rule"] == "suspected" and each["minimum_outcomes"] == 10
    }
    assert first[1.1] <= first[1.2] <= first[1.3] <= first[1.5]


@pytest.mark.parametrize("name", ["kaist", "toggl_student"])
def test_a_real_log_is_replayed_whole(
    make_log: Callable[..., Settings], tmp_path: Path, request: pytest.FixtureRequest, name: str
) -> None:
    folder = request.getfixturevalue(name)
    overrides = SETTINGS | {"retrain_min_labels": 250, "baseline_mae": 0.42, "recipe": "history"}
    settings = make_log(lambda each: load(each, folder, now=NOW, progress=silent), **overrides)

    document = replay(settings, tmp_path / "out")

    assert document["summary"]["nights"] == len(document["nights"]) > 10
    assert document["served"]["n"] + document["served"]["not_predicted"] == document["rows"]["labelled"]
    assert document["served"]["n"] > 500
    mae = document["served"]["mae"]
    # No model beats the naive predictors here: the gates must not let one serve that is much worse.
    assert mae["served"] < 1.05 * min(mae["median"], mae["estimate"])
    assert sum(part["n"] for part in document["served"]["months"]) == document["served"]["n"]
    assert datetime.fromisoformat(document["nights"][0]["as_of"]).astimezone(UTC).hour == 1
