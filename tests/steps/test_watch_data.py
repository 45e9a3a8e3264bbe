"""Whether the study app's data are what the contract promises, and whether outcomes still arrive."""

from datetime import datetime, timedelta

import pytest

from studyml.alerting.lifecycle import Moment
from studyml.settings import Settings
from studyml.steps.opening import own_database
from studyml.steps.watch_data import watch_data
from tests.conftest import END, NOW
from tests.scoring.world import add_champion, add_sessions, create_source, finish, judged, predict_night, query

DAY = timedelta(days=1)
UNSEEN = "study_method is not a category that the model knows"
IMPOSSIBLE = "avg_focus_duration is -5 minutes, not above 0"


@pytest.fixture
def world(settings: Settings) -> Settings:
    """A source and a champion."""
    create_source(settings)
    add_champion(settings, END - 50 * DAY)
    return settings


def watch(settings: Settings, night: float = 0) -> None:
    moment = END + night * DAY
    with own_database(settings) as connection:
        watch_data(settings, connection, Moment(moment, max(moment, NOW)))
        connection.commit()


def incidents(settings: Settings) -> list[tuple[str, str, str]]:
    return query(settings, "SELECT kind, severity, status FROM studyml.incidents ORDER BY id")


def message(settings: Settings) -> str:
    [*_, (text,)] = query(
        settings, "SELECT message_body FROM studyml.incident_events WHERE message_body IS NOT NULL ORDER BY id"
    )
    return str(text)


def observed(settings: Settings, count: int, as_of: datetime = END, first: int = 1) -> None:
    judged(settings, [(first + row, as_of - DAY, 2.0, 2.0) for row in range(count)], observed_at=as_of)


def quarantine(settings: Settings, count: int, as_of: datetime = END) -> None:
    query(
        settings,
        "INSERT INTO studyml.quarantined_rows SELECT 'study_sessions', %s || n, 'actual_duration',"
        " 'actual_duration is 25 hours, more than 24', NULL, %s, %s FROM generate_series(1, %s) n",
        f"{as_of:%m%d}",
        as_of,
        as_of,
        count,
    )


def refused_inputs(settings: Settings, sessions: range) -> None:
    """Sessions that a training of the night cannot use since their student's focus is impossible."""
    query(
        settings,
        "INSERT INTO studyml.quarantined_rows SELECT 'study_sessions', n::text, 'avg_focus_duration', %s, NULL, %s, %s"
        " FROM unnest(%s) n",
        *(IMPOSSIBLE, END, END, list(sessions)),
    )


def scored(settings: Settings, planned: int, refused: int = 0, warned: int = 0, warning: str = IMPOSSIBLE) -> None:
    query(
        settings,
        "INSERT INTO studyml.scoring_runs (as_of, versions, planned, status, started_at)"
        " VALUES (%s, '{}', %s, 'complete', %s)",
        END,
        planned,
        NOW,
    )
    query(
        settings,
        "INSERT INTO studyml.refused_sessions SELECT %s, n, 'its student does not exist' FROM generate_series(1, %s) n",
        END,
        refused,
    )
    predict_night(settings, END, [(row, 2.0) for row in range(planned - refused)])
    query(settings, "UPDATE studyml.predictions SET input_warnings = ARRAY[%s] WHERE session_id < %s", warning, warned)


