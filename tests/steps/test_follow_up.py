"""What follows from a verdict: one incident, its messages, and one retraining."""

import json
from typing import Any

import pytest

from studyml.settings import Settings
from studyml.steps.check_retraining import check_retraining
from tests.conftest import END, NOW
from tests.scoring.world import (
    EARLIER,
    VERSION,
    add_champion,
    add_sessions,
    finish,
    judged,
    query,
    scalar,
)
from tests.steps.judged_nights import BAD, DAY, GOOD, errors, forget, incidents, judge, messages, world

__all__ = ["world"]

#: Relative errors as small as this out of fold make everything served beyond chance.
PRECISE = {
    "mean": 0.01,
    "coefficient_of_variation": 0.5,
    "skewness": 0.0,
    "week_effect": 1.0,
    "student_effect": 1.0,
    "rows": 400,
    "cap": 5.0,
}


def subjects(settings: Settings) -> list[str]:
    rows = query(settings, "SELECT message_subject FROM studyml.incident_events ORDER BY id")
    return [text for (text,) in rows if text]


def test_degradation_opens_one_incident_with_one_message(world: Settings) -> None:
    errors(world, 10, GOOD, as_of=END - DAY)
    judge(world, -1)
    forget(world)
    errors(world, 20, BAD)
    add_sessions(world, [(session, END - DAY, None) for session in range(40)])

    judge(world)

    assert incidents(world) == [("degraded", "open")]
    (message,) = messages(world)
    for words in (
        "off by 2.00 h on average",
        "The guide's limit is 1.19 h",
        "20 outcomes; 50% of the sessions",
        "Since: the night of 2026-03-01 00:00 UTC",
        "last healthy in the night of 2026-02-28 00:00 UTC, with 0.50 h",
        f"Version: {VERSION}, which was off by 0.91 h",
        "Runbook: docs/runbook.md#degraded",
    ):
        assert words in message


def test_a_second_degraded_night_updates_the_incident_and_says_nothing(world: Settings) -> None:
    errors(world, 10, BAD)
    judge(world)
    errors(world, 10, 5.0, as_of=END + DAY, first_id=100)

    assert judge(world, 1)["verdict"] == "suspected"

    assert incidents(world) == [("degraded", "open")]
    assert len(messages(world)) == 1
    assert scalar(world, "SELECT updated_as_of FROM studyml.incidents") == END + DAY
    assert scalar(world, "SELECT figures ->> 'rolling_mae' FROM studyml.incidents") == "3.5"


def test_two_healthy_nights_resolve_it_and_the_next_degradation_is_news(world: Settings) -> None:
    errors(world, 10, BAD)
    judge(world)
    forget(world)
    errors(world, 10, GOOD, as_of=END + DAY)
    judge(world, 1)
    assert incidents(world) == [("degraded", "open")]
    judge(world, 2)
    assert incidents(world) == [("degraded", "resolved")]

    forget(world)
    errors(world, 10, BAD, as_of=END + 9 * DAY)
    judge(world, 9)

    assert incidents(world) == [("degraded", "resolved"), ("degraded", "open")]
    assert subjects(world) == [
        "studyml: predictions degraded (suspected): off by 2.00 h on average, 2.02 x the baseline",
        "studyml: recovered: predictions are off by 0.50 h on average",
        "studyml: predictions degraded (suspected): off by 2.00 h on average, 2.02 x the baseline",
    ]


def test_each_time_it_comes_back_it_takes_twice_as_many_healthy_nights_to_be_over(world: Settings) -> None:
    for night, error in enumerate((BAD, GOOD, GOOD, BAD, GOOD, GOOD, GOOD)):
        forget(world)
        errors(world, 10, error, as_of=END + night * DAY)
        judge(world, night)
    assert [event for event, _ in severities(world)] == ["opened", "resolved", "reopened"]

    judge(world, 7)

    assert incidents(world) == [("degraded", "resolved")]


def test_an_error_about_its_limit_is_one_incident_and_one_message(world: Settings) -> None:
    for night in range(6):
        forget(world)
        errors(world, 10, (BAD, GOOD)[night % 2], as_of=END + night * DAY)
        judge(world, night)

    assert incidents(world) == [("degraded", "open")]
    assert len(messages(world)) == 1


