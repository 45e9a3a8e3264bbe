"""Whether nights run and have their predictions, as seen between nights."""

from datetime import datetime, timedelta

from studyml.database.nights import begin_night, end_night
from studyml.settings import Settings
from studyml.steps.deliver_alerts import deliver_alerts
from studyml.steps.handle_incidents import resolve_incident
from studyml.steps.opening import own_database
from tests.conftest import END
from tests.scoring.world import begin, finish, query

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def look(settings: Settings, hours: float) -> None:
    """What happens every ten minutes, so many hours after END."""
    deliver_alerts(settings, now=END + hours * HOUR)


def incidents(settings: Settings) -> list[tuple[str, str, str]]:
    return query(settings, "SELECT kind, severity, status FROM studyml.incidents ORDER BY id")


def subjects(settings: Settings) -> list[str]:
    rows = query(settings, "SELECT message_subject FROM studyml.incident_events ORDER BY id")
    return [text for (text,) in rows if text]


def body(settings: Settings) -> str:
    """Of the newest message."""
    [(text,)] = query(settings, "SELECT message_body FROM studyml.incident_events ORDER BY id DESC LIMIT 1")
    return str(text)


def scoring(settings: Settings, status: str, as_of: datetime = END) -> None:
    query(
        settings,
        "INSERT INTO studyml.scoring_runs (as_of, versions, planned, status, started_at) VALUES (%s, '{}', 0, %s, %s)",
        as_of,
        status,
        as_of,
    )


class TestANightThatIsMissing:
    def test_is_told_after_26_hours_and_once(self, settings: Settings) -> None:
        finish(settings, END)
        scoring(settings, "complete")

        look(settings, 26)
        assert incidents(settings) == []
        for hours in (26.1, 27, 28):
            look(settings, hours)

        assert incidents(settings) == [("night_missing", "page", "open")]
        assert subjects(settings) == ["studyml: no night has finished for 26 h"]
        assert body(settings).startswith("The last night that finished was that of 2026-03-01 00:00 UTC, 26 h ago.")
        assert "It finished at 2026-03-01 00:00 UTC; a night is due every 24 h." in body(settings)

    def test_is_over_when_one_finishes(self, settings: Settings) -> None:
        finish(settings, END)
        scoring(settings, "complete")
        look(settings, 27)
        finish(settings, END + DAY, at=END + 28 * HOUR)
        scoring(settings, "complete", END + DAY)
        look(settings, 29)

        assert incidents(settings) == [("night_missing", "page", "resolved")]
        assert subjects(settings)[-1] == "studyml: over: no night has finished for 27 h"

    def test_is_over_and_told_again_although_the_clock_was_ahead_when_it_was_told(self, settings: Settings) -> None:
        finish(settings, END)
        scoring(settings, "complete")
        look(settings, 60 * 24)

        finish(settings, END + DAY)
        scoring(settings, "complete", END + DAY)
        look(settings, 25)
        assert incidents(settings) == [("night_missing", "page", "resolved")]
        look(settings, 52)
        assert incidents(settings)[-1] == ("night_missing", "page", "open")
        assert subjects(settings)[-1] == "studyml: no night has finished for 28 h"

    def test_is_not_over_because_the_last_one_is_run_again(self, settings: Settings) -> None:
        finish(settings, END)
        scoring(settings, "complete")
        look(settings, 27)
        with own_database(settings) as connection:
            end_night(connection, END, now=END + 28 * HOUR)
            connection.commit()
        look(settings, 29)

        assert incidents(settings) == [("night_missing", "page", "open")]

    def test_is_not_told_while_one_is_under_way_that_may_end_the_gap(self, settings: Settings) -> None:
        finish(settings, END)
        scoring(settings, "complete")
        begun = END + 30 * HOUR
        begin(settings, begun)

        look(settings, 30.1)
        assert incidents(settings) == []
        look(settings, 32.1)

        assert ("night_missing", "page", "open") in incidents(settings), "it has been under way for too long"

    def test_however_often_one_is_begun_again_it_is_under_way_since_the_first_time(self, settings: Settings) -> None:
        finish(settings, END)
        scoring(settings, "complete")
        for hours in (30, 31.5, 33):
            with own_database(settings) as connection:
                begin_night(connection, END + DAY, replay=False, now=END + hours * HOUR, dag_run_id=None)
                connection.commit()
            look(settings, hours + 0.1)

        assert sorted(incidents(settings)) == [("night_missing", "page", "open"), ("scoring_late", "page", "open")]

    def test_nights_that_are_begun_one_after_the_other_do_not_put_it_off(self, settings: Settings) -> None:
        finish(settings, END)
        scoring(settings, "complete")
        for hours in (30, 31.5, 33):
            begin(settings, END + hours * HOUR)
            look(settings, hours + 0.1)

        assert ("night_missing", "page", "open") in incidents(settings)

    def test_before_the_first_night_nothing_is_missing(self, settings: Settings) -> None:
        look(settings, 1000)

        assert incidents(settings) == []


