"""The verdicts of a night, and what each rests on."""

import json
import math
import re
from types import MappingProxyType

import pytest

from studyml.settings import Settings
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
)
from tests.steps.judged_nights import BAD, DAY, GOOD, errors, incidents, judge, messages, world

__all__ = ["world"]


def test_without_outcomes_the_verdict_is_insufficient_data(world: Settings) -> None:
    found = judge(world)

    assert (found["verdict"], found["n"], found["rolling_mae"]) == ("insufficient_data", 0, None)
    assert incidents(world) == []


@pytest.mark.parametrize(("n", "verdict"), [(9, "insufficient_data"), (10, "suspected")])
def test_ten_outcomes_are_needed_to_alarm(world: Settings, n: int, verdict: str) -> None:
    errors(world, n, BAD)

    assert judge(world)["verdict"] == verdict
    assert len(messages(world)) == (verdict == "suspected")


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
        "verdict": "healthy",
        "n": 10,
        "rolling_mae": 0.5,
        "rolling_mae_lower": 0.5,
        "rolling_mae_upper": 0.5,
        "rolling_rmse": 0.5,
        "rolling_bias": 0.5,
        "baseline_mae": 0.99,
        "threshold": pytest.approx(1.188),
        "ratio": pytest.approx(0.5 / 0.99),
        "error_ratio": None,
        "error_ratio_limit": None,
        "error_ratio_n": None,
        "error_ratio_days": None,
        "expected_mae": 0.91,
        "estimated_mae": None,
        "coverage": 0.25,
        "coverage_by_date": [{"prediction_date": None, "sessions": 40, "labelled": 10}],
        "interval_80_coverage": 0.8,
        "interval_90_coverage": None,
        "window_days": 30,
        "worst_slices": [],
        "drift": None,
        "reason": "MAE 0.500 h over 10 outcomes against a threshold of 1.188 h (0.51 x the baseline); whether it is"
        " beyond chance is not known: the version has too few outcomes, or no errors out of fold",
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
        "served": ("suspected", 0.77),
        VERSION: ("suspected", 0.91),
        "v_20260220_000000": ("insufficient_data", 0.77),
    }


def test_a_promotion_in_the_night_does_not_change_what_is_said_about_the_version_judged(world: Settings) -> None:
    errors(world, 10, GOOD)
    first = judge(world)
    add_champion(world, END, version="v_20260301_000000", mae=0.5)

    assert judge(world) == first


def test_a_night_run_again_judges_by_what_was_known_then(world: Settings) -> None:
    errors(world, 10, GOOD)
    first = judge(world)
    errors(world, 10, 5.0, as_of=END + DAY, first_id=100)
    judge(world, 1)

    assert judge(world) == first


@pytest.mark.parametrize(
    ("broken", "unknown"),
    [
        ("ALTER TABLE study_sessions RENAME COLUMN energy_level TO nrg", ["slices"]),
        ("ALTER TABLE study_sessions RENAME TO sessions", ["label coverage", "label coverage by night", "slices"]),
    ],
)
def test_a_source_that_cannot_be_read_leaves_a_verdict_that_says_what_is_unknown(
    world: Settings, broken: str, unknown: list[str]
) -> None:
    errors(world, 10, BAD)
    query(world, broken)

    found = judge(world)

    assert (found["verdict"], found["coverage"], found["worst_slices"]) == ("suspected", None, [])
    assert re.findall(r"; ([a-z ]+): unknown, ", found["reason"]) == unknown
    assert query(world, "SELECT verdict FROM studyml.monitoring_runs WHERE scope = 'served'") == [("suspected",)]