def test_too_few_outcomes_neither_resolve_nor_open(world: Settings) -> None:
    errors(world, 10, BAD)
    judge(world)
    forget(world)

    assert judge(world, 1)["verdict"] == "insufficient_data"
    assert incidents(world) == [("degraded", "open")]


def test_the_same_night_again_says_nothing_new_even_where_a_person_closed_the_incident(world: Settings) -> None:
    errors(world, 10, BAD)
    first = judge(world)
    assert judge(world) == first
    query(world, "UPDATE studyml.incidents SET status = 'resolved', resolved_as_of = updated_as_of")

    assert judge(world) == first
    assert incidents(world) == [("degraded", "resolved")]
    assert len(messages(world)) == 1
    assert scalar(world, "SELECT count(*) FROM studyml.monitoring_runs") == 2


def test_a_replay_stores_its_verdict_and_tells_nobody(world: Settings) -> None:
    errors(world, 10, BAD)
    finish(world, END + DAY)

    assert judge(world)["verdict"] == "suspected"
    assert incidents(world) == []
    assert scalar(world, "SELECT verdict FROM studyml.monitoring_runs WHERE scope = 'served'") == "suspected"


def test_a_healthy_replay_resolves_nothing(world: Settings) -> None:
    errors(world, 10, BAD)
    judge(world)
    finish(world, END)
    forget(world)
    errors(world, 10, GOOD, as_of=END - DAY)

    assert judge(world, -1)["verdict"] == "healthy"
    assert incidents(world) == [("degraded", "open")]


def test_a_degradation_makes_a_retraining_due_until_one_is_decided(world: Settings) -> None:
    errors(world, 10, BAD)
    judge(world)

    run = check_retraining(world, as_of=END, now=NOW)
    assert run is not None
    assert scalar(world, "SELECT reason FROM studyml.retraining_runs WHERE id = %s", run) == "degraded"
    query(world, "UPDATE studyml.retraining_runs SET decision = 'rejected', decided_at = now() WHERE id = %s", run)

    judge(world, 1)
    assert check_retraining(world, as_of=END + DAY, now=NOW) is None


@pytest.mark.parametrize(("count", "error"), [(9, 20.0), (20, GOOD)])
def test_neither_insufficient_data_nor_health_makes_a_retraining_due(world: Settings, count: int, error: float) -> None:
    errors(world, count, error)
    judge(world)

    assert check_retraining(world, as_of=END, now=NOW) is None


def severities(settings: Settings) -> list[tuple[str, str]]:
    return query(
        settings, "SELECT event, severity FROM studyml.incident_events WHERE message_body IS NOT NULL ORDER BY id"
    )


def confirmable(settings: Settings, as_of: Any = END - 40 * DAY, version: str = EARLIER) -> None:
    """A champion whose errors are beyond chance as soon as it has ten outcomes that are off."""
    add_champion(settings, as_of, version=version, relative_error=PRECISE)


class TestUrgency:
    def test_a_suspicion_is_a_ticket(self, world: Settings) -> None:
        errors(world, 10, BAD)
        judge(world)

        assert severities(world) == [("opened", "ticket")]

    def test_with_the_guides_rule_as_page_rule_it_pages(self, world: Settings) -> None:
        errors(world, 10, BAD)
        judge(world.model_copy(update={"page_rule": "guide"}))

        assert severities(world) == [("opened", "page")]

    def test_what_is_confirmed_pages_also_without_a_suspicion(self, world: Settings) -> None:
        confirmable(world)
        judged(world, [(row, END - DAY, 1.5, 1.0) for row in range(20)], observed_at=END, version=EARLIER)

        assert judge(world)["rolling_mae"] == GOOD
        assert severities(world) == [("opened", "page")]

    def test_a_suspicion_that_is_confirmed_later_pages_once(self, world: Settings) -> None:
        errors(world, 10, BAD)
        judge(world)
        query(
            world,
            "UPDATE studyml.model_versions SET metrics = metrics || jsonb_build_object('relative_error', %s::jsonb)",
            json.dumps(PRECISE),
        )
        judge(world, 1)
        judge(world, 2)

        assert severities(world) == [("opened", "ticket"), ("updated", "page")]


