"""How many sessions have a label by now, by the night whose prediction stood for them."""

from datetime import datetime, timedelta

import pytest

from studyml.database.source import count_dated
from studyml.monitoring.ledger import count_outcomes
from studyml.settings import Settings
from studyml.steps.label_coverage import label_coverage
from studyml.steps.observe import observe
from studyml.steps.opening import own_database, read_source
from tests.conftest import END, NOW
from tests.scoring.world import add_sessions, create_source, finish, query

DAY, TICK = timedelta(days=1), timedelta(microseconds=1)


@pytest.fixture
def world(settings: Settings) -> Settings:
    """An empty source."""
    create_source(settings)
    return settings


def covered(settings: Settings, as_of: datetime = END, days: int = 30) -> list[tuple[datetime | None, int, int]]:
    with own_database(settings) as connection:
        found = label_coverage(settings, connection, as_of=as_of, window_days=days)
    return [
        (row["prediction_date"] and datetime.fromisoformat(row["prediction_date"]), row["sessions"], row["labelled"])
        for row in found
    ]


def test_a_session_belongs_to_the_newest_night_strictly_before_it(world: Settings) -> None:
    for night in (END - 3 * DAY, END - 2 * DAY, END):
        finish(world, night)
    add_sessions(
        world,
        [
            (1, END - 3 * DAY, 1.0),  # at the very instant of the first night: that one did not predict it
            (2, END - 3 * DAY + TICK, 1.0),
            (3, END - 2 * DAY, None),
            (4, END - 2 * DAY + TICK, None),
            (5, END, 1.0),
        ],
    )
    observe(world, as_of=END, now=NOW)

    assert covered(world) == [(None, 1, 1), (END - 3 * DAY, 2, 1), (END - 2 * DAY, 2, 1)]


def test_a_night_that_did_not_finish_predicted_nevertheless_and_one_without_sessions_is_left_out(
    world: Settings,
) -> None:
    for night in (END - 3 * DAY, END - 2 * DAY, END - DAY):
        finish(world, night)
    query(world, "UPDATE studyml.nights SET finished_at = NULL WHERE as_of = %s", END - DAY)
    add_sessions(world, [(1, END - 2.5 * DAY, None), (2, END - DAY / 2, 1.0)])
    observe(world, as_of=END, now=NOW)

    assert covered(world) == [(END - 3 * DAY, 1, 0), (END - DAY, 1, 1)]


def test_the_night_before_the_window_stands_for_what_comes_first_in_it(world: Settings) -> None:
    for night in (END - 40 * DAY, END - 35 * DAY, END - 20 * DAY):
        finish(world, night)
    add_sessions(world, [(1, END - 30 * DAY, 1.0), (2, END - 29 * DAY, 1.0), (3, END - DAY, None)])
    observe(world, as_of=END, now=NOW)

    assert covered(world) == [(END - 35 * DAY, 1, 1), (END - 20 * DAY, 1, 0)]


def test_without_any_night_no_prediction_stood(world: Settings) -> None:
    add_sessions(world, [(1, END - DAY, 1.0), (2, END - DAY, None)])
    observe(world, as_of=END, now=NOW)

    assert covered(world) == [(None, 2, 1)]
    assert covered(world, days=1) == []


def test_a_past_night_counts_the_labels_it_had(world: Settings) -> None:
    finish(world, END - 5 * DAY)
    query(world, "UPDATE studyml.nights SET finished_at = NULL")
    add_sessions(world, [(1, END - 4 * DAY, None), (2, END - 4 * DAY, 1.0)])
    observe(world, as_of=END, now=NOW)
    query(world, "UPDATE study_sessions SET actual_duration = CASE id WHEN 1 THEN 2.0 END")
    observe(world, as_of=END + DAY, now=END + DAY)
    query(world, "UPDATE study_sessions SET actual_duration = 3")
    observe(world, as_of=END + 2 * DAY, now=END + 2 * DAY)

    labelled = [covered(world, as_of=END + days * DAY) for days in (0, 1, 2)]

    assert labelled == [[(END - 5 * DAY, 2, 1)], [(END - 5 * DAY, 2, 1)], [(END - 5 * DAY, 2, 2)]]


def test_the_rows_sum_to_what_the_coverage_of_the_window_is_made_of(simulated: Settings) -> None:
    for number in range(0, 60, 7):
        finish(simulated, END - number * DAY)
    query(simulated, "UPDATE studyml.nights SET finished_at = NULL")
    query(simulated, "UPDATE study_sessions SET actual_duration = NULL WHERE id % 5 = 0")
    observe(simulated, as_of=END, now=NOW)
    start = END - 30 * DAY

    rows = covered(simulated)

    sessions = read_source(simulated, lambda source: count_dated(source, "public", after=start, through=END))
    with own_database(simulated) as connection:
        outcomes = count_outcomes(connection, after=start, as_of=END)
    assert len(rows) == 5
    assert (sum(row[1] for row in rows), sum(row[2] for row in rows)) == (sessions, outcomes)
    assert 0 < outcomes < sessions