def test_a_replay_leaves_a_verdict_as_it_was_and_makes_up_for_one_that_failed(world: Settings) -> None:
    def stored() -> list[tuple[object, ...]]:
        return query(world, "SELECT as_of, scope, verdict, threshold, drift, recorded_at FROM studyml.monitoring_runs")

    errors(world, 10, GOOD)
    judge(world)
    before = stored()
    finish(world, END + DAY)
    strict = world.model_copy(update={"baseline_mae": 0.1})

    judge(strict)
    assert stored() == before

    query(world, "UPDATE studyml.monitoring_runs SET verdict = 'error'")
    judge(strict)
    assert ("served", "suspected") in [(scope, verdict) for _, scope, verdict, *_ in stored()]


def test_what_could_not_be_checked_is_never_healthy(world: Settings) -> None:
    errors(world, 10, GOOD)
    assert judge(world)["verdict"] == "healthy"
    query(world, "ALTER TABLE study_sessions RENAME TO sessions")

    assert judge(world)["verdict"] == "error"


def test_the_baseline_and_the_window_are_settings(world: Settings) -> None:
    errors(world, 10, GOOD)
    strict = world.model_copy(update={"baseline_mae": 0.1, "monitoring_window_days": 5})

    found = judge(strict)

    assert (found["verdict"], found["threshold"]) == ("suspected", pytest.approx(0.12))
    assert "of the last 5 days" in messages(world)[0]


class TestBeyondChance:
    """The champion was 25 % off on average out of fold."""

    EXPECTED = MappingProxyType(
        {
            "mean": 0.25,
            "coefficient_of_variation": 0.8,
            "skewness": 0.0,
            "week_effect": 1.0,
            "student_effect": 1.0,
            "rows": 400,
            "cap": 2.0,
        }
    )

    @pytest.fixture
    def tested(self, settings: Settings) -> Settings:
        create_source(settings)
        add_champion(settings, END - 50 * DAY, relative_error=dict(self.EXPECTED))
        return settings

    def test_what_chance_does_not_explain_is_confirmed_though_the_guides_rule_sees_nothing(
        self, tested: Settings
    ) -> None:
        errors(tested, 100, 0.5)

        found = judge(tested)

        assert (found["verdict"], found["rolling_mae"] < found["threshold"]) == ("confirmed", True)
        assert found["error_ratio"] == pytest.approx(2.0)
        assert found["error_ratio"] > found["error_ratio_limit"] > 1.2
        assert found["error_ratio_n"] == 100

    def test_an_error_as_expected_is_healthy_and_says_what_chance_allows(self, tested: Settings) -> None:
        errors(tested, 100, 0.25)

        found = judge(tested)

        assert (found["verdict"], found["error_ratio"]) == ("healthy", pytest.approx(1.0))
        assert found["error_ratio_limit"] > 1.2

    def test_each_version_is_held_to_its_own_errors(self, tested: Settings) -> None:
        errors(tested, 40, 0.5)
        add_champion(tested, END - 5 * DAY, version=EARLIER, relative_error={**self.EXPECTED, "mean": 0.5})
        judged(tested, [(row, END - DAY, 1.5, 1.0) for row in range(200, 240)], observed_at=END, version=EARLIER)

        found = {each["scope"]: each for each in monitor(tested, as_of=END, now=NOW)}

        assert found[EARLIER]["error_ratio"] == pytest.approx(1.0)
        assert found[VERSION]["error_ratio"] == pytest.approx(2.0)
        assert found["served"]["error_ratio"] == found[EARLIER]["error_ratio"]


def test_without_any_champion_before_it_a_night_can_be_judged(settings: Settings) -> None:
    create_source(settings)
    add_champion(settings, END + DAY, version=EARLIER)

    assert judge(settings)["expected_mae"] is None


def test_a_look_records_nothing_and_tells_nobody(settings: Settings) -> None:
    create_source(settings)
    add_champion(settings, END - 50 * DAY)
    judged(settings, [(row, END - DAY, 3.0, 1.0) for row in range(10)], observed_at=END)

    assert monitor(settings, as_of=END, now=NOW, look=True)[0]["verdict"] == "suspected"
    assert query(settings, "SELECT * FROM studyml.monitoring_runs") == []
    assert query(settings, "SELECT * FROM studyml.incidents") == []