class TestAfterANewChampion:
    """The window still holds the errors of the version before it."""

    NEW = "v_20260302_000000"

    @pytest.fixture
    def retrained(self, world: Settings) -> Settings:
        errors(world, 20, BAD)
        judge(world)
        add_champion(world, END + DAY, version=self.NEW)
        return world

    def served(self, settings: Settings, count: int, error: float, night: int, first: int = 500) -> None:
        moment = END + night * DAY
        rows = [(first + row, moment - DAY, 1.0 + error, 1.0) for row in range(count)]
        judged(settings, rows, observed_at=moment, version=self.NEW)

    def test_the_first_few_outcomes_of_a_new_one_are_no_suspicion_while_what_was_served_is_healthy(
        self, world: Settings
    ) -> None:
        errors(world, 100, GOOD)
        add_champion(world, END + DAY, version=self.NEW)
        self.served(world, 10, BAD, 2)

        assert judge(world, 2)["verdict"] == "healthy"
        assert incidents(world) == []

    def test_it_is_over_when_the_new_one_is_healthy_by_its_own_outcomes(self, retrained: Settings) -> None:
        self.served(retrained, 10, GOOD, 2)
        judge(retrained, 2)

        assert judge(retrained, 3)["verdict"] == "suspected"  # of all that was served
        assert incidents(retrained) == [("degraded", "resolved")]
        assert f"{self.NEW} is healthy, off by 0.50 h on average over 10 outcomes" in messages(retrained)[-1]

    def test_it_is_not_over_before_the_new_one_has_outcomes_of_its_own(self, retrained: Settings) -> None:
        self.served(retrained, 9, GOOD, 3)
        judge(retrained, 3)

        assert incidents(retrained) == [("degraded", "open")]

    def test_what_was_told_and_is_over_is_not_told_again_by_the_old_errors(self, retrained: Settings) -> None:
        self.served(retrained, 10, GOOD, 2)
        judge(retrained, 2)
        judge(retrained, 3)
        add_champion(retrained, END + 4 * DAY, version="v_20260305_000000")

        assert judge(retrained, 5)["verdict"] == "suspected"
        assert incidents(retrained) == [("degraded", "resolved")]

    def test_what_is_told_of_the_old_errors_names_the_old_one(self, world: Settings) -> None:
        errors(world, 20, BAD)
        query(
            world,
            "INSERT INTO studyml.silences (kind, starts_at, ends_at, actor, note)"
            " VALUES ('degraded', %s, %s, 'ann', 'x')",
            *(NOW - DAY, NOW + DAY),
        )
        judge(world)
        query(world, "UPDATE studyml.silences SET ends_at = %s", NOW)
        add_champion(world, END + DAY, version=self.NEW, mae=0.5)
        judge(world, 2)

        assert f"Version: {VERSION}, which was off by 0.91 h" in messages(world)[-1]
        assert self.NEW not in messages(world)[-1]

    def test_what_was_served_is_told_apart_where_it_is_as_many_other_outcomes(self, world: Settings) -> None:
        errors(world, 20, BAD)
        add_champion(world, END + DAY, version=self.NEW)
        self.served(world, 20, 3.0, 2)
        query(world, "UPDATE studyml.outcome_predictions SET served = false WHERE model_version = %s", self.NEW)
        judge(world, 2)

        assert f"Study times that {self.NEW} predicted of the last 30 days were off by 3.00 h" in messages(world)[-1]
        assert "All that was served in these days, by whichever version: off by 2.00 h, over 20" in messages(world)[-1]

    def test_a_new_one_that_is_bad_itself_is_the_same_incident_again(self, retrained: Settings) -> None:
        self.served(retrained, 10, GOOD, 2)
        judge(retrained, 2)
        judge(retrained, 3)
        self.served(retrained, 40, BAD, 5, first=600)
        judge(retrained, 5)

        assert incidents(retrained) == [("degraded", "open")]
        assert [event for event, _ in severities(retrained)] == ["opened", "resolved", "reopened"]
        assert (
            f"Study times that {self.NEW} predicted of the last 30 days were off by 1.70 h" in messages(retrained)[-1]
        )
        assert (
            "All that was served in these days, by whichever version: off by 1.79 h, over 70 outcomes"
            in (messages(retrained)[-1])
        )


def test_a_champion_that_replaced_another_is_not_blamed_for_its_errors(world: Settings) -> None:
    add_champion(world, END - DAY, version="v_20260228_000000")
    errors(world, 20, BAD)

    assert judge(world)["verdict"] == "suspected"
    assert incidents(world) == []


