"""Silences: an incident is recorded and nobody hears of it, and what is told when they end."""

from studyml.alerting import incidents, lifecycle, silences
from studyml.alerting.incidents import DEGRADED, PAGE, TASK_FAILED, TICKET
from studyml.alerting.message import Message
from studyml.database.connection import Connection
from studyml.settings import Settings
from tests.alerting.problems import at, escalate, messages, only, recover, report, silence
from tests.scoring.world import query


class TestSilencing:
    def test_the_incident_is_recorded_and_nobody_hears_of_it(self, connection: Connection) -> None:
        silence(connection, -1, 2)

        assert report(connection) == "opened"
        assert messages(connection) == []
        [event] = incidents.list_events(connection, only(connection).id)
        assert event.note == f"silenced until {at(2).now:%Y-%m-%d %H:%M} UTC; it is bad (page)"

    def test_what_is_still_wrong_when_it_ends_is_told_then(self, connection: Connection) -> None:
        silence(connection, -1, 2)
        report(connection)
        assert report(connection, 1) == "updated"

        assert report(connection, 2) == "told"
        assert report(connection, 3) == "updated"
        assert messages(connection) == [("updated", PAGE, "studyml: it is bad (page)")]

    def test_what_is_told_late_says_of_which_night_it_is_and_where_to_see_what_is_now(
        self, settings: Settings, connection: Connection
    ) -> None:
        silence(connection, -1, 5)
        report(connection)
        report(connection, 4, title="it is worse")

        lifecycle.tell_held_back(connection, at(5.5))
        connection.commit()

        [(body, as_of)] = query(
            settings, "SELECT message_body, as_of FROM studyml.incident_events ORDER BY id DESC LIMIT 1"
        )
        assert as_of == at(0).as_of
        late = "From the night of 2026-03-01 00:00 UTC, held back by a silence until now."
        assert body.startswith(f"{late} It is open still: studyml alerts show 1\n\nincident 1")

    def test_what_no_night_finds_again_is_told_when_it_ends_and_once(self, connection: Connection) -> None:
        silence(connection, -1, 1, kind=TASK_FAILED)
        report(connection, kind=TASK_FAILED)

        for night in (0.5, 2, 3):
            lifecycle.tell_held_back(connection, at(night))
            assert messages(connection) == ([("updated", PAGE, "studyml: it is bad (page)")] if night > 1 else [])

    def test_a_ticket_that_became_a_page_meanwhile_is_told_as_a_page(self, connection: Connection) -> None:
        report(connection, severity=TICKET)
        silence(connection, 0.5, 2)
        report(connection, 1, severity=PAGE)
        lifecycle.tell_held_back(connection, at(3))

        assert messages(connection)[1:] == [("updated", PAGE, "studyml: worse: it is bad (page)")]

    def test_a_night_tells_a_page_where_only_the_ticket_was_told(self, connection: Connection) -> None:
        report(connection, severity=TICKET)
        silence(connection, 0.5, 2)
        report(connection, 1, severity=PAGE)

        assert report(connection, 3, severity=PAGE) == "told"
        assert [severity for _, severity, _ in messages(connection)] == [TICKET, PAGE]

    def test_that_it_is_over_is_told_when_it_ends_to_whoever_was_told_of_it_and_not_as_open(
        self, settings: Settings, connection: Connection
    ) -> None:
        report(connection)
        silence(connection, 0.5, 2)
        recover(connection, 1)
        assert len(messages(connection)) == 1
        lifecycle.tell_held_back(connection, at(3))
        connection.commit()

        assert messages(connection)[1:] == [("resolved", PAGE, "studyml: it is over")]
        body = query(settings, "SELECT message_body FROM studyml.incident_events ORDER BY id DESC LIMIT 1")[0][0]
        assert body == "From the night of 2026-03-02 00:00 UTC, held back by a silence until now.\n\n1"

    def test_what_came_back_and_went_again_meanwhile_is_over_for_whoever_was_told_of_it_before(
        self, connection: Connection
    ) -> None:
        report(connection)
        silence(connection, 0.5, 5)
        recover(connection, 1)
        report(connection, 2)
        recover(connection, 3)
        for night in (4, 6, 7):
            lifecycle.tell_held_back(connection, at(night))
            assert messages(connection)[1:] == ([("resolved", PAGE, "studyml: it is over")] if night > 5 else [])

    def test_each_task_that_failed_meanwhile_is_told_when_it_ends_and_once(self, connection: Connection) -> None:
        silence(connection, -1, 1, kind=TASK_FAILED)
        report(connection, kind=TASK_FAILED)
        another = Message("it is worse", "incident")
        lifecycle.send(connection, only(connection).id, TASK_FAILED, PAGE, another, at(0.5), event="updated")

        for night in (0.7, 2, 3):
            lifecycle.tell_held_back(connection, at(night))
        assert [subject for _, _, subject in messages(connection)] == [
            "studyml: it is bad (page)",
            "studyml: it is worse",
        ]

    def test_what_is_over_before_it_ends_was_never_told_and_is_not(self, connection: Connection) -> None:
        silence(connection, -1, 2)
        report(connection)
        recover(connection, 1)
        lifecycle.tell_held_back(connection, at(3))

        assert messages(connection) == []

    def test_of_one_kind_leaves_the_others_loud(self, connection: Connection) -> None:
        silence(connection, -1, 2)
        report(connection, kind=TASK_FAILED)

        assert len(messages(connection)) == 1

    def test_can_be_ended(self, connection: Connection) -> None:
        silence(connection, -1, 2)

        assert silences.end_silences(connection, DEGRADED, now=at(-2).now, actor="ann") == 0
        assert silences.end_silences(connection, DEGRADED, now=at(0).now, actor="ann") == 1
        assert silences.silences_in_force(connection, now=at(0).now) == []
        report(connection)
        assert len(messages(connection)) == 1


