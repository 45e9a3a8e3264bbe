"""Intervals hold what they promise: overall, for short and long sessions, and when the newest rows differ."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from studyml.evaluation.intervals import COVERAGES, coverage_by_length, fit_intervals, interval_coverage
from studyml.interval import bounds

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], tuple[Floats, Floats]]
Hours = st.lists(st.tuples(st.floats(0.01, 24), st.floats(0.1, 24)), min_size=1, max_size=300)
SEEDS = 40


def lengths(random: np.random.Generator, rows: int) -> Floats:
    return np.clip(random.lognormal(0.7, 0.6, rows), 0.2, 12)


def even(random: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
    """(actual, predicted): the same relative error everywhere, skewed."""
    predicted = lengths(random, rows)
    return predicted * np.exp(0.3 * (random.gamma(2, 1, rows) - 2)), predicted


def constant(random: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
    """The same error in hours everywhere, so a large one for short sessions in proportion."""
    predicted = lengths(random, rows)
    return np.clip(predicted + random.normal(0, 0.3, rows), 0.01, 24), predicted


def growing(random: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
    """Long sessions are less certain, also in proportion."""
    predicted = lengths(random, rows)
    return np.minimum(predicted * np.exp(random.normal(0, 0.05 + 0.08 * predicted)), 24), predicted


def measured(draw: Draw, rows: int) -> NDArray[np.float64]:
    """Mean over seeds of [80 %, 90 %] x [overall, tenth 1, ..., tenth 10], on rows of their own."""
    found = []
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        intervals = fit_intervals(*draw(random, rows))
        actual, predicted = draw(random, 2000)
        ends = bounds(predicted, intervals)
        found.append(
            [
                [interval_coverage(actual, *each), *(part.coverage for part in tenths(actual, predicted, each))]
                for each in ends
            ]
        )
    return np.mean(found, axis=0)


def tenths(actual: Floats, predicted: Floats, ends: tuple[Floats, Floats]) -> tuple:
    return coverage_by_length(actual, predicted, *ends)


@pytest.mark.parametrize("draw", [even, constant, growing])
@pytest.mark.parametrize("rows", [480, 600])
def test_coverage_is_nominal_overall_and_for_every_tenth_of_the_predicted_length(draw: Draw, rows: int) -> None:
    found = measured(draw, rows)

    assert found[:, 0] == pytest.approx(COVERAGES, abs=0.02)
    assert abs(found[:, 1:] - np.array(COVERAGES)[:, None]).max() < 0.05


def test_one_pair_of_ratios_for_all_lengths_would_not_do() -> None:
    random = np.random.default_rng(1)
    actual, predicted = constant(random, 5000)
    lower, upper = (predicted * np.quantile(actual / predicted, each) for each in (0.1, 0.9))

    assert abs(np.array([part.coverage for part in tenths(actual, predicted, (lower, upper))]) - 0.8).max() > 0.15


@pytest.mark.parametrize("rows", [20, 50, 100])
def test_few_rows_make_wide_intervals_not_bold_ones(rows: int) -> None:
    assert (measured(even, rows)[:, 0] > np.array(COVERAGES) - 0.01).all()


@given(Hours)
def test_intervals_are_finite_whatever_the_rows(pairs: list[tuple[float, float]]) -> None:
    actual, predicted = np.array(pairs).T
    intervals = fit_intervals(actual, predicted, newest=(actual[::-1], predicted))

    assert [each.coverage for each in intervals] == [0.8, 0.9]
    for lower, upper in bounds(predicted, intervals):
        assert np.isfinite(lower).all()
        assert np.isfinite(upper).all()


@given(Hours)
def test_the_order_of_the_rows_does_not_matter(pairs: list[tuple[float, float]]) -> None:
    actual, predicted = np.array(pairs).T
    predicted = predicted + np.arange(len(predicted)) * 1e-9  # rows of one length are cut as they come

    assert fit_intervals(actual, predicted) == fit_intervals(actual[::-1], predicted[::-1])


def test_equal_predictions_share_one_pair_of_ratios() -> None:
    actual = np.random.default_rng(2).lognormal(0, 0.4, 600)

    for interval in fit_intervals(actual, np.full(600, 1.5)):
        assert interval.lengths == (1.5,)
        ((lower, upper),) = bounds(np.full(600, 1.5), (interval,))
        assert interval_coverage(actual, lower, upper) == pytest.approx(interval.coverage, abs=0.01)


def test_predictions_are_judged_as_they_are_served() -> None:
    actual = np.random.default_rng(3).lognormal(-2, 0.4, 100)

    assert fit_intervals(actual, np.full(100, -1.0)) == fit_intervals(actual, np.full(100, 0.1))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_without_rows_or_with_predictions_that_are_no_numbers_there_is_no_interval(value: float) -> None:
    assert fit_intervals(np.array([]), np.array([])) == ()
    assert fit_intervals(np.array([1.0, 2.0]), np.array([1.0, value])) == ()


class TestNewestRows:
    """Rows after the others, predicted by the model that will serve."""

    @staticmethod
    def coverage(factor: float, newest_rows: int) -> float:
        """Mean coverage of the 80 % interval where errors are ``factor`` times those out of fold."""
        found = []
        for seed in range(SEEDS):
            random = np.random.default_rng(seed)

            def draw(spread: float, rows: int, random: np.random.Generator = random) -> tuple[Floats, Floats]:
                predicted = lengths(random, rows)
                return predicted * np.exp(random.normal(0, spread, rows)), predicted

            intervals = fit_intervals(*draw(0.4, 480), newest=draw(0.4 * factor, newest_rows))
            actual, predicted = draw(0.4 * factor, 2000)
            found.append(interval_coverage(actual, *bounds(predicted, intervals)[0]))
        return float(np.mean(found))

    @pytest.mark.parametrize("factor", [0.6, 1.0, 1.6])
    def test_intervals_follow_errors_that_have_become_smaller_or_larger(self, factor: float) -> None:
        assert self.coverage(factor, 120) == pytest.approx(0.8, abs=0.025)

    def test_without_them_they_would_stay_as_they_were(self) -> None:
        assert self.coverage(0.6, 0) > 0.93
        assert self.coverage(1.6, 0) < 0.62

    def test_a_few_or_a_failed_one_change_nothing(self) -> None:
        random = np.random.default_rng(5)
        rows = even(random, 480)
        unchanged = fit_intervals(*rows)

        assert fit_intervals(*rows, newest=(np.full(19, 9.0), np.full(19, 1.0))) == unchanged
        assert fit_intervals(*rows, newest=(np.full(99, 9.0), np.full(99, np.nan))) == unchanged
        assert fit_intervals(*rows, newest=(np.full(20, 9.0), np.full(20, 1.0))) != unchanged


def test_coverage_by_length_counts_each_row_once_from_short_to_long() -> None:
    predicted = np.arange(1.0, 26.0)[::-1]
    actual = np.where(predicted <= 5, predicted, predicted * 3)

    parts = coverage_by_length(actual, predicted, predicted * 0.5, predicted * 2, parts=5)

    assert [each.n for each in parts] == [5] * 5
    assert [each.coverage for each in parts] == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert (parts[0].from_hours, parts[0].to_hours, parts[-1].to_hours) == (1.0, 5.0, 25.0)
    assert coverage_by_length(*(np.array([1.0]),) * 4) == (parts[0].__class__(1.0, 1.0, 1, 1.0),)


def test_without_outcomes_there_is_no_coverage() -> None:
    empty = np.array([])

    assert interval_coverage(empty, empty, empty) is None
    assert coverage_by_length(empty, empty, empty, empty) == ()
