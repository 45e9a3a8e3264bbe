"""Which sessions are planned, and which version scores them."""

from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from studyml.errors import RegistryError
from studyml.settings import Settings
from studyml.steps.observe import observe
from studyml.steps.plan_scoring import plan_scoring
from tests.conftest import END, NOW
from tests.scoring.world import EARLIER, VERSION, add_champion, add_sessions, create_source, finish, query, scalar

DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
HORIZON, GRACE = 31, 7


@pytest.fixture
def world(settings: Settings) -> Settings:
    """A champion since long ago and an empty source."""
    create_source(settings)
    add_champion(settings, END - 100 * DAY)
    return settings


def planned(settings: Settings, as_of: datetime = END) -> list[int]:
    """The ids of the planned sessions."""
    run = plan_scoring(settings, as_of=as_of, now=NOW)["scoring_run_id"]
    return [
        session
        for (session,) in query(settings, f"SELECT session_id FROM studyml.refused_build_{run} ORDER BY session_id")
    ]


@pytest.mark.parametrize(
    ("date", "is_planned"),
    [
        (END + TICK, True),
        (END + HORIZON * DAY, True),
        (END + HORIZON * DAY + TICK, False),
        (END, True),
        (END - GRACE * DAY + TICK, True),
        (END - GRACE * DAY, False),
        (END - 100 * DAY, False),
        (None, False),
    ],
)
def test_planned_is_up_to_31_days_ahead_and_in_the_7_days_before(
    world: Settings, date: datetime | None, is_planned: bool
) -> None:
    add_sessions(world, [(1, date, None)])

    assert planned(world) == ([1] if is_planned else [])


def test_after_as_of_a_session_is_planned_whatever_its_row_holds_by_now(world: Settings) -> None:
    add_sessions(world, [(1, END + DAY, 2.0)])
    query(world, "UPDATE study_sessions SET breaks_taken = 3, comprehension_score = 5")

    assert planned(world) == [1]
    observe(world, as_of=END + 2 * DAY, now=NOW + 2 * DAY)
    assert planned(world) == [1]


def test_up_to_as_of_a_session_is_planned_until_its_outcome_was_observed(world: Settings) -> None:
    add_sessions(world, [(1, END - DAY, None), (2, END - DAY, 2.0)])
    observe(world, as_of=END, now=NOW)

    assert planned(world) == [1]
    assert planned(world, END - DAY) == [1, 2]


def test_a_session_whose_label_was_removed_is_planned_again(world: Settings) -> None:
    add_sessions(world, [(1, END - 2 * DAY, 2.0)])
    observe(world, as_of=END - DAY, now=NOW)
    query(world, "UPDATE study_sessions SET actual_duration = NULL")
    observe(world, as_of=END, now=NOW)

    assert planned(world) == [1]
    assert planned(world, END - DAY) == []


sessions = st.lists(st.tuples(st.integers(-9 * 24, 33 * 24), st.sampled_from([None, 1.0])), min_size=1, max_size=30)


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=sessions, size=st.integers(1, 7))
def test_planned_sessions_are_exactly_those_of_the_definition_each_in_one_range(
    world: Settings, rows: list[tuple[int, float | None]], size: int
) -> None:
    query(
        world,
        "TRUNCATE study_sessions, studyml.outcomes, studyml.history_observations, studyml.history_states,"
        " studyml.history_expectations CASCADE",
    )
    dated = [(3 * number, END + timedelta(hours=hours), label) for number, (hours, label) in enumerate(rows, 1)]
    add_sessions(world, dated)
    observe(world, as_of=END, now=NOW)
    expected = [
        each
        for each, date, label in dated
        if END < date <= END + HORIZON * DAY or (END - GRACE * DAY < date <= END and label is None)
    ]

    ranged = world.model_copy(update={"scoring_range_sessions": size})
    ranges = plan_scoring(ranged, as_of=END, now=NOW)["ranges"]

    assert planned(ranged) == expected
    assert [sum(first <= each <= last for first, last in ranges) for each in expected] == [1] * len(expected)
    assert all(sum(first <= each <= last for each in expected) <= size for first, last in ranges)


def test_nothing_planned_is_a_plan_without_ranges(world: Settings) -> None:
    found = plan_scoring(world, as_of=END, now=NOW, dag_run_id="manual__1")

    assert found["ranges"] == []
    assert query(world, "SELECT planned, status, versions, dag_run_id FROM studyml.scoring_runs") == [
        (0, "running", [VERSION], "manual__1")
    ]


def test_the_horizon_and_the_grace_are_settings(world: Settings) -> None:
    add_sessions(world, [(1, END + 2 * DAY, None), (2, END + DAY, None), (3, END, None), (4, END - DAY, None)])
    narrow = world.model_copy(update={"scoring_horizon_days": 1, "scoring_grace_days": 1})

    assert planned(narrow) == [2, 3]


def test_the_newest_night_is_scored_by_the_present_champion_also_where_it_came_later(world: Settings) -> None:
    finish(world, END)
    add_champion(world, END + DAY, version="v_20260302_000000")

    run = plan_scoring(world, as_of=END, now=NOW)["scoring_run_id"]

    assert scalar(world, "SELECT versions FROM studyml.scoring_runs WHERE id = %s", run) == ["v_20260302_000000"]


def test_a_replay_is_scored_by_the_champion_of_its_time(world: Settings) -> None:
    finish(world, END)
    add_champion(world, END - DAY, version="v_20260228_000000")

    for as_of, version in ((END - 2 * DAY, VERSION), (END - DAY, "v_20260228_000000")):
        run = plan_scoring(world, as_of=as_of, now=NOW)["scoring_run_id"]
        assert scalar(world, "SELECT versions FROM studyml.scoring_runs WHERE id = %s", run) == [version]


def test_a_replay_older_than_any_deployment_is_refused_with_what_would_work(settings: Settings) -> None:
    create_source(settings)
    add_champion(settings, END - DAY, version=EARLIER)
    finish(settings, END)

    with pytest.raises(
        RegistryError,
        match=r"no version served at 2026-02-01 00:00 UTC: replay a night that is not older than the first deployment",
    ):
        plan_scoring(settings, as_of=END - 28 * DAY, now=NOW)


def test_without_a_champion_the_cure_is_named(settings: Settings) -> None:
    create_source(settings)

    with pytest.raises(RegistryError, match="run 'studyml retrain', the first publishes one"):
        plan_scoring(settings, as_of=END, now=NOW)
    assert scalar(settings, "SELECT count(*) FROM studyml.scoring_runs") == 0


def test_naive_times_are_read_in_the_time_zone_of_the_source(world: Settings) -> None:
    add_sessions(world, [(1, None, None), (2, None, None)])
    query(world, "ALTER TABLE study_sessions ALTER session_date TYPE timestamp")
    # Midnight UTC is one o'clock in Berlin: the horizon ends then.
    query(world, "UPDATE study_sessions SET session_date = '2026-04-01 02:00' WHERE id = 1")
    query(world, "UPDATE study_sessions SET session_date = '2026-04-01 02:01' WHERE id = 2")
    berlin = world.model_copy(update={"source_timezone": "Europe/Berlin"})

    assert planned(berlin) == [1]
    assert planned(world) == []
