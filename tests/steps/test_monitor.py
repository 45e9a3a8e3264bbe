"""Verdicts, the incident that follows from one, and its single message."""

import json
import math
from datetime import datetime, timedelta
from typing import Any

import pytest

from studyml.settings import Settings
from studyml.steps.check_retraining import check_retraining
from studyml.steps.monitor import monitor
from studyml.steps.observe import observe
from tests.conftest import END, FIRST_NIGHT, NOW
from tests.scoring.world import (
    EARLIER,
    VERSION,
    add_champion,
    add_sessions,
    create_source,
    finish,
    judged,
    query,
    scalar,
)

DAY = timedelta(days=1)
BAD, GOOD = 2.0, 0.5


@pytest.fixture
def world(settings: Settings) -> Settings:
    """A champion, an empty source, and nothing in the ledger."""
    create_source(settings)
    add_champion(settings, END - 50 * DAY, mae=0.91)
    return settings


def errors(settings: Settings, count: int, error: float, *, as_of: datetime = END, first_id: int = 1) -> None:
    """Outcomes of the day before ``as_of``, observed by it, each so many hours off."""
    rows = [(first_id + row, as_of - DAY, 1.0 + error, 1.0) for row in range(count)]
    judged(settings, rows, observed_at=as_of)


def forget(settings: Settings) -> None:
    query(settings, "TRUNCATE studyml.outcomes, studyml.outcome_predictions")


def judge(settings: Settings, night: int = 0) -> dict[str, Any]:
    return monitor(settings, as_of=END + night * DAY, now=NOW)[0]


def messages(settings: Settings) -> list[str]:
    return [text for (text,) in query(settings, "SELECT message_body FROM studyml.incident_events ORDER BY id") if text]


def incidents(settings: Settings) -> list[tuple[str, str]]:
    return query(settings, "SELECT kind, status FROM studyml.incidents ORDER BY id")


def test_without_outcomes_the_verdict_is_insufficient_data(world: Settings) -> None:
    found = judge(world)

    assert (found["verdict"], found["n"], found["rolling_mae"]) == ("insufficient_data", 0, None)
    assert incidents(world) == []


@pytest.mark.parametrize(("n", "verdict"), [(9, "insufficient_data"), (10, "degraded")])
def test_ten_outcomes_are_needed_to_alarm(world: Settings, n: int, verdict: str) -> None:
    errors(world, n, BAD)

    assert judge(world)["verdict"] == verdict
    assert len(messages(world)) == (verdict == "degraded")


def test_an_error_of_exactly_the_threshold_is_healthy(world: Settings) -> None:
    errors(world, 10, 1.188)

    assert judge(world)["verdict"] == "healthy"


def test_predictions_that_are_not_numbers_are_an_error_and_valid_json(world: Settings) -> None:
    judged(world, [(row, END - DAY, 2.0, math.nan) for row in range(10)], observed_at=END)

    found = monitor(world, as_of=END, now=NOW)

    assert found[0]["verdict"] == "error"
    json.dumps(found, allow_nan=False)
    assert incidents(world) == []


def test_the_result_says_what_monitor_promises(world: Settings) -> None:
    errors(world, 10, 0.5)
    add_sessions(world, [(session, END - DAY, None) for session in range(40)])
    query(world, "UPDATE studyml.outcome_predictions SET lower_hours = 0.5, upper_hours = 1.2 + session_id * 0.1")

    found = judge(world)

    assert found == {
        "as_of": END.isoformat(),
        "scope": "served",
        "rolling_mae": 0.5,
        "rolling_rmse": 0.5,
        "n": 10,
        "coverage": 0.25,
        "interval_80_coverage": 0.8,
        "interval_90_coverage": None,
        "baseline_mae": 0.99,
        "threshold": pytest.approx(1.188),
        "expected_mae": 0.91,
        "verdict": "healthy",
        "reason": "MAE 0.500 h over 10 outcomes against a threshold of 1.188 h",
    }


def test_intervals_that_hold_too_little_are_on_record_and_ring_nobody(world: Settings) -> None:
    errors(world, 20, GOOD)
    query(
        world,
        "UPDATE studyml.outcome_predictions SET lower_hours = 1, upper_hours = 1.1, lower_hours_90 = 1,"
        " upper_hours_90 = 1.2",
    )

    assert judge(world)["verdict"] == "healthy"
    assert query(
        world,
        "SELECT interval_80_coverage, interval_90_coverage FROM analytics.model_quality_daily WHERE scope = 'served'",
    ) == [(0.0, 0.0)]
    assert incidents(world) == []


