"""The gates on what would be served: each failure rehearsed, each with its numbers and a sentence."""

import numpy as np
import pytest

from studyml.evaluation.gates import Holdout
from studyml.evaluation.serving_gates import in_range, intervals_cover, same_schema, small_and_fast, worst_slice
from studyml.evaluation.slices import Dimension

ROWS, STUDENTS = 400, 20
IDS = np.arange(ROWS, dtype=np.int64)


def holdout(ours: np.ndarray, theirs: float = 1.0, seed: int = 3) -> Holdout:
    """Errors of the network, so many times those of a common reference [n], and of the champion."""
    random = np.random.default_rng(seed)
    actual, noise = random.uniform(4, 8, ROWS), random.uniform(0.2, 0.8, ROWS)
    predicted = {"network": actual + ours * noise, "champion": actual + theirs * noise}
    return Holdout(IDS, IDS % STUDENTS, IDS, actual, predicted)


def subjects(small: int) -> Dimension:
    """Two subjects: the first ``small`` rows, and the rest."""
    return Dimension("subject", "Subject", ("Music", "Maths"), (small <= IDS).astype(np.int64))


class TestTheWorstSlice:
    def test_passes_where_every_slice_is_as_good(self) -> None:
        found = worst_slice(holdout(np.ones(ROWS)), [subjects(100)])

        assert found.passed
        assert found.value == pytest.approx(1)
        assert "no slice is worse than the champion by more than 10% beyond chance" in found.reason

    def test_fails_where_one_is_much_worse_though_all_together_are_not(self) -> None:
        ours = np.where(IDS < 100, 1.6, 0.7)
        found = worst_slice(holdout(ours), [subjects(100)])

        assert not found.passed
        assert (found.value, found.limit) == (pytest.approx(1.6), 1.10)
        assert found.reason.startswith("the slice Subject: Music is worse than the champion by more than 10%")

    def test_is_not_failed_by_chance(self) -> None:
        random = np.random.default_rng(5)
        failed = 0
        for seed in range(100):
            # Equal in the mean, and each session's error another: what two healthy networks look like.
            ours = random.lognormal(0, 0.5, ROWS)
            rows = holdout(ours, theirs=float(ours.mean()), seed=seed)
            failed += not worst_slice(rows, [subjects(40), subjects(200)]).passed

        assert failed <= 2

    def test_of_fewer_than_30_rows_is_not_judged(self) -> None:
        found = worst_slice(holdout(np.where(IDS < 29, 9.0, 1.0)), [subjects(29)])

        assert found.passed
        assert "the worst of 1, Subject: Maths" in found.reason

    def test_counts_only_rows_that_the_champion_did_not_learn_from(self) -> None:
        rows = holdout(np.where(np.arange(ROWS) < 40, 3.0, 1.0))
        assert not worst_slice(rows, [subjects(40)]).passed
        rows.predicted["champion"][:40] = np.nan

        result = worst_slice(rows, [subjects(40)])

        assert result.passed
        assert np.isfinite(result.value or np.nan)

    def test_by_the_outcome_itself_is_hindsight(self) -> None:
        cut = Dimension("actual_length", "Length", ("short", "long"), (IDS >= 100).astype(np.int64))

        assert "there is no slice" in worst_slice(holdout(np.where(IDS < 100, 9.0, 1.0)), [cut]).reason


class TestIntervals:
    def test_that_cover_what_they_say_pass(self) -> None:
        rows = holdout(np.ones(ROWS))
        width = np.where(IDS % 10 < 8, 1.0, -1.0)

        (found,) = intervals_cover(rows, {0.8: (rows.actual - width, rows.actual + width)})

        assert (found.gate, found.passed, found.value) == ("interval_80", True, 0.8)

    @pytest.mark.parametrize("share", [0.5, 1.0])
    def test_that_cover_much_less_or_more_fail(self, share: float) -> None:
        rows = holdout(np.ones(ROWS))
        tenth = IDS % 10
        width = np.where(tenth < 10 * share, 1.0, -1.0)

        (found,) = intervals_cover(rows, {0.8: (rows.actual - width, rows.actual + width)})

        assert (found.passed, found.value) == (False, share)
        assert "does not cover what it says" in found.reason

    def test_that_hold_all_of_twenty_outcomes_may_do_so_by_chance(self) -> None:
        rows = holdout(np.ones(ROWS))
        few = Holdout(IDS[:20], rows.student_id[:20], IDS[:20], rows.actual[:20], {})

        assert intervals_cover(few, {0.9: (few.actual - 1, few.actual + 1)})[0].passed

    def test_that_hold_all_but_one_of_eighty_outcomes_may_do_so_by_chance(self) -> None:
        rows = holdout(np.ones(ROWS))
        some = Holdout(IDS[:80], rows.student_id[:80], IDS[:80], rows.actual[:80], {})
        width = np.where(IDS[:80] == 40, -1.0, 1.0)

        (found,) = intervals_cover(some, {0.9: (some.actual - width, some.actual + width)})

        assert (found.passed, found.value) == (True, 79 / 80)

    def test_one_student_more_or_less_is_chance(self) -> None:
        rows = holdout(np.ones(ROWS))
        width = np.where(rows.student_id < 14, 1.0, -1.0)

        assert intervals_cover(rows, {0.8: (rows.actual - width, rows.actual + width)})[0].passed


@pytest.mark.parametrize(("outside", "passed"), [(0, True), (1, True), (2, False)])
def test_at_most_a_hundredth_of_the_outputs_may_lie_outside_of_a_day(outside: int, passed: bool) -> None:
    for value in (-0.1, 24.1):
        raw = np.full(100, 3.0)
        raw[:outside] = value

        found = in_range(raw)

        assert (found.passed, found.value) == (passed, outside / 100)


def test_a_feature_that_scoring_cannot_supply_is_named() -> None:
    found = same_schema({"age", "breaks_taken"}, {"age"}, inputs=2, width=2)

    assert not found.passed
    assert found.reason == "scoring cannot supply breaks_taken"


def test_a_network_of_another_width_than_its_inputs_fails() -> None:
    assert same_schema({"age"}, {"age", "subject"}, inputs=3, width=3).passed
    found = same_schema({"age"}, {"age"}, inputs=3, width=4)

    assert (found.passed, found.reason) == (False, "the network takes 4 inputs, and 3 are encoded")


@pytest.mark.parametrize(
    ("size", "seconds", "failed"), [(10_000, 0.01, []), (20_000_001, 0.01, ["size"]), (10_000, 1.1, ["time"])]
)
def test_what_is_large_or_slow_fails_with_its_figure(size: int, seconds: float, failed: list[str]) -> None:
    found = small_and_fast(size, seconds)

    assert [each.gate for each in found if not each.passed] == failed
    step = {0.01: "0.01", 1.1: "2"}[seconds]
    assert f"1,000 sessions are predicted in at most {step} s" in found[1].reason
