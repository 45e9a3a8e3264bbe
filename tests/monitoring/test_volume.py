"""Volume: a week of far more or far fewer sessions is flagged, a burst of a few students is not."""

import numpy as np
import pytest
from scipy import stats

from studyml.monitoring.volume import compare_volume


def days(recent: int, earlier: int) -> np.ndarray:
    return np.array([recent] * 7 + [earlier] * 28)


@pytest.mark.parametrize(
    ("recent", "moved"), [(10, False), (15, False), (20, True), (25, True), (5, True), (6, False), (0, True)]
)
def test_a_factor_of_two_is_flagged(recent: int, moved: bool) -> None:
    assert compare_volume(days(recent, 10)).moved is moved


def test_it_says_then_and_now() -> None:
    found = compare_volume(days(25, 10))

    assert (found.per_day, found.earlier_per_day, found.ratio) == (25, 10, 2.5)
    assert found.sentence == "sessions: 10 -> 25 a day (last 7 days, 28 before)"


def test_without_dispersion_the_chance_is_the_binomial_one() -> None:
    recent = np.array([3, 1, 2, 3, 2, 1, 2])
    found = compare_volume(np.concatenate([recent, np.ones(28, int)]))

    assert found.p_value == pytest.approx(2 * stats.binom.sf(recent.sum() - 1, recent.sum() + 28, 0.2))


def test_so_is_the_chance_of_a_fall() -> None:
    found = compare_volume(np.concatenate([[1, 0, 0, 0, 0, 0, 0], np.ones(28, int)]))

    assert found.p_value == pytest.approx(2 * stats.binom.cdf(1, 29, 0.2))


def test_twice_as_many_of_few_is_not_flagged_where_one_week_in_forty_has_them_by_chance() -> None:
    found = compare_volume(np.concatenate([[3, 2, 2, 2, 2, 2, 2], np.ones(28, int)]))

    assert 0.01 < found.p_value < 0.05
    assert found.ratio == pytest.approx(15 / 7)
    assert not found.moved


def test_where_whole_weeks_are_bursts_sessions_count_for_what_the_weeks_vary() -> None:
    quiet, busy = [1, 1, 1, 0, 0, 0, 0], [2, 2, 1, 1, 1, 1, 1]  # 3 and 9: a variance twice the mean
    found = compare_volume(np.array([4, 4, 4, 3, 3, 3, 3, *quiet, *busy, *quiet, *busy]))

    assert found.p_value == pytest.approx(2 * stats.binom.sf(12 - 1, 12 + 12, 0.2))


def test_a_few_sessions_more_of_very_few_may_be_chance() -> None:
    daily = np.zeros(35, int)
    daily[[1, 3, 12, 30]] = 1

    found = compare_volume(daily)

    assert found.ratio == pytest.approx(4)
    assert not found.moved


def test_a_burst_where_bursts_are_usual_is_not_flagged() -> None:
    daily = np.zeros(35, int)
    daily[[8, 17, 30]] = 40
    daily[[2, 5]] = 40

    assert not compare_volume(daily).moved


def test_nothing_before_and_nothing_now_is_nothing() -> None:
    found = compare_volume(np.zeros(35, int))

    assert (found.ratio, found.moved) == (None, False)


@pytest.mark.parametrize("log_days", [14, 17, 27])
def test_the_days_before_a_log_began_are_no_evidence(log_days: int) -> None:
    daily = np.where(np.arange(35) < log_days, 10, 0)

    assert compare_volume(daily, log_days=log_days).ratio == 1
    assert compare_volume(daily).ratio != 1


def test_of_a_young_log_whole_weeks_are_compared() -> None:
    found = compare_volume(days(30, 10), log_days=20)

    assert (found.ratio, found.moved) == (3, True)
    assert found.sentence == "sessions: 10 -> 30 a day (last 7 days, 7 before)"


def test_the_first_week_of_a_log_is_compared_with_nothing() -> None:
    found = compare_volume(days(10, 0), log_days=13)

    assert (found.ratio, found.p_value, found.moved) == (None, 1.0, False)
    assert found.sentence == "sessions: 10 a day in the last week, the log's first"


def test_a_start_from_nothing_is_flagged_without_a_ratio() -> None:
    found = compare_volume(days(10, 0))

    assert (found.ratio, found.moved) == (None, True)


def test_steady_and_bursty_arrivals_seldom_ring() -> None:
    random = np.random.default_rng(1)
    steady = [compare_volume(random.poisson(3, 35)).moved for _ in range(500)]
    bursty = [compare_volume(random.poisson(random.gamma(0.5, 6, 35))).moved for _ in range(500)]

    assert np.mean(steady) < 0.02
    assert np.mean(bursty) < 0.05