class TestScoring:
    def test_that_is_not_complete_two_hours_after_the_night_began_is_told(self, settings: Settings) -> None:
        begin(settings, END)

        look(settings, 1.9)
        assert incidents(settings) == []
        look(settings, 2)

        assert incidents(settings) == [("scoring_late", "page", "open")]
        assert subjects(settings) == ["studyml: no complete predictions for the night of 2026-03-01 00:00 UTC"]
        assert body(settings).startswith(
            "The night of 2026-03-01 00:00 UTC has no complete predictions."
            " It began at 2026-03-01 00:00 UTC, and its scoring has not begun."
        )

    def test_that_failed_is_told_as_such(self, settings: Settings) -> None:
        begin(settings, END)
        scoring(settings, "failed")
        look(settings, 3)

        [(figures,)] = query(settings, "SELECT figures ->> 'found' FROM studyml.incidents")
        assert figures == "its scoring is failed"

    def test_that_is_complete_ends_it(self, settings: Settings) -> None:
        begin(settings, END)
        look(settings, 3)
        scoring(settings, "complete")
        look(settings, 4)

        assert incidents(settings) == [("scoring_late", "page", "resolved")]

    def test_of_a_later_instant_ends_it_too(self, settings: Settings) -> None:
        begin(settings, END)
        scoring(settings, "running")
        look(settings, 3)
        scoring(settings, "complete", END + 4 * HOUR)
        look(settings, 5)

        assert incidents(settings) == [("scoring_late", "page", "resolved")]

    def test_that_was_complete_before_the_night_ends_nothing(self, settings: Settings) -> None:
        scoring(settings, "complete", END - DAY)
        begin(settings, END)
        look(settings, 3)

        assert incidents(settings) == [("scoring_late", "page", "open")]

    def test_that_a_person_closed_is_not_told_again_by_the_next_look(self, settings: Settings) -> None:
        begin(settings, END)
        look(settings, 3)
        resolve_incident(settings, 1, now=END + 3.1 * HOUR, actor="ann", note="it runs by hand")
        look(settings, 3.2)

        assert incidents(settings) == [("scoring_late", "page", "resolved")]

    def test_of_a_replay_is_never_late(self, settings: Settings) -> None:
        begin(settings, END, replay=True)
        look(settings, 20)

        assert incidents(settings) == []


def test_a_page_that_nobody_takes_on_is_escalated_by_the_same_look(settings: Settings) -> None:
    begin(settings, END)
    for hours in (2, 5.9, 6, 7):
        look(settings, hours)

    assert subjects(settings) == [
        "studyml: no complete predictions for the night of 2026-03-01 00:00 UTC",
        "studyml: not acknowledged for over 4 h: no complete predictions for the night of 2026-03-01 00:00 UTC",
    ]


def test_a_night_that_is_still_missing_the_day_after_its_incident_was_closed_is_told_again(settings: Settings) -> None:
    finish(settings, END)
    scoring(settings, "complete")
    look(settings, 27)
    query(settings, "UPDATE studyml.incidents SET status = 'resolved', resolved_as_of = %s", END + 28 * HOUR)

    look(settings, 50)

    assert incidents(settings)[-1] == ("night_missing", "page", "open")
