"""The gates: each failure rehearsed, each result with its numbers and a sentence."""

import json
from dataclasses import replace

import numpy as np
import pytest

from studyml.evaluation.gates import GateResult, Holdout, apply_gates, compare_predictors, passed

ROWS, STUDENTS = 120, 12


def holdout(**factors: float) -> Holdout:
    """A holdout on which each predictor's errors are so many times those of a common reference, paired by row."""
    random = np.random.default_rng(3)
    actual = random.uniform(4, 8, ROWS)
    noise = random.uniform(0.2, 0.8, ROWS)
    ids = np.arange(ROWS, dtype=np.int64)
    return Holdout(ids, ids % STUDENTS, ids, actual, {name: actual + each * noise for name, each in factors.items()})


GOOD = {"network": 1.0, "median": 2.0, "estimate": 3.0}


def judge(rows: Holdout, parity: float = 1e-7) -> dict[str, GateResult]:
    return {each.gate: each for each in apply_gates(rows, parity_hours=parity, seed=42)}


def failed(results: dict[str, GateResult]) -> list[str]:
    return [name for name, each in results.items() if not each.passed]


def test_a_network_better_than_everything_passes_every_gate() -> None:
    results = judge(holdout(**GOOD, champion=1.2))

    assert list(results) == ["finite", "export_parity", "beats_median", "beats_estimate", "not_worse_than_champion"]
    assert failed(results) == []
    assert passed(list(results.values()))


def test_without_a_champion_there_is_no_gate_against_one() -> None:
    assert "not_worse_than_champion" not in judge(holdout(**GOOD))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_prediction_that_is_not_finite_fails_and_nothing_is_compared(value: float) -> None:
    rows = holdout(**GOOD)
    rows.predicted["network"][7] = value

    results = judge(rows)

    assert list(results) == ["finite", "export_parity"]
    assert failed(results) == ["finite"]
    assert results["finite"].reason == "1 of 120 predictions are not finite"


def test_no_holdout_rows_are_no_proof() -> None:
    empty = np.zeros(0, np.int64)

    results = judge(Holdout(empty, empty, empty, np.zeros(0), {"network": np.zeros(0), "median": np.zeros(0)}))

    assert failed(results) == ["finite"]
    assert results["finite"].reason == "there are no holdout rows to judge the network on"


@pytest.mark.parametrize(
    ("parity", "good"), [(0.0, True), (1e-4, True), (1.01e-4, False), (np.inf, False), (np.nan, False)]
)
def test_the_export_must_agree_within_a_ten_thousandth_of_an_hour(parity: float, good: bool) -> None:
    results = judge(holdout(**GOOD), parity)

    assert failed(results) == ([] if good else ["export_parity"])


@pytest.mark.parametrize(
    ("name", "gate", "words"),
    [
        ("median", "beats_median", "the network is worse than the training median"),
        ("estimate", "beats_estimate", "the network is worse than the topic's estimated_base_time"),
        ("champion", "not_worse_than_champion", "the network is worse than the champion"),
    ],
)
def test_a_network_worse_than_a_reference_fails_that_gate_and_says_so(name: str, gate: str, words: str) -> None:
    results = judge(holdout(**{**GOOD, "champion": 1.5, name: 0.9}))

    assert failed(results) == [gate]
    assert results[gate].value == pytest.approx(1 / 0.9)
    assert results[gate].reason.startswith(f"{words} on 120 holdout sessions: MAE ratio 1.111 (limit 1)")


def test_a_network_that_is_better_by_luck_alone_fails_by_its_bound() -> None:
    rows = holdout(**GOOD, champion=1.0)
    errors = np.abs(rows.predicted["champion"] - rows.actual)
    # Much better for one student, a little worse for all others.
    factor = np.where(rows.student_id == 0, 0.1, 1.07)
    lucky = replace(rows, predicted={**rows.predicted, "network": rows.actual + factor * errors})

    results = judge(lucky)

    assert failed(results) == ["not_worse_than_champion"]
    gate = results["not_worse_than_champion"]
    assert gate.value is not None
    assert gate.upper_bound is not None
    assert gate.value < 1 < 1.03 < gate.upper_bound
    assert gate.reason.startswith("the network may be worse than the champion")


def test_an_equal_of_the_champion_passes() -> None:
    assert failed(judge(holdout(**GOOD, champion=1.0))) == []


class TestAChampionThatLearnedFromPartOfTheHoldout:
    """Trained on newer rows than the candidate, it fits them: there it seems better than it is."""

    @staticmethod
    def learned(rows: int) -> Holdout:
        known = holdout(**GOOD, champion=1.5)
        known.predicted["champion"][:rows] = np.nan
        return known

    def test_is_compared_on_the_others_and_the_reason_says_so(self) -> None:
        gate = judge(self.learned(80))["not_worse_than_champion"]

        assert gate.passed
        assert "on 40 holdout sessions that the champion did not learn from: MAE ratio 0.66" in gate.reason

    def test_is_not_beaten_where_too_few_are_left(self) -> None:
        gate = judge(self.learned(91))["not_worse_than_champion"]

        assert not gate.passed
        assert gate.reason == (
            "the champion learned from 91 of the 120 holdout sessions, and 29 others are too few to compare them on"
            " (30 needed)"
        )
        assert not judge(self.learned(120))["not_worse_than_champion"].passed


def test_results_are_stored_with_numbers_and_what_is_not_finite_as_null() -> None:
    rows = holdout(**GOOD)
    alone = replace(rows, student_id=np.zeros(ROWS, np.int64))  # one student, one week: no bound

    stored = [each.to_json() for each in apply_gates(alone, parity_hours=np.inf, seed=1)]

    again = json.loads(json.dumps(stored, allow_nan=False))
    by_gate = {each["gate"]: each for each in again}
    assert by_gate["export_parity"]["value"] is None
    assert by_gate["beats_median"]["value"] == pytest.approx(0.5)
    assert by_gate["beats_median"]["upper_bound"] is None
    assert not by_gate["beats_median"]["passed"]
    assert all(each["reason"] for each in again)


def test_the_comparison_pairs_the_same_rows() -> None:
    rows = holdout(network=1.0, median=1.0)

    found = compare_predictors(rows, "network", "median", seed=42)

    assert (found.ratio, found.rows, found.groups) == (1, ROWS, STUDENTS)