class TestTheContract:
    @pytest.mark.parametrize(("good", "bad", "broken"), [(90, 10, True), (91, 9, False), (4, 4, False), (0, 5, True)])
    def test_is_broken_by_a_tenth_of_the_new_rows_and_five_at_least(
        self, world: Settings, good: int, bad: int, broken: bool
    ) -> None:
        observed(world, good)
        quarantine(world, bad)

        watch(world)

        assert incidents(world) == ([("contract_broken", "ticket", "open")] if broken else [])

    def test_its_message_counts_the_rows(self, world: Settings) -> None:
        observed(world, 30)
        quarantine(world, 10)
        watch(world)

        assert "- 10 of 40 new outcomes and rows were quarantined as impossible\n" in message(world)

    def test_its_message_names_the_columns_and_reasons_without_values(self, world: Settings) -> None:
        quarantine(world, 10)
        scored(world, 50, refused=6, warned=14)
        watch(world)

        assert (
            "- planned sessions: avg_focus_duration is not above 0 (14 rows)\n"
            "- study_sessions.actual_duration: actual_duration is more than 24 (10 rows)\n"
            "- planned sessions: its student does not exist (6 rows)\n"
        ) in message(world)
        assert "25 hours" not in message(world)

    def test_is_broken_by_planned_sessions_that_nobody_can_predict(self, world: Settings) -> None:
        scored(world, 50, refused=5)
        watch(world)

        assert "- 5 of 50 planned sessions have no student or no topic and got no prediction\n" in message(world)

    @pytest.mark.parametrize(("refused", "severity"), [(24, "ticket"), (25, "page"), (50, "page")])
    def test_pages_where_most_planned_sessions_got_no_prediction(
        self, world: Settings, refused: int, severity: str
    ) -> None:
        scored(world, 50, refused=refused)
        watch(world)

        assert incidents(world) == [("contract_broken", severity, "open")]
        assert ("Analysts read nothing of those sessions" in message(world)) is (severity == "page")

    def test_a_ticket_about_a_few_rows_does_not_hide_that_later_nobody_is_predicted(self, world: Settings) -> None:
        quarantine(world, 8, END - DAY)
        watch(world, -1)
        scored(world, 50, refused=50)
        watch(world)

        assert incidents(world) == [("contract_broken", "page", "open")]
        assert "- 50 of 50 planned sessions have no student or no topic and got no prediction\n" in message(world)

    def test_is_broken_by_impossible_inputs_and_not_by_new_categories(self, world: Settings) -> None:
        scored(world, 50, warned=50, warning=UNSEEN)
        watch(world)
        assert incidents(world) == []

        query(world, "UPDATE studyml.predictions SET input_warnings = ARRAY[%s, %s]", UNSEEN, IMPOSSIBLE)
        watch(world)
        assert "- 50 of 50 planned sessions were predicted with an impossible input left out\n" in message(world)

    def test_counts_a_session_that_a_challenger_predicted_as_well_once(self, world: Settings) -> None:
        scored(world, 50, warned=3)
        predict_night(world, END, [(row, 2.0) for row in range(50)], role="challenger", served=False)
        query(world, "UPDATE studyml.predictions SET input_warnings = ARRAY[%s] WHERE session_id < 3", IMPOSSIBLE)
        watch(world)

        assert incidents(world) == []

    def test_names_the_reasons_of_all_nights_that_it_counted(self, world: Settings) -> None:
        for night in range(7):
            quarantine(world, 1, END + night * DAY)
            query(
                world,
                "INSERT INTO studyml.nights (as_of, replay, started_at, first_started_at, finished_at)"
                " VALUES (%s, false, %s, %s, %s)",
                *(END + night * DAY, NOW, NOW, NOW),
            )
        watch(world, 6)

        assert "- study_sessions.actual_duration: actual_duration is more than 24 (7 rows)\n" in message(world)

    @pytest.mark.parametrize(("removed", "broken"), [(9, False), (10, True)])
    def test_is_broken_by_outcomes_that_are_taken_back(self, world: Settings, removed: int, broken: bool) -> None:
        observed(world, 100, END - 5 * DAY)
        query(
            world,
            "INSERT INTO studyml.outcomes (session_id, revision, session_date, actual_hours, observed_at, recorded_at)"
            " SELECT session_id, 2, session_date, NULL, %s, %s FROM studyml.outcomes WHERE session_id <= %s",
            *(END, NOW, removed),
        )
        scored(world, 50)
        watch(world)

        assert (incidents(world) != []) is broken
        if broken:
            assert "- 10 of 100 outcomes of the last 30 days were taken back or deleted\n" in message(world)

    def test_is_broken_where_nothing_is_planned_any_more(self, world: Settings) -> None:
        planned = "INSERT INTO studyml.scoring_runs (as_of, versions, planned, status, started_at)" \
            " VALUES (%s, '{}', %s, 'complete', %s)"  # fmt: skip
        query(world, planned, END - DAY, 60, NOW)
        for night in (0, 1, 7):
            query(world, planned, END + night * DAY, 0, NOW)
            watch(world, night)

            assert incidents(world) == [("contract_broken", "ticket", "resolved" if night == 7 else "open")]
        [(title, body)] = query(
            world, "SELECT message_subject, message_body FROM studyml.incident_events WHERE event = 'opened'"
        )
        assert title == "studyml: no session is planned any more"
        assert "- no session is planned, up to 60 were before\n" in body

    def test_a_log_that_plans_little_may_plan_nothing(self, world: Settings) -> None:
        query(
            world,
            "INSERT INTO studyml.scoring_runs (as_of, versions, planned, status, started_at)"
            " VALUES (%s, '{}', 49, 'complete', %s), (%s, '{}', 0, 'complete', %s)",
            *(END - DAY, NOW, END, NOW),
        )
        watch(world)

        assert incidents(world) == []

    def test_is_broken_by_a_few_rows_each_night_too(self, world: Settings) -> None:
        for night in range(3):
            observed(world, 1, END + night * DAY, first=10 * night)
            quarantine(world, 2, END + night * DAY)
            watch(world, night)
            assert len(incidents(world)) == (night == 2)

        assert "- 6 of 9 new outcomes and rows were quarantined as impossible in 7 days\n" in message(world)
        watch(world, 3)  # nothing new tells nothing
        assert incidents(world)[0][2] == "open"

    @pytest.mark.parametrize(("more", "status"), [(0, "resolved"), (1, "open")])
    def test_once_closed_it_takes_a_new_row_to_count_the_old_ones_again(
        self, world: Settings, more: int, status: str
    ) -> None:
        quarantine(world, 6)
        watch(world)
        finish(world, END)
        query(world, "UPDATE studyml.incidents SET status = 'resolved', resolved_as_of = updated_as_of")
        quarantine(world, more, END + DAY)

        watch(world, 1)

        assert incidents(world) == [("contract_broken", "ticket", status)]

    def test_what_a_killed_night_found_is_told_by_the_next(self, world: Settings) -> None:
        finish(world, END - DAY)
        quarantine(world, 6)

        watch(world, 1)

        assert incidents(world) == [("contract_broken", "ticket", "open")]

    def test_is_mended_by_two_nights_without_it_and_nights_by_turns_are_one_message(self, world: Settings) -> None:
        for night, bad in enumerate((10, 0, 10, 0, 0)):
            finish(world, END + night * DAY)
            observed(world, 10, END + night * DAY, first=1 + 100 * night)
            quarantine(world, bad, END + night * DAY)
            watch(world, night)
            assert incidents(world) == [("contract_broken", "ticket", "resolved" if night == 4 else "open")]

        assert query(world, "SELECT event FROM studyml.incident_events WHERE message_body IS NOT NULL ORDER BY id") == [
            ("opened",),
            ("resolved",),
        ]

    def test_old_rows_that_are_quarantined_still_break_nothing_anew(self, world: Settings) -> None:
        quarantine(world, 10, END - DAY)
        query(world, "UPDATE studyml.quarantined_rows SET last_as_of = %s", END)
        observed(world, 10)
        watch(world)

        assert incidents(world) == []

    def test_one_wrong_student_breaks_nothing_though_a_retraining_refuses_all_his_old_sessions(
        self, world: Settings
    ) -> None:
        observed(world, 40, as_of=END - DAY)
        observed(world, 60, first=101)
        refused_inputs(world, sessions=range(1, 41))

        watch(world)
        assert incidents(world) == []

        refused_inputs(world, sessions=range(200, 210))
        watch(world)
        assert "10 of 70 new outcomes and rows were quarantined as impossible" in message(world)
        assert "students.avg_focus_duration: avg_focus_duration is not above 0 (10 rows)" in message(world)

    def test_a_night_that_could_not_be_judged_is_told(self, world: Settings) -> None:
        observed(world, 10)
        query(
            world,
            "INSERT INTO studyml.monitoring_runs (as_of, scope, verdict, n, baseline_mae, threshold, window_days,"
            " reason, recorded_at) VALUES (%s, 'served', 'error', 10, 1, 1.2, 30, 'the MAE is not a number', %s)",
            END,
            NOW,
        )
        watch(world)

        assert message(world).startswith("Nobody knows whether the model is healthy: the MAE is not a number.\n")


