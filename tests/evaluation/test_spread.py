"""The spread of an error: what chance would make of it, over students and not over rows."""

import numpy as np
import pytest

from studyml.evaluation.spread import MINIMUM_GROUPS, resampling, spread, standard_error

DAY = 24 * 3600 * 1_000_000


def rows(students: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    ids = np.repeat(np.arange(students), each)
    return ids, np.arange(len(ids), dtype=np.int64) * DAY


def test_equal_errors_have_a_ratio_of_one_whoever_is_drawn() -> None:
    ids, dates = rows(20, 5)
    errors = np.random.default_rng(0).exponential(size=100)

    found = spread(resampling(ids, dates, seed=1), errors, errors, np.ones(100, bool))

    assert (found.ratio, found.ratio_lower, found.ratio_upper) == (1, 1, 1)
    assert found.mae == pytest.approx(errors.mean())


def test_only_the_masked_rows_count() -> None:
    ids, dates = rows(20, 5)
    errors, reference = np.where(np.arange(100) % 2, 1.0, 9.0), np.where(np.arange(100) % 2, 2.0, 1.0)

    found = spread(resampling(ids, dates, seed=1), errors, reference, np.arange(100) % 2 == 1)

    assert (found.mae, found.ratio, found.ratio_upper) == (1.0, 0.5, 0.5)


def test_the_interval_of_two_equally_good_predictors_holds_one_about_as_often_as_it_says() -> None:
    ids, dates = rows(30, 6)
    held = 0
    for seed in range(60):
        ours, theirs = np.random.default_rng(seed).exponential(size=(2, 180))
        found = spread(resampling(ids, dates, seed=seed), ours, theirs, np.ones(180, bool))
        held += found.ratio_lower <= 1 <= found.ratio_upper  # type: ignore[operator]

    assert 46 <= held <= 60


def test_students_who_are_all_alike_within_give_a_wider_spread_than_as_many_unlike_rows() -> None:
    ids, dates = rows(20, 10)
    errors = np.repeat(np.random.default_rng(0).exponential(size=20), 10)
    mixed = np.random.default_rng(1).permutation(errors)
    drawn = resampling(ids, dates, seed=1)

    alike, unlike = (spread(drawn, each, np.ones(200), np.ones(200, bool)).standard_error for each in (errors, mixed))

    assert alike > 1.5 * unlike  # type: ignore[operator]


def test_of_few_groups_no_spread_is_claimed() -> None:
    ids, dates = rows(20, 5)

    found = spread(resampling(ids, dates, seed=1), np.ones(100), np.full(100, 2.0), ids < MINIMUM_GROUPS - 1)

    assert found.ratio == 0.5
    assert (found.standard_error, found.ratio_lower, found.ratio_upper) == (None, None, None)


def test_a_reference_without_error_has_no_ratio() -> None:
    ids, dates = rows(20, 5)

    found = spread(resampling(ids, dates, seed=1), np.ones(100), np.zeros(100), np.ones(100, bool))

    assert (found.ratio, found.ratio_lower) == (None, None)


def test_the_standard_error_of_a_mean_is_that_of_the_students_means() -> None:
    ids, dates = rows(40, 10)
    values = np.repeat(np.random.default_rng(0).normal(size=40), 10)

    found = standard_error(resampling(ids, dates, seed=1), values)

    assert found == pytest.approx(values.std() / np.sqrt(40), rel=0.1)
    assert standard_error(resampling(np.zeros(10, np.int64), np.arange(10), seed=1), values[:10]) is None
