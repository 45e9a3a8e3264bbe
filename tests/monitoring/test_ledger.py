"""The ledger of outcomes: what counts of each session, and which prediction stood for it."""

from datetime import datetime, timedelta

import psycopg2
import pytest

from studyml.monitoring.ledger import new_labels, training_labels
from studyml.settings import Settings
from studyml.steps.observe import observe
from tests.conftest import END, NOW
from tests.scoring.world import add_champion, add_sessions, create_source, finish, predict_night, query, scalar

DAY = timedelta(days=1)


@pytest.fixture
def world(settings: Settings) -> Settings:
    """An empty source and a champion since long ago."""
    create_source(settings)
    add_champion(settings, END - 100 * DAY)
    return settings


def look(settings: Settings, as_of: datetime, **options: bool) -> dict[str, int | bool]:
    return observe(settings, as_of=as_of, now=max(as_of, NOW), **options)


def set_label(settings: Settings, session: int, hours: float | None) -> None:
    query(settings, "UPDATE study_sessions SET actual_duration = %s WHERE id = %s", hours, session)


def revisions(settings: Settings, session: int = 1) -> list[tuple[int, float | None, datetime]]:
    return query(
        settings,
        "SELECT revision, actual_hours, observed_at FROM studyml.outcomes WHERE session_id = %s ORDER BY revision",
        session,
    )


def stood_for(settings: Settings, session: int = 1) -> list[tuple[int, datetime, float, float | None]]:
    return query(
        settings,
        "SELECT revision, as_of, predicted_hours, error_hours FROM studyml.outcome_predictions WHERE session_id = %s"
        " ORDER BY revision",
        session,
    )


def labels_counted(settings: Settings, as_of: datetime, consumed: int = 0) -> int:
    connection = psycopg2.connect(settings.database)
    try:
        return new_labels(connection, consumed_through=consumed, as_of=as_of)[0]
    finally:
        connection.close()


def test_an_outcome_is_observed_once(world: Settings) -> None:
    add_sessions(world, [(1, END, 2.0)])

    assert look(world, END)["new"] == 1
    assert look(world, END)["new"] == 0
    assert look(world, END + DAY)["new"] == 0
    assert revisions(world) == [(1, 2.0, END)]


def test_a_session_of_this_very_instant_is_observed_and_a_later_one_is_not(world: Settings) -> None:
    add_sessions(world, [(1, END, 2.0), (2, END + timedelta(microseconds=1), 2.0)])

    assert look(world, END)["new"] == 1


def test_the_served_prediction_is_that_of_the_newest_night_before_the_outcome_was_seen(world: Settings) -> None:
    for night, hours in ((-3, 1.0), (-2, 2.0), (-1, 3.0), (0, 9.0)):
        predict_night(world, END + night * DAY, [(1, hours)])
    add_sessions(world, [(1, END - DAY, 5.0)])

    look(world, END)

    assert stood_for(world) == [(1, END - DAY, 3.0, 2.0)]


def test_a_late_label_is_judged_by_the_last_night_that_predicted_it(world: Settings) -> None:
    predict_night(world, END - 40 * DAY, [(1, 1.5)])
    predict_night(world, END - 20 * DAY, [(2, 1.5)])
    add_sessions(world, [(1, END - 39 * DAY, 2.0)])

    look(world, END)

    assert stood_for(world) == [(1, END - 40 * DAY, 1.5, 0.5)]


def test_a_session_that_was_moved_back_is_judged_by_the_prediction_it_had_last(world: Settings) -> None:
    predict_night(world, END - 40 * DAY, [(1, 1.0)])
    predict_night(world, END - DAY, [(1, 3.0)])
    add_sessions(world, [(1, END - 39 * DAY, 2.0)])

    look(world, END)

    assert stood_for(world) == [(1, END - DAY, 3.0, -1.0)]


def test_an_outcome_without_a_prediction_is_a_label_that_judges_nothing(world: Settings) -> None:
    add_sessions(world, [(1, END - DAY, 2.0)])

    look(world, END)

    assert labels_counted(world, END) == 1
    assert stood_for(world) == []


def test_champion_and_challenger_are_both_kept_and_each_knows_whether_it_was_served(world: Settings) -> None:
    predict_night(world, END - DAY, [(1, 1.0)])
    predict_night(world, END - DAY, [(1, 4.0)], role="challenger", version="v_challenger", served=False)
    add_sessions(world, [(1, END - DAY, 2.0)])

    look(world, END)

    found = query(world, "SELECT role, served, error_hours FROM studyml.outcome_predictions ORDER BY role")
    assert found == [("challenger", False, -2.0), ("champion", True, 1.0)]


