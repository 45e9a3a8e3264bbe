"""The life of an incident: who hears of it, how often, and when it is over."""

import pytest

from studyml.alerting import incidents, lifecycle
from studyml.alerting.incidents import DEGRADED, PAGE, TASK_FAILED, TICKET
from studyml.database.connection import Connection
from studyml.errors import RegistryError
from studyml.settings import Settings
from tests.alerting.problems import at, escalate, events, messages, only, recover, report, silence
from tests.conftest import END
from tests.scoring.world import add_champion


class TestAProblem:
    def test_opens_one_incident_and_sends_one_message_that_names_it(self, connection: Connection) -> None:
        assert report(connection, n=10) == "opened"

        found = only(connection)
        assert (found.kind, found.status, found.title, found.figures) == (
            DEGRADED,
            "open",
            "it is bad (page)",
            {"n": 10},
        )
        assert messages(connection) == [("opened", PAGE, "studyml: it is bad (page)")]
        assert incidents.list_events(connection, found.id)[0].message_body == f"incident {found.id}"

    def test_that_goes_on_is_updated_and_not_repeated(self, connection: Connection) -> None:
        report(connection, mae=1.3, n=10)

        assert report(connection, 1, mae=1.5) == "updated"

        assert only(connection).figures == {"mae": 1.5, "n": 10}
        assert (only(connection).opened_as_of, only(connection).updated_as_of) == (at(0).as_of, at(1).as_of)
        assert len(messages(connection)) == 1

    def test_that_an_older_night_finds_as_well_stays_that_of_the_newer_one(self, connection: Connection) -> None:
        report(connection, 2)
        report(connection, 1)

        assert only(connection).updated_as_of == at(2).as_of

    def test_whose_clock_was_ahead_once_is_dated_by_the_next_night_that_finds_it(self, connection: Connection) -> None:
        report(connection, 60)
        report(connection, 1)

        assert only(connection).updated_as_of == at(1).as_of

    def test_that_goes_on_is_listed_as_it_is_now(self, settings: Settings, connection: Connection) -> None:
        first, second = "v_20260101_000000", "v_20260102_000000"
        add_champion(settings, END, first)
        add_champion(settings, END, second)

        report(connection, version=first)
        report(connection, 1, title="it is worse", version=second)
        assert (only(connection).title, only(connection).model_version) == ("it is worse (page)", second)

        report(connection, 2, title="nobody knows of which version")
        assert only(connection).model_version == second

    def test_a_page_keeps_its_title_and_version_where_a_night_finds_less(
        self, settings: Settings, connection: Connection
    ) -> None:
        first, second = "v_20260101_000000", "v_20260102_000000"
        add_champion(settings, END, first)
        add_champion(settings, END, second)
        report(connection, version=first)
        report(connection, 1, severity=TICKET, version=second)

        found = only(connection)
        assert (found.severity, found.title, found.model_version) == (PAGE, "it is bad (page)", first)

    def test_an_incident_of_several_things_keeps_the_title_that_it_began_with(self, connection: Connection) -> None:
        report(connection, kind=TASK_FAILED)
        report(connection, 1, kind=TASK_FAILED, title="another task failed")

        assert only(connection).title == "it is bad (page)"

    def test_of_another_kind_is_another_incident(self, connection: Connection) -> None:
        report(connection)
        report(connection, kind=TASK_FAILED)

        assert {each.kind for each in incidents.list_incidents(connection)} == {DEGRADED, TASK_FAILED}

    def test_that_is_confirmed_turns_its_ticket_into_a_page_once(self, connection: Connection) -> None:
        report(connection, severity=TICKET)

        assert report(connection, 1, severity=PAGE) == "worsened"
        assert report(connection, 2, severity=PAGE) == "updated"

        assert only(connection).severity == PAGE
        assert messages(connection) == [
            ("opened", TICKET, "studyml: it is bad (ticket)"),
            ("updated", PAGE, "studyml: worse: it is bad (page)"),
        ]

    def test_that_eases_from_a_page_stays_a_page_until_it_is_over(self, connection: Connection) -> None:
        report(connection, severity=PAGE)

        assert report(connection, 1, severity=TICKET) == "updated"

        assert only(connection).severity == PAGE
        assert len(messages(connection)) == 1

    def test_of_a_night_that_is_run_again_after_it_was_closed_stays_closed(self, connection: Connection) -> None:
        report(connection)
        lifecycle.resolve(connection, only(connection), at(0), actor="ann", note="known")

        assert report(connection) == "known"
        assert only(connection).status == "resolved"

    def test_that_came_and_went_at_once_by_another_process_is_an_error_and_no_silence(
        self, connection: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lifecycle, "open_of_kind", lambda *_: None)
        report(connection)
        with pytest.raises(RegistryError, match="opened at this moment: run this again"):
            report(connection, 10)