class TestLabels:
    def test_that_stop_for_seven_days_are_told_with_how_many_are_due(self, world: Settings) -> None:
        observed(world, 10)
        add_sessions(world, [(100 + row, END + 2 * DAY, None) for row in range(8)])

        watch(world, 6.9)
        assert incidents(world) == []
        watch(world, 7)

        assert incidents(world) == [("no_new_labels", "ticket", "open")]
        assert "for 7 days" in message(world)
        assert "- Sessions dated since then, up to 2026-03-08 00:00 UTC: 8.\n" in message(world)

    def test_that_arrive_again_end_it(self, world: Settings) -> None:
        observed(world, 10)
        watch(world, 7)
        observed(world, 1, END + 8 * DAY, first=50)
        watch(world, 8)

        assert incidents(world) == [("no_new_labels", "ticket", "resolved")]
        assert "outcomes arrive again" in message(world)

    def test_a_correction_is_no_new_label(self, world: Settings) -> None:
        observed(world, 10)
        judged(world, [(1, END - DAY, 3.0, 2.0)], observed_at=END + 5 * DAY, revision=2)
        watch(world, 7)

        assert incidents(world) == [("no_new_labels", "ticket", "open")]

    def test_that_never_came_have_not_stopped(self, world: Settings) -> None:
        watch(world, 100)

        assert incidents(world) == []
