"""What a night reads of the source: what may be new; and what only the weekly comparison of everything finds."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from studyml.settings import Settings
from studyml.steps import compare_labels as module
from studyml.steps.observe import observe
from tests.conftest import END, NOW
from tests.scoring.world import add_sessions, create_source, query, scalar

DAY = timedelta(days=1)
NOTHING = (0, 0, 0, 0)


@pytest.fixture
def world(settings: Settings) -> Settings:
    """A source with two sessions of yesterday, ids 100 (labelled) and 50 (not), observed at END."""
    create_source(settings)
    add_sessions(settings, [(100, END - DAY, 1.0), (50, END - DAY, None)])
    look(settings)
    return settings


def look(settings: Settings, days: float = 0, **options: bool) -> tuple[int, int, int, int]:
    """(new, corrected, removed, quarantined) of the night so many days after END."""
    night = END + days * DAY
    found = observe(settings, as_of=night, now=max(NOW, night), **options)
    return found["new"], found["corrected"], found["removed"], found["quarantined"]


def waiting(settings: Settings) -> list[int]:
    return [each for (each,) in query(settings, "SELECT session_id FROM studyml.unlabelled_sessions ORDER BY 1")]


def seen_through(settings: Settings) -> int:
    return scalar(settings, "SELECT seen_through FROM studyml.observations ORDER BY as_of DESC LIMIT 1")


def set_label(settings: Settings, session: int, hours: float | None) -> None:
    query(settings, "UPDATE study_sessions SET actual_duration = %s WHERE id = %s", hours, session)


def test_the_label_of_a_session_300_days_old_is_observed_in_the_night_after_it_arrives(settings: Settings) -> None:
    create_source(settings)
    add_sessions(settings, [(1, END - 300 * DAY, None), (2, END - DAY, 1.0)])
    assert look(settings) == (1, 0, 0, 0)
    assert look(settings, 1) == NOTHING

    set_label(settings, 1, 2.0)

    assert look(settings, 2) == (1, 0, 0, 0)
    assert look(settings, 3) == look(settings, 3, compare_all=True) == NOTHING


def test_a_session_that_never_came_to_the_window_is_observed_however_long_no_night_was_lived(world: Settings) -> None:
    add_sessions(world, [(60, END + DAY, None)])
    look(world, 0.5)
    set_label(world, 60, 2.0)

    assert look(world, 3 * world.correction_window_days) == (1, 0, 0, 0)


def test_a_low_id_with_a_recent_date_is_found_by_its_date(world: Settings) -> None:
    add_sessions(world, [(7, END - 30 * DAY, 2.0)])

    assert look(world, 1) == (1, 0, 0, 0)


def test_a_low_id_is_found_by_a_date_that_left_the_window_in_nights_that_were_not_lived(world: Settings) -> None:
    window = world.correction_window_days
    add_sessions(world, [(7, END - (window - 2) * DAY, 2.0)])

    assert look(world, 6) == (1, 0, 0, 0)


def test_a_low_id_with_an_old_date_is_found_by_the_comparison_of_everything(world: Settings) -> None:
    add_sessions(world, [(7, END - 300 * DAY, 2.0), (8, END - 300 * DAY, None)])

    assert look(world, 1) == NOTHING
    assert look(world, 1, compare_all=True) == (1, 0, 0, 0)
    set_label(world, 8, 3.0)
    assert look(world, 2) == (1, 0, 0, 0), "from then on it is waited for"


def test_a_row_that_was_committed_after_one_with_a_higher_id_is_found_in_the_next_night(world: Settings) -> None:
    add_sessions(world, [(200, END - 300 * DAY, 1.0)])
    assert look(world, 1) == (1, 0, 0, 0)
    add_sessions(world, [(150, END - 300 * DAY, 1.0)])

    assert look(world, 1.5) == (1, 0, 0, 0)


def test_a_session_waits_until_it_is_labelled_or_gone(world: Settings) -> None:
    assert waiting(world) == [50]
    add_sessions(world, [(101, END + DAY, None), (102, None, None), (103, END + 9 * DAY, None), (104, END, -1.0)])
    assert look(world, 2) == (0, 0, 0, 1)
    assert waiting(world) == [50, 101, 102, 104], "its date reached or missing, or its label impossible"

    set_label(world, 50, 2.0)
    query(world, "DELETE FROM study_sessions WHERE id IN (101, 104)")
    look(world, 3)
    assert 50 not in waiting(world)
    look(world, 3, compare_all=True)
    assert waiting(world) == [102]


def test_an_undated_session_is_observed_when_it_gets_date_and_label(world: Settings) -> None:
    add_sessions(world, [(102, None, None)])
    look(world, 1)
    query(world, "UPDATE study_sessions SET session_date = %s, actual_duration = 2 WHERE id = 102", END - 200 * DAY)

    assert look(world, 2) == (1, 0, 0, 0)


def test_an_outcome_follows_its_session_to_another_date(world: Settings) -> None:
    for night, date in ((1, END - 2 * DAY), (2, END - 200 * DAY)):
        query(world, "UPDATE study_sessions SET session_date = %s WHERE id = 100", date)

        assert look(world, night) == (0, 1, 0, 0)
        assert look(world, night + 0.5) == look(world, night + 0.5, compare_all=True) == NOTHING
        newest = "SELECT session_date, actual_hours FROM studyml.outcomes ORDER BY revision DESC LIMIT 1"
        assert query(world, newest) == [(date, 1.0)]


def test_a_session_moved_to_a_day_to_come_has_no_outcome_until_then(world: Settings) -> None:
    query(world, "UPDATE study_sessions SET session_date = %s WHERE id = 100", END + 5 * DAY)
    assert look(world, 2) == (0, 0, 1, 1), "its day is still to come, and a label cannot be known before"
    assert look(world, 6) == (0, 1, 0, 0)
    assert scalar(world, "SELECT max(session_date) FROM studyml.outcomes WHERE revision = 2") == END - DAY


def test_a_session_moved_out_of_the_window_of_its_removal_counts_by_its_newest_revision(world: Settings) -> None:
    query(world, "UPDATE study_sessions SET session_date = %s WHERE id = 100", END + 100 * DAY)
    assert observe(world, as_of=END + DAY, now=END + DAY)["removed"] == 1
    query(world, "UPDATE study_sessions SET session_date = %s WHERE id = 100", END + DAY)
    assert look(world, 2) == (0, 1, 0, 0)

    assert look(world, world.correction_window_days + 3) == NOTHING


def test_ids_of_any_sign_and_size_are_observed(world: Settings) -> None:
    add_sessions(world, [(-(2**63) + 1, END, 1.0), (2**63 - 1, END, 1.0), (-5, END, None)])

    assert look(world, 1) == (2, 0, 0, 0)
    assert seen_through(world) == 2**63 - 1
    assert waiting(world) == [-5, 50]


def test_an_emptied_ledger_reads_everything_again(world: Settings) -> None:
    query(world, "TRUNCATE studyml.outcomes, studyml.outcome_predictions, studyml.history_observations,"
                 " studyml.history_states, studyml.history_expectations")  # fmt: skip

    assert look(world, 100) == (1, 0, 0, 0)


def test_a_ledger_of_before_there_were_observations_reads_everything_in_its_next_night(world: Settings) -> None:
    query(world, "TRUNCATE studyml.observations, studyml.unlabelled_sessions")
    add_sessions(world, [(1, END - 300 * DAY, 2.0), (2, END - 300 * DAY, None)])

    assert look(world, 1) == (1, 0, 0, 0)
    assert waiting(world) == [2, 50]


def test_a_night_before_one_that_found_nothing_is_observed_as_if_it_came_in_order(settings: Settings) -> None:
    create_source(settings)
    add_sessions(settings, [(1, END - 90 * DAY, None)])
    look(settings, 1)
    set_label(settings, 1, 1.0)
    add_sessions(settings, [(2, END + DAY, None)])

    assert look(settings) == (1, 0, 0, 0)
    assert scalar(settings, "SELECT max(as_of) FROM studyml.observations") == END
    set_label(settings, 2, 1.0)
    assert look(settings, 2) == (1, 0, 0, 0)


def test_everything_is_compared_in_blocks(world: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK_ROWS", 3)
    add_sessions(world, [(each, END - 200 * DAY, 1.0) for each in range(1, 40) if each % 4])
    assert look(world, 1, compare_all=True) == (30, 0, 0, 0)
    query(world, "UPDATE study_sessions SET actual_duration = 2 WHERE id % 3 = 0")
    query(world, "DELETE FROM study_sessions WHERE id BETWEEN 10 AND 19 OR id >= 37")

    corrected = scalar(world, "SELECT count(*) FROM study_sessions WHERE actual_duration = 2")
    removed = 32 - 1 - scalar(world, "SELECT count(*) FROM study_sessions WHERE actual_duration IS NOT NULL")
    assert look(world, 2, compare_all=True) == (0, corrected, removed, 0)
    assert look(world, 2, compare_all=True) == NOTHING


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many rows of the source and of the ledger have been read."""
    total = 0

    def counting(name: str) -> None:
        original = getattr(module, name)

        def counted(*arguments: object, **named: object) -> object:
            nonlocal total
            found = original(*arguments, **named)
            total += len(found)
            return found

        monkeypatch.setattr(module, name, counted)

    for name in ("read_recent_labels", "read_labels_of", "read_recorded_since", "read_recorded_of"):
        counting(name)
    monkeypatch.setattr(module, "read_all_labels", lambda *_, **__: pytest.fail("everything was read"))
    return lambda: total


def test_a_night_reads_what_is_new_and_the_window_however_much_there_is(
    world: Settings, rows_read: Callable[[], int]
) -> None:
    query(
        world,
        "INSERT INTO study_sessions (id, student_id, topic_id, session_date, actual_duration) SELECT 1000 + g, 1, 1,"
        " %s::timestamptz - interval '1 day' * (100 + g %% 900), 1 FROM generate_series(1, 5000) AS g",
        END,
    )
    look(world, 1)
    assert rows_read() > 5000, "new rows of any date"
    look(world, 3)
    before = rows_read()

    set_label(world, 50, 2.0)
    assert look(world, 4) == (1, 0, 0, 0)

    assert rows_read() - before <= 5