def test_after_a_silence_a_degradation_is_told_as_well_as_that_its_retraining_did_not_help(
    connection: Connection,
) -> None:
    silence(connection, -1, 1)
    report(connection)
    no_help = Message("the retraining did not help", "a person is needed")
    lifecycle.send(connection, only(connection).id, DEGRADED, PAGE, no_help, at(0.5), event="updated")

    lifecycle.tell_held_back(connection, at(1.5))

    assert [subject for _, _, subject in messages(connection)] == [
        "studyml: it is bad (page)",
        "studyml: the retraining did not help",
    ]


def test_what_was_told_anew_since_stands_for_what_a_silence_held_back_of_the_same_degradation(
    connection: Connection,
) -> None:
    silence(connection, -1, 1)
    report(connection, title="predictions degraded: errors 1.30 x")
    for night, words in ((0.5, "1.40 x"), (2, "2.11 x")):
        title = Message(f"predictions degraded (confirmed): errors {words}", "so far off")
        lifecycle.send(connection, only(connection).id, DEGRADED, PAGE, title, at(night), event="updated")

    lifecycle.tell_held_back(connection, at(2))

    assert [subject for _, _, subject in messages(connection)] == [
        "studyml: predictions degraded (confirmed): errors 2.11 x"
    ]


def test_what_a_silence_held_back_is_as_urgent_afterwards_as_it_was(connection: Connection) -> None:
    silence(connection, -1, 1)
    report(connection, severity=TICKET, title="it is odd")
    report(connection, 0.5)

    lifecycle.tell_held_back(connection, at(2))

    assert [(severity, subject) for _, severity, subject in messages(connection)] == [
        (TICKET, "studyml: it is odd (ticket)"),
        (PAGE, "studyml: worse: it is bad (page)"),
    ]


def test_what_a_silence_held_back_of_a_problem_that_was_over_and_told_anew_is_no_news(connection: Connection) -> None:
    silence(connection, -1, 0.5)
    report(connection, title="it was bad")
    recover(connection, 0.7)
    report(connection, 1)
    before = messages(connection)

    lifecycle.tell_held_back(connection, at(2))

    assert messages(connection) == before
    assert [subject for *_, subject in before] == ["studyml: again: it is bad (page)"]


def test_what_was_held_back_longer_ago_than_any_silence_is_no_news(connection: Connection) -> None:
    silence(connection, -1, 1)
    report(connection)

    lifecycle.tell_held_back(connection, at(32))

    assert messages(connection) == []


def test_a_page_that_a_silence_kept_from_everybody_is_not_escalated_before_it_is_told(connection: Connection) -> None:
    silence(connection, -1, 0.1)
    report(connection)

    assert escalate(connection, 20) == []
