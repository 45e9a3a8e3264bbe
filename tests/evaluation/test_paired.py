"""The paired comparison: students are resampled, and too little to go on gives no bound."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.evaluation.paired import MINIMUM_STUDENTS, RESAMPLES, compare, groups_of

WEEK = 7 * 24 * 3600 * 1_000_000

Errors = st.lists(st.floats(0.01, 24), min_size=2, max_size=60)


def numbered(count: int, groups: int) -> np.ndarray:
    """Rows [count] dealt to the groups in turn."""
    return np.arange(count, dtype=np.int64) % groups


@given(Errors, st.integers(2, 12))
def test_a_predictor_compared_with_itself_has_ratio_and_bound_one(errors: list[float], groups: int) -> None:
    found = compare(np.array(errors), np.array(errors), numbered(len(errors), min(groups, len(errors))), seed=1)

    assert found.ratio == 1
    assert found.upper_bound == pytest.approx(1)


@given(Errors, st.floats(0.1, 10), st.integers(2, 12))
def test_errors_that_are_all_so_many_times_larger_have_that_ratio_and_bound(
    errors: list[float], times: float, groups: int
) -> None:
    reference = np.array(errors)

    found = compare(times * reference, reference, numbered(len(errors), min(groups, len(errors))), seed=1)

    assert found.ratio == pytest.approx(times)
    assert found.upper_bound == pytest.approx(times)


@given(Errors, Errors, st.floats(0.1, 10), st.integers(0, 2**31))
def test_the_unit_of_the_errors_does_not_matter(ours: list[float], theirs: list[float], unit: float, seed: int) -> None:
    rows = min(len(ours), len(theirs))
    a, b, groups = np.array(ours[:rows]), np.array(theirs[:rows]), numbered(rows, min(5, rows))

    hours, other = compare(a, b, groups, seed=seed), compare(unit * a, unit * b, groups, seed=seed)

    assert other.ratio == pytest.approx(hours.ratio)
    assert other.upper_bound == pytest.approx(hours.upper_bound)


@given(Errors, Errors, st.integers(0, 2**31), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter_and_one_seed_gives_one_bound(
    ours: list[float], theirs: list[float], seed: int, shuffler: object
) -> None:
    rows = min(len(ours), len(theirs))
    a, b, groups = np.array(ours[:rows]), np.array(theirs[:rows]), numbered(rows, min(5, rows))
    order = np.random.default_rng(seed).permutation(rows)

    first, again = compare(a, b, groups, seed=seed), compare(a[order], b[order], groups[order], seed=seed)

    assert again.ratio == pytest.approx(first.ratio)
    assert again.upper_bound == pytest.approx(first.upper_bound)
    assert compare(a, b, groups, seed=seed) == first


@given(Errors, Errors)
def test_one_group_gives_no_bound(ours: list[float], theirs: list[float]) -> None:
    rows = min(len(ours), len(theirs))

    found = compare(np.array(ours[:rows]), np.array(theirs[:rows]), np.zeros(rows, np.int64), seed=1)

    assert found.upper_bound == np.inf
    assert np.isfinite(found.ratio)


def test_a_reference_without_any_error_cannot_be_beaten() -> None:
    found = compare(np.ones(10), np.zeros(10), numbered(10, 5), seed=1)

    assert (found.ratio, found.upper_bound) == (np.inf, np.inf)


def test_students_are_resampled_and_not_rows() -> None:
    # Two rows in three belong to one student for whom we are worse: rows alone would promise a narrow bound.
    student = np.repeat(np.arange(10, dtype=np.int64), [200, *[11] * 9])
    ours, theirs = np.where(student == 0, 1.4, 0.5), np.ones(len(student))

    by_student = compare(ours, theirs, groups_of(student, np.zeros(len(student), np.int64)), seed=1)
    by_row = compare(ours, theirs, np.arange(len(student), dtype=np.int64), seed=1)

    assert by_student.ratio == pytest.approx(by_row.ratio)
    assert by_student.upper_bound > by_row.upper_bound + 0.05
    assert by_student.groups == 10


def test_the_bound_is_the_ninety_percent_quantile_of_what_independent_code_draws() -> None:
    random = np.random.default_rng(5)
    groups = numbered(120, 12)
    ours, theirs = random.gamma(2, 1, 120), random.gamma(2, 1, 120)
    drawn = []
    for _ in range(20_000):
        rows = np.concatenate([np.flatnonzero(groups == group) for group in random.integers(0, 12, 12)])
        drawn.append(ours[rows].mean() / theirs[rows].mean())

    assert compare(ours, theirs, groups, seed=3).upper_bound == pytest.approx(np.quantile(drawn, 0.9), rel=0.01)


def test_eight_students_are_groups_and_fewer_are_split_by_week() -> None:
    weeks = np.arange(70, dtype=np.int64) // 7 * WEEK

    many = groups_of(numbered(70, MINIMUM_STUDENTS), weeks)
    few = groups_of(numbered(70, MINIMUM_STUDENTS - 1), weeks)
    alone = groups_of(np.zeros(70, np.int64), weeks)

    assert len(np.unique(many)) == MINIMUM_STUDENTS
    assert len(np.unique(few)) == 70
    assert alone.tolist() == (np.arange(70) // 7).tolist()


def test_one_student_in_one_week_is_one_group() -> None:
    assert groups_of(np.full(5, 77, np.int64), np.full(5, 3 * WEEK + 5, np.int64)).tolist() == [0] * 5


def test_dates_before_2000_are_weeks_too() -> None:
    assert groups_of(np.zeros(2, np.int64), np.array([-1, 1], np.int64)).tolist() == [0, 1]


def test_a_hundred_thousand_students_do_not_cost_gigabytes() -> None:
    count = 100_000
    errors = np.random.default_rng(0).gamma(2, 1, count)
    tracemalloc.start()

    found = compare(0.97 * errors, errors, numbered(count, count), seed=1)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.upper_bound == pytest.approx(0.97)
    assert peak < 200e6 < RESAMPLES * count * 8
