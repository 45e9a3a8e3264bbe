"""Folds: groups stay together, folds are as even as groups allow, and the same rows are always dealt out alike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.evaluation.folds import grouped_folds
from studyml.evaluation.paired import groups_of

FOLDS = 5
_WEEK = 7 * 24 * 3600 * 1_000_000
rows = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 40 * _WEEK)), min_size=1, max_size=300)


def folds_of(listed: list[tuple[int, int]], seed: int = 42) -> tuple[np.ndarray, np.ndarray]:
    """The folds and the groups of (student, date)."""
    student, date = (np.array(each, np.int64) for each in zip(*listed, strict=True))
    return grouped_folds(student, date, folds=FOLDS, seed=seed), groups_of(student, date)


@given(rows, st.integers(0, 1000))
def test_a_group_is_in_one_fold_and_the_folds_are_even(listed: list[tuple[int, int]], seed: int) -> None:
    folds, groups = folds_of(listed, seed)
    sizes, load = np.bincount(groups), np.bincount(folds, minlength=FOLDS)

    assert len(folds) == len(listed)
    assert ((folds >= 0) & (folds < FOLDS)).all()
    if len(sizes) < FOLDS:
        assert folds.tolist() == [row % FOLDS for row in range(len(listed))]
        return
    assert all(len(set(folds[groups == group].tolist())) == 1 for group in range(len(sizes)))
    assert (load > 0).all()
    assert load.max() - load.min() <= sizes.max()


@given(rows, st.integers(0, 1000))
def test_the_same_rows_and_seed_give_the_same_folds(listed: list[tuple[int, int]], seed: int) -> None:
    assert (folds_of(listed, seed)[0] == folds_of(listed, seed)[0]).all()


def test_who_alone_has_as_many_rows_as_a_fold_is_a_fold() -> None:
    listed = [(1, 0)] * 100 + [(student, 0) for student in range(2, 42) for _ in range(10)]

    folds, _ = folds_of(listed)

    assert np.bincount(folds).tolist() == [100] * 5
    assert set(folds[100:].tolist()).isdisjoint(folds[:100].tolist())


def test_the_seed_orders_groups_of_one_size() -> None:
    listed = [(student, 0) for student in range(40) for _ in range(3)]

    assert (folds_of(listed, 1)[0] != folds_of(listed, 2)[0]).any()


def test_a_fold_holds_whole_students_or_where_they_are_few_whole_weeks() -> None:
    random = np.random.default_rng(0)
    dates = random.integers(0, 20 * _WEEK, 200)
    many, few = random.integers(0, 30, 200), random.integers(0, 2, 200)

    by_student = grouped_folds(many, dates, folds=FOLDS, seed=1)
    by_week = grouped_folds(few, dates, folds=FOLDS, seed=1)

    assert max(len(set(by_student[many == each].tolist())) for each in range(30)) == 1
    assert len(set(by_week[few == 0].tolist())) == FOLDS, "one student's weeks are spread"
    together = {(each, week) for each, week in zip(few.tolist(), (dates // _WEEK).tolist(), strict=True)}
    for student, week in together:
        assert len(set(by_week[(few == student) & (dates // _WEEK == week)].tolist())) == 1


@pytest.mark.parametrize("students", [600, 5000])
def test_very_many_groups_are_even_too(students: int) -> None:
    random = np.random.default_rng(0)
    student = random.integers(0, students, 20_000)

    folds = grouped_folds(student, np.zeros(20_000, np.int64), folds=FOLDS, seed=1)

    load = np.bincount(folds)
    assert load.min() > 0.95 * load.max()
    pairs = np.unique(np.column_stack([student, folds]), axis=0)
    assert len(pairs) == len(np.unique(student))
