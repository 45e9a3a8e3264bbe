"""What follows from a verdict: one incident, its messages, and one retraining."""

import json

import pytest

from studyml.settings import Settings
from studyml.steps.check_retraining import check_retraining
from tests.conftest import END, NOW
from tests.scoring.world import (
    EARLIER,
    VERSION,
    add_sessions,
    finish,
    judged,
    query,
    scalar,
)
from tests.steps.judged_nights import (
    BAD,
    DAY,
    GOOD,
    PRECISE,
    confirmable,
    errors,
    forget,
    incidents,
    judge,
    messages,
    severities,
    world,
)

__all__ = ["world"]


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


def test_a_night_with_too_few_outcomes_does_not_part_two_healthy_ones(world: Settings) -> None:
    for night, (count, error) in enumerate(((10, BAD), (10, GOOD), (3, GOOD), (10, GOOD))):
        forget(world)
        errors(world, count, error, as_of=END + night * DAY)
        judge(world, night)

    assert incidents(world) == [("degraded", "resolved")]


def test_long_after_one_is_over_the_next_is_told_without_it(world: Settings) -> None:
    for night, error in ((0, BAD), (1, GOOD), (2, GOOD), (30, BAD)):
        forget(world)
        errors(world, 10, error, as_of=END + night * DAY)
        judge(world, night)

    assert "the night of 2026-03-31 00:00 UTC" in messages(world)[-1]
    assert "is back" not in messages(world)[-1]


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

    def test_a_bad_day_is_over_once_the_days_since_show_it_though_it_stays_in_the_window(self, world: Settings) -> None:
        expected = {**PRECISE, "mean": GOOD}
        query(
            world,
            "UPDATE studyml.model_versions SET metrics = metrics || jsonb_build_object('relative_error', %s::jsonb)",
            json.dumps(expected),
        )
        verdicts = []
        for night in range(7):
            as_of = END + night * DAY
            errors(world, 100, GOOD if night else BAD, as_of=as_of, first_id=1000 * night + 1)
            verdicts.append(judge(world, night)["verdict"])

        assert verdicts == ["confirmed"] * 2 + ["healthy"] * 5
        assert incidents(world) == [("degraded", "resolved")]
        assert len(messages(world)) == 2, "opened and recovered"


def test_where_people_approve_another_message_is_promised_that_asks_them(world: Settings) -> None:
    errors(world, 10, BAD)
    judge(world.model_copy(update={"promotion": "approve"}))

    promised = "when a version waits for approval, when the retraining did not help, and when it is over."
    assert promised in messages(world)[0]


def test_what_waits_for_approval_is_not_offered_while_a_retraining_is_due_that_may_put_it_aside(
    world: Settings,
) -> None:
    query(
        world,
        "INSERT INTO studyml.model_versions (version, status, architecture, trained_at, as_of, manifest_sha256)"
        " VALUES ('v_20260228_000000', 'awaiting_approval', 'mlp', %s, %s, repeat('0', 64))",
        *(END - DAY, END - DAY),
    )
    errors(world, 10, BAD)
    judge(world)

    [opened] = messages(world)
    assert "a retraining is due for it, once" in opened
    assert "see what the retraining decided" in opened
    assert "approve" not in opened