def test_outcomes_are_judged_by_the_intervals_that_were_served_for_them(lived: Settings) -> None:
    observe(lived, as_of=END, now=NOW)
    (found,) = (each for each in monitor(lived, as_of=END, now=NOW) if each["scope"] == "served")
    ends = "lower_hours_90, lower_hours, predicted_hours, upper_hours, upper_hours_90"
    served = dict(
        query(lived, f"SELECT session_id, ARRAY[{ends}] FROM studyml.predictions WHERE as_of = %s", FIRST_NIGHT)
    )
    judged = query(lived, f"SELECT session_id, actual_hours, ARRAY[{ends}] FROM studyml.outcome_predictions")

    assert found["n"] == len(judged) > 20
    for session, _, around in judged:
        assert around == served[session]
        assert around == sorted(around)
    for name, (lower, upper) in {80: (1, 3), 90: (0, 4)}.items():
        inside = sum(around[lower] <= actual <= around[upper] for _, actual, around in judged)
        assert found[f"interval_{name}_coverage"] == pytest.approx(inside / len(judged))
    assert 0.6 < found["interval_80_coverage"] <= found["interval_90_coverage"]


def test_a_correction_keeps_the_intervals_that_were_served(lived: Settings) -> None:
    observe(lived, as_of=END, now=NOW)
    query(lived, "UPDATE study_sessions SET actual_duration = 23 WHERE actual_duration IS NOT NULL")
    observe(lived, as_of=END + DAY, now=NOW + DAY)

    ends = "SELECT lower_hours_90, upper_hours_90 FROM studyml.outcome_predictions"
    kept = f"{ends} WHERE revision = %s ORDER BY session_id"
    assert query(lived, kept, 1) == query(lived, kept, 2) != []


def test_each_version_is_judged_beside_with_what_was_expected_of_it(world: Settings) -> None:
    add_champion(world, END - 5 * DAY, version="v_20260220_000000", mae=0.77)
    errors(world, 10, 3.0, first_id=1)
    judged(world, [(100, END - DAY, 2.0, 1.0)], observed_at=END, version="v_20260220_000000")

    found = {each["scope"]: each for each in monitor(world, as_of=END, now=NOW)}

    assert {scope: (each["verdict"], each["expected_mae"]) for scope, each in found.items()} == {
        "served": ("degraded", 0.77),
        VERSION: ("degraded", 0.91),
        "v_20260220_000000": ("insufficient_data", 0.77),
    }


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
        "The limit is 1.19 h",
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

    assert judge(world, 1)["verdict"] == "degraded"

    assert incidents(world) == [("degraded", "open")]
    assert len(messages(world)) == 1
    assert scalar(world, "SELECT updated_as_of FROM studyml.incidents") == END + DAY
    assert scalar(world, "SELECT figures ->> 'rolling_mae' FROM studyml.incidents") == "3.5"


def test_a_healthy_night_resolves_it_and_the_next_degradation_is_news(world: Settings) -> None:
    errors(world, 10, BAD)
    judge(world)
    forget(world)
    errors(world, 10, GOOD, as_of=END + DAY)
    judge(world, 1)
    assert incidents(world) == [("degraded", "resolved")]

    forget(world)
    errors(world, 10, BAD, as_of=END + 2 * DAY)
    judge(world, 2)

    assert incidents(world) == [("degraded", "resolved"), ("degraded", "open")]
    assert len(messages(world)) == 2


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


def test_a_promotion_in_the_night_does_not_change_what_is_said_about_the_version_judged(world: Settings) -> None:
    errors(world, 10, GOOD)
    first = judge(world)
    add_champion(world, END, version="v_20260301_000000", mae=0.5)

    assert judge(world) == first


def test_a_replay_stores_its_verdict_and_tells_nobody(world: Settings) -> None:
    errors(world, 10, BAD)
    finish(world, END + DAY)

    assert judge(world)["verdict"] == "degraded"
    assert incidents(world) == []
    assert scalar(world, "SELECT verdict FROM studyml.monitoring_runs WHERE scope = 'served'") == "degraded"


def test_a_healthy_replay_resolves_nothing(world: Settings) -> None:
    errors(world, 10, BAD)
    judge(world)
    finish(world, END)
    forget(world)
    errors(world, 10, GOOD, as_of=END - DAY)

    assert judge(world, -1)["verdict"] == "healthy"
    assert incidents(world) == [("degraded", "open")]


def test_a_night_run_again_judges_by_what_was_known_then(world: Settings) -> None:
    errors(world, 10, GOOD)
    first = judge(world)
    errors(world, 10, 5.0, as_of=END + DAY, first_id=100)
    judge(world, 1)

    assert judge(world) == first


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


def test_the_baseline_and_the_window_are_settings(world: Settings) -> None:
    errors(world, 10, GOOD)
    strict = world.model_copy(update={"baseline_mae": 0.1, "monitoring_window_days": 5})

    found = judge(strict)

    assert (found["verdict"], found["threshold"]) == ("degraded", pytest.approx(0.12))
    assert "of the last 5 days" in messages(world)[0]


def test_without_any_champion_before_it_a_night_can_be_judged(settings: Settings) -> None:
    create_source(settings)
    add_champion(settings, END + DAY, version=EARLIER)

    assert judge(settings)["expected_mae"] is None