def test_a_correction_is_a_new_revision_with_the_prediction_of_the_first(world: Settings) -> None:
    predict_night(world, END - 2 * DAY, [(1, 1.0)])
    add_sessions(world, [(1, END - DAY, 2.0)])
    look(world, END)
    predict_night(world, END + DAY, [(1, 7.0)])
    set_label(world, 1, 3.0)

    assert look(world, END + 2 * DAY)["corrected"] == 1
    assert revisions(world) == [(1, 2.0, END), (2, 3.0, END + 2 * DAY)]
    assert stood_for(world) == [(1, END - 2 * DAY, 1.0, 1.0), (2, END - 2 * DAY, 1.0, 2.0)]


def test_a_correction_is_not_a_new_label(world: Settings) -> None:
    add_sessions(world, [(1, END - DAY, 2.0)])
    look(world, END)
    set_label(world, 1, 3.0)
    look(world, END + DAY)

    assert labels_counted(world, END + DAY) == 1


def test_a_removed_label_is_a_revision_without_hours_and_one_added_again_another(world: Settings) -> None:
    add_sessions(world, [(1, END - DAY, 2.0)])
    look(world, END)
    set_label(world, 1, None)
    assert look(world, END + DAY)["removed"] == 1
    set_label(world, 1, 2.0)
    assert look(world, END + 2 * DAY)["corrected"] == 1

    assert [(revision, hours) for revision, hours, _ in revisions(world)] == [(1, 2.0), (2, None), (3, 2.0)]
    assert labels_counted(world, END + 2 * DAY) == 1


def test_a_deleted_session_counts_as_removed_once(world: Settings) -> None:
    add_sessions(world, [(1, END - DAY, 2.0)])
    look(world, END)
    query(world, "DELETE FROM study_sessions")

    assert look(world, END + DAY)["removed"] == 1
    assert look(world, END + 2 * DAY)["removed"] == 0
    assert revisions(world)[-1] == (2, None, END + DAY)


@pytest.mark.parametrize("change", ["UPDATE study_sessions SET actual_duration = 3", "DELETE FROM study_sessions"])
def test_a_change_older_than_the_window_is_found_by_the_comparison_of_all_labels_only(
    world: Settings, change: str
) -> None:
    add_sessions(world, [(1, END - DAY, 2.0)])
    look(world, END)
    query(world, change)
    later = END + (world.correction_window_days - 1) * DAY

    assert look(world, later) == {"new": 0, "corrected": 0, "removed": 0, "quarantined": 0, "replay": False}
    found = look(world, later, compare_all=True)
    assert (found["corrected"], found["removed"]) in ((1, 0), (0, 1))


def test_a_night_older_than_the_newest_observation_changes_nothing(world: Settings) -> None:
    add_sessions(world, [(1, END - 10 * DAY, 2.0), (2, END, 2.0)])
    look(world, END)

    assert look(world, END - 5 * DAY)["removed"] == 0
    assert [hours for _, hours, _ in revisions(world, 2)] == [2.0]


def test_a_replay_observes_nothing(world: Settings) -> None:
    add_sessions(world, [(1, END - 10 * DAY, 2.0)])
    finish(world, END)

    assert look(world, END - DAY) == {"new": 0, "corrected": 0, "removed": 0, "quarantined": 0, "replay": True}
    assert scalar(world, "SELECT count(*) FROM studyml.outcomes") == 0


def test_training_sees_the_labels_that_count_among_those_that_had_arrived(world: Settings) -> None:
    add_sessions(world, [(1, END - DAY, 2.0), (2, END - DAY, 3.0), (3, END - DAY, 4.0)])
    look(world, END)
    arrived = scalar(world, "SELECT max(outcome_id) FROM studyml.outcomes")
    set_label(world, 2, None)
    set_label(world, 3, 5.0)
    look(world, END + DAY)
    newest = scalar(world, "SELECT max(outcome_id) FROM studyml.outcomes")

    connection = psycopg2.connect(world.database)
    before, after = (training_labels(connection, through_outcome_id=each) for each in (arrived, newest))
    connection.close()

    assert [each.tolist() for each in before] == [[1, 2, 3], [2.0, 3.0, 4.0]]
    assert [each.tolist() for each in after] == [[1, 3], [2.0, 5.0]]
