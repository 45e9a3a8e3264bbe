"""Newest against older rows: students are the units, and only what is large and sure counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.evaluation.shift import compare_parts


def log_of(seed: int, *, students: int = 30, rows: int = 600, between: float = 0.4, shift: float = 0.0) -> tuple:
    """Values with a level per student, ``shift`` added to the newest fifth."""
    random = np.random.default_rng(seed)
    groups = random.integers(0, students, rows)
    newest = np.arange(rows) >= rows * 4 // 5
    values = random.normal(0, between, students)[groups] + random.normal(0, 0.25, rows) + shift * newest
    return values, newest, groups


def test_the_chance_is_that_of_mann_and_whitney() -> None:
    from scipy.stats import mannwhitneyu

    values, newest, groups = log_of(1)
    found = compare_parts(np.round(values, 1), newest, groups)  # with ties
    pairs = mannwhitneyu(np.round(values, 1)[newest], np.round(values, 1)[~newest])

    assert found is not None
    assert found.chance == pytest.approx(pairs.statistic / (newest.sum() * (~newest).sum()))
    assert (found.newer_rows, found.older_rows) == (120, 480)


@pytest.mark.parametrize("students", [8, 30, 200])
def test_where_nothing_shifts_z_is_near_a_standard_normal(students: int) -> None:
    found = [compare_parts(*log_of(seed, students=students)) for seed in range(300)]
    z = np.array([each.z for each in found if each])

    assert 0.8 < z.std() < 1.4
    assert (np.abs(z) >= 4).mean() <= 0.01


def test_sessions_of_one_group_count_as_one_when_they_move_together() -> None:
    """New students only in the newest part: a test of rows would be sure, one of students is not."""
    random = np.random.default_rng(5)
    groups = np.repeat(np.arange(10), 100)
    values = np.repeat(random.normal(0, 1, 10), 100) + random.normal(0, 0.05, 1000)
    newest = groups >= 8
    found = compare_parts(values, newest, groups)
    by_rows = compare_parts(values, newest, np.arange(1000))

    assert found is not None
    assert by_rows is not None
    assert abs(by_rows.z) > 4 * abs(found.z)


@given(st.integers(0, 50), st.floats(0.1, 10))
def test_the_scale_does_not_matter_and_reversing_values_reverses_the_sign(seed: int, scale: float) -> None:
    values, newest, groups = log_of(seed, shift=0.2)
    found, scaled = compare_parts(values, newest, groups), compare_parts(values * scale, newest, groups)
    reversed_ = compare_parts(-values, newest, groups)

    assert found is not None
    assert scaled is not None
    assert reversed_ is not None
    assert scaled.chance == pytest.approx(found.chance, abs=1e-3)
    assert reversed_.z == pytest.approx(-found.z)


@pytest.mark.parametrize(("rows", "students"), [(20, 30), (600, 4)])
def test_a_part_that_is_too_small_says_nothing(rows: int, students: int) -> None:
    assert compare_parts(*log_of(0, rows=rows, students=students)) is None


def test_no_rows_say_nothing() -> None:
    assert compare_parts(np.zeros(0), np.zeros(0, bool), np.zeros(0, np.int64)) is None
