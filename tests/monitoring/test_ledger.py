"""The ledger of outcomes, night by night, against a computation from scratch."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg2
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from studyml.monitoring.ledger import new_labels, training_labels
from studyml.monitoring.rolling import SERVED, rolling_errors
from studyml.settings import Settings
from studyml.steps.observe import observe
from tests.conftest import END, NOW
from tests.scoring.world import VERSION, add_champion, add_sessions, create_source, finish, predict_night, query, scalar

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


# Against a computation from scratch: any order of arrivals, corrections, removals and deletions.

NIGHTS = [END + number * DAY for number in range(0, 24, 3)]
SESSIONS = range(1, 9)
WINDOW, CORRECTIONS = 10, 15

hours = st.sampled_from([None, 0.5, 1.0, 2.25])
histories = st.fixed_dictionaries(
    {
        "dates": st.lists(st.integers(-5, 20), min_size=len(SESSIONS), max_size=len(SESSIONS)),
        # Before each night: label, relabel or unlabel (None) a session, or delete it.
        "changes": st.lists(
            st.lists(st.tuples(st.sampled_from(SESSIONS), st.one_of(hours, st.just("deleted"))), max_size=5),
            min_size=len(NIGHTS),
            max_size=len(NIGHTS),
        ),
        # In each night: the sessions that get a prediction, and how long.
        "predictions": st.lists(
            st.dictionaries(st.sampled_from(SESSIONS), st.sampled_from([1.0, 1.5, 3.0]), max_size=8),
            min_size=len(NIGHTS),
            max_size=len(NIGHTS),
        ),
    }
)


@dataclass
class FromScratch:
    """What the ledger must say, kept in Python: (observed_at, hours, served prediction) of each revision."""

    known: dict[int, list[tuple[datetime, float | None, float | None]]] = field(default_factory=dict)
    arrivals: list[datetime] = field(default_factory=list)

    def observe(
        self,
        as_of: datetime,
        dates: dict[int, datetime],
        labels: dict[int, float | None],
        served: dict[int, float],
    ) -> None:
        for session, date in dates.items():
            label = labels.get(session)
            if date > as_of:
                continue
            if session not in self.known:
                if label is not None:
                    self.known[session] = [(as_of, label, served.get(session))]
                    self.arrivals.append(as_of)
            elif self.known[session][-1][1] != label and date > as_of - CORRECTIONS * DAY:
                self.known[session].append((as_of, label, self.known[session][0][2]))

    def rolling(self, as_of: datetime, dates: dict[int, datetime]) -> tuple[int, float | None]:
        errors = []
        for session, found in self.known.items():
            current = [each for each in found if each[0] <= as_of][-1:]
            inside = as_of - WINDOW * DAY < dates[session] <= as_of
            errors += [abs(h - p) for _, h, p in current if inside and h is not None and p is not None]
        return len(errors), sum(errors) / len(errors) if errors else None


@hypothesis_settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories)
def test_every_night_says_what_a_computation_from_scratch_says(world: Settings, history: dict[str, list]) -> None:
    settings = world.model_copy(
        update={"monitoring_window_days": WINDOW, "correction_window_days": CORRECTIONS, "scoring_horizon_days": 100}
    )
    query(
        settings,
        "TRUNCATE study_sessions, studyml.outcomes, studyml.outcome_predictions, studyml.predictions,"
        " studyml.history_observations, studyml.history_states, studyml.history_expectations",
    )
    dates = {session: END + days * DAY for session, days in zip(SESSIONS, history["dates"], strict=True)}
    add_sessions(settings, [(session, date, None) for session, date in dates.items()])
    expected, labels, served = FromScratch(), dict[int, float | None](), dict[int, float]()

    for night, changes, predictions in zip(NIGHTS, history["changes"], history["predictions"], strict=True):
        for session, change in changes:
            if change == "deleted":
                query(settings, "DELETE FROM study_sessions WHERE id = %s", session)
                labels[session] = None
            else:
                set_label(settings, session, change)
                exists = scalar(settings, "SELECT count(*) FROM study_sessions WHERE id = %s", session)
                labels[session] = change if exists else None
        look(settings, night)
        expected.observe(night, dates, labels, served)
        predict_night(settings, night, list(predictions.items()))
        served |= predictions

    connection = psycopg2.connect(settings.database)
    for as_of in NIGHTS:
        found = rolling_errors(connection, as_of=as_of, window_days=WINDOW)
        n, mae = expected.rolling(as_of, dates)
        assert (found[0].scope, found[0].n) == (SERVED, n)
        assert found[0].mae == (None if mae is None else pytest.approx(mae))
        assert [each.n for each in found[1:] if each.scope == VERSION] == ([n] if n else [])
        for consumed in (0, 2):
            arrived = [moment for moment in expected.arrivals if moment <= as_of]
            newest = scalar(settings, "SELECT coalesce(min(outcome_id), 1) - 1 FROM studyml.outcomes")
            seen = scalar(
                settings,
                "SELECT count(*) FROM studyml.outcomes WHERE revision = 1 AND outcome_id <= %s AND observed_at <= %s",
                newest + consumed,
                as_of,
            )
            assert new_labels(connection, consumed_through=newest + consumed, as_of=as_of)[0] == len(arrived) - seen
    connection.close()