class TestARecovery:
    def test_closes_the_incident_and_tells_whoever_was_told(self, connection: Connection) -> None:
        report(connection, severity=TICKET)

        assert recover(connection, 1) is not None

        assert (only(connection).status, only(connection).resolved_as_of) == ("resolved", at(1).as_of)
        assert messages(connection)[1:] == [("resolved", TICKET, "studyml: it is over")]

    def test_without_an_incident_is_nothing(self, connection: Connection) -> None:
        assert recover(connection) is None
        assert events(connection) == []

    def test_of_the_night_that_found_it_run_again_ends_it(self, connection: Connection) -> None:
        report(connection, 2)

        assert recover(connection, 2) is not None

    def test_of_an_older_night_does_not_end_what_a_later_one_found(self, connection: Connection) -> None:
        report(connection, 2)

        assert recover(connection, 1) is None
        assert only(connection).status == "open"

    def test_is_not_told_where_a_silence_kept_the_problem_quiet(self, connection: Connection) -> None:
        silence(connection, -1, 10)
        report(connection)
        recover(connection, 1)

        assert messages(connection) == []
        assert events(connection) == ["opened", "resolved"]


class TestComingBack:
    def test_within_the_cool_off_reopens_the_same_incident(self, connection: Connection) -> None:
        report(connection)
        recover(connection, 1)

        assert report(connection, 4) == "reopened"

        found = only(connection)
        assert (found.status, found.times_reopened, found.resolved_as_of, found.resolved_at) == ("open", 1, None, None)
        assert messages(connection)[-1] == ("reopened", PAGE, "studyml: again: it is bad (page)")

    def test_keeps_of_its_figures_only_about_which_retraining_a_person_was_asked(self, connection: Connection) -> None:
        report(connection, mae=1.3, n=10, asked=7)
        recover(connection, 1)
        report(connection, 2, mae=1.5)

        assert only(connection).figures == {"mae": 1.5, "asked": 7}

    def test_after_the_cool_off_is_news(self, connection: Connection) -> None:
        report(connection)
        recover(connection, 1)

        assert report(connection, 4.01) == "opened"
        assert len(incidents.list_incidents(connection, only_open=False)) == 2

    def test_asks_for_a_new_acknowledgement(self, connection: Connection) -> None:
        report(connection)
        lifecycle.acknowledge(connection, only(connection).id, name="ann", at=at(0))
        recover(connection, 1)
        report(connection, 2)

        assert only(connection).acknowledged_by is None


class TestAcknowledging:
    def test_is_recorded_with_a_name(self, connection: Connection) -> None:
        report(connection)
        lifecycle.acknowledge(connection, only(connection).id, name="ann", at=at(0, 1))

        assert (only(connection).acknowledged_by, only(connection).acknowledged_at) == ("ann", at(0, 1).now)
        assert events(connection) == ["opened", "acknowledged"]

    def test_what_is_not_open_is_a_sentence(self, connection: Connection) -> None:
        with pytest.raises(RegistryError, match="there is no open incident 7: 'studyml alerts list' shows"):
            lifecycle.acknowledge(connection, 7, name="ann", at=at(0))


class TestEscalating:
    def test_a_page_that_nobody_acknowledges_is_escalated_once(self, connection: Connection) -> None:
        report(connection)

        assert escalate(connection, 3.9) == []
        assert escalate(connection, 4) == [only(connection).id]
        assert escalate(connection, 9) == []
        assert messages(connection)[1:] == [("escalated", "escalation", f"studyml: nobody: {only(connection).id}")]

    def test_one_that_came_back_is_escalated_again_counted_from_then(self, connection: Connection) -> None:
        report(connection)
        assert escalate(connection, 5) != []
        recover(connection, 1)
        report(connection, 2)

        assert escalate(connection, 48 + 3) == []
        assert escalate(connection, 48 + 5) == [only(connection).id]

    def test_an_acknowledged_page_is_not(self, connection: Connection) -> None:
        report(connection)
        lifecycle.acknowledge(connection, only(connection).id, name="ann", at=at(0, 1))

        assert escalate(connection, 9) == []

    def test_a_ticket_wakes_nobody_by_growing_old(self, connection: Connection) -> None:
        report(connection, severity=TICKET)

        assert escalate(connection, 900) == []

    def test_a_ticket_that_became_a_page_is_counted_from_then(self, connection: Connection) -> None:
        report(connection, severity=TICKET)
        report(connection, 1, severity=PAGE)

        assert escalate(connection, 24 + 3.9) == []
        assert escalate(connection, 24 + 4) != []

    def test_an_acknowledged_ticket_that_became_a_page_is(self, connection: Connection) -> None:
        report(connection, severity=TICKET)
        lifecycle.acknowledge(connection, only(connection).id, name="ann", at=at(0, 1))
        report(connection, 1, severity=PAGE)

        assert escalate(connection, 24 + 4) == [only(connection).id]

    def test_not_while_it_is_silenced(self, connection: Connection) -> None:
        report(connection)
        silence(connection, 0, 10)

        assert escalate(connection, 5) == []


def test_the_list_shows_open_ones_or_all_newest_first(connection: Connection) -> None:
    report(connection)
    recover(connection, 1)
    report(connection, 9)

    every = incidents.list_incidents(connection, only_open=False)
    assert [each.status for each in every] == ["open", "resolved"]
    assert [each.id for each in incidents.list_incidents(connection)] == [every[0].id]


def test_an_incident_that_there_is_not_is_a_sentence(connection: Connection) -> None:
    with pytest.raises(RegistryError, match="there is no incident 7"):
        incidents.find_incident(connection, 7)


def test_the_newest_event_tells_when(connection: Connection) -> None:
    report(connection)
    newest = incidents.newest_event_at(connection, only(connection).id, before=at(9).now)
    assert newest == at(0).now