def rejected_for(world: Settings) -> int:
    """A degradation, and the retraining that it made due, which was rejected; return that run's id."""
    errors(world, 10, BAD)
    judge(world)
    run = check_retraining(world, as_of=END, now=NOW)
    query(world, "UPDATE studyml.retraining_runs SET decision = 'rejected', decided_at = now() WHERE id = %s", run)
    assert run is not None
    return run


def test_an_incident_that_is_back_says_since_when_and_what_its_retraining_came_to(world: Settings) -> None:
    rejected_for(world)
    query(world, "UPDATE studyml.incidents SET status = 'resolved', resolved_as_of = updated_as_of")
    judge(world, 1)

    again = messages(world)[-1]
    assert "Since: the night of 2026-03-01 00:00 UTC at first; it was over, and is back since the night of" in again
    assert "since the night of 2026-03-02 00:00 UTC; no earlier night was judged healthy." in again
    assert "when a person has to decide" in again
    assert "retraining decided" not in again
    assert "Done: a retraining in the night of 2026-03-01 00:00 UTC; its version was no better" in again


def test_an_incident_that_is_back_after_a_person_was_asked_promises_no_other_question(world: Settings) -> None:
    run = rejected_for(world)
    query(
        world,
        "UPDATE studyml.incidents SET status = 'resolved', resolved_as_of = updated_as_of,"
        " figures = figures || jsonb_build_object('asked', %s)",
        run,
    )
    judge(world, 1)

    opened, again = messages(world)
    assert "Since: the night of 2026-03-01 00:00 UTC; no earlier night had enough outcomes to be judged." in opened
    assert "Another message comes only when it is confirmed and when it is over." in again


@pytest.mark.parametrize(
    ("decision", "status", "words"),
    [
        ("challenger", "challenger", "v_20260228_000000 is tried beside the champion"),
        ("challenger", "retired", "the trial of v_20260228_000000 ended, and the next one is due"),
        ("awaiting_approval", "awaiting_approval", "v_20260228_000000 waits for a person's approval"),
        ("awaiting_approval", "rejected", "v_20260228_000000 was not approved, and the next one is due"),
    ],
)
def test_an_incident_that_is_back_says_what_became_of_the_version_since(
    world: Settings, decision: str, status: str, words: str
) -> None:
    errors(world, 10, BAD)
    judge(world)
    run = check_retraining(world, as_of=END, now=NOW)
    query(
        world,
        "INSERT INTO studyml.model_versions (version, status, architecture, trained_at, as_of, manifest_sha256)"
        " VALUES ('v_20260228_000000', %s, 'mlp', %s, %s, repeat('0', 64))",
        *(status, END, END),
    )
    query(
        world,
        "UPDATE studyml.retraining_runs SET decision = %s, version = 'v_20260228_000000', decided_at = now()"
        " WHERE id = %s",
        *(decision, run),
    )
    query(world, "UPDATE studyml.incidents SET status = 'resolved', resolved_as_of = updated_as_of")
    judge(world, 1)

    assert f"Done: a retraining in the night of 2026-03-01 00:00 UTC; {words}" in messages(world)[-1]


def test_while_the_breaker_is_open_no_retraining_is_promised(world: Settings) -> None:
    for night in range(3):
        query(
            world,
            "INSERT INTO studyml.retraining_runs (as_of, new_labels, labels_needed, decision, started_at, decided_at)"
            " VALUES (%s, 0, 50, 'failed', %s, %s)",
            *(END - (3 - night) * DAY for _ in range(3)),
        )
    errors(world, 10, BAD)
    judge(world)

    assert "Done: no retraining is started, since the last ones failed" in messages(world)[0]


def test_what_gets_worse_after_its_retraining_says_so_and_since_when(world: Settings) -> None:
    rejected_for(world)
    query(
        world,
        "UPDATE studyml.model_versions SET metrics = metrics || jsonb_build_object('relative_error', %s::jsonb)",
        json.dumps(PRECISE),
    )
    judge(world, 1)

    opened, worse = messages(world)
    assert "Done: a retraining is due for it, once" in opened
    assert "Done: a retraining in the night of 2026-03-01 00:00 UTC; its version was no better" in worse
    assert "Since: the night of 2026-03-01 00:00 UTC" in worse
    assert "Direction: sessions took 2.00 h longer than predicted on average." in worse
