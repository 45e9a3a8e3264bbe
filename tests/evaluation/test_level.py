"""Changes of level: found on their day, as large as they are, and not where students merely differ."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studyml.evaluation.level import LevelChange, at_newest_level, days_of_change, level_changes
from studyml.frame import to_datetime, to_microseconds

DAY = 24 * 3600 * 1_000_000
START = to_microseconds(datetime(2026, 1, 1, tzinfo=UTC))


def log_of(seed: int, *, days: int = 100, a_day: int = 10, students: int = 40, **steps: float) -> tuple:
    """Residuals with a level per student and ``day_60=0.3`` added from day 60 on; their dates and students."""
    random = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), a_day)
    student = random.integers(0, students, len(day))
    residual = random.normal(0, 0.3, students)[student] + random.normal(0, 0.3, len(day))
    for name, by in steps.items():
        residual += by * (day >= int(name.removeprefix("day_")))
    date = START + day * DAY + np.sort(random.integers(0, DAY, (days, a_day)), axis=1).ravel()
    return residual, date, student


def found(log: tuple, *units: np.ndarray) -> list[int]:
    """The days of change as numbers from the start."""
    return ((days_of_change(*log, units) - START) / DAY).tolist()


@pytest.mark.parametrize("by", [-0.35, 0.35])
def test_a_change_is_found_about_its_day(by: float) -> None:
    """Not always to the day: before it, too, some days have slow students."""
    listed = [found(log_of(seed, day_60=by)) for seed in range(40)]

    assert [len(days) for days in listed] == [1] * 40
    off = np.abs(np.array(listed).ravel() - 60)
    assert (np.median(off) <= 1, off.max() <= 7) == (True, True)


@pytest.mark.parametrize("students", [20, 40, 200])
def test_where_only_students_differ_nothing_is_found(students: int) -> None:
    assert [found(log_of(seed, students=students)) for seed in range(100)] == [[]] * 100


def test_a_student_who_is_new_and_slow_is_no_change() -> None:
    residual, date, student = log_of(1)
    newcomer = np.arange(len(date)) >= len(date) - 150
    residual[newcomer] += 1.0
    student[newcomer] = 40 + np.arange(150) % 3

    assert found((residual, date, student)) == []


def test_other_students_from_a_day_on_are_no_change_and_the_same_ones_are() -> None:
    seen = 0
    for seed in range(40):
        residual, date, student = log_of(seed, day_60=0.35)
        others = student + 40 * (date >= START + 60 * DAY)

        assert len(found((residual, date, student), student)) == 1
        seen += bool(found((residual, date, others), others))

    assert seen <= 4


def test_other_topics_from_a_day_on_are_no_change() -> None:
    """Units of 40 days with five topics each, whose length the estimate does not know."""
    seen = 0
    for seed in range(40):
        residual, date, student = log_of(seed, days=240, a_day=5, students=60)
        random = np.random.default_rng([seed, 1])
        unit, which = (date - START) // (40 * DAY), random.integers(0, 5, len(date))
        residual = residual + random.normal(0, 0.3, (6, 5))[unit, which]
        seen += bool(found((residual, date, student), student, 5 * unit + which))

    assert seen <= 4


def test_where_durations_are_rounded_the_day_is_found_as_well() -> None:
    for seed in range(10):
        residual, date, student = log_of(seed, day_60=0.5)

        [day] = found((np.round(residual * 2) / 2, date, student))

        assert abs(day - 60) <= 7


@pytest.mark.parametrize("back", [0.4, 0.55])
def test_several_changes_are_found_and_what_was_undone_counts_as_it_is(back: float) -> None:
    log = log_of(3, days=200, day_60=0.4, day_130=-back)

    days = found(log)
    changes = level_changes(*log[:2], days_of_change(*log))

    assert np.abs(np.array(days) - [60, 130]).max() <= 3
    assert [each.factor for each in changes] == pytest.approx(np.exp([0.4 - back, -back]), rel=0.08)
    assert [each.sessions for each in changes] == [10 * days[0], 10 * (days[1] - days[0])]


@pytest.mark.parametrize("rows", [9, 10, 30])
def test_a_change_of_few_days_is_not_yet_one(rows: int) -> None:
    """Ten days of ten sessions: 100 are needed."""
    days = found(log_of(2, days=60 + rows, day_60=0.4))

    assert all(day <= 60 + rows - 10 for day in days)
    assert (days == []) or rows >= 8


def test_a_small_change_is_left_to_the_next_training_however_sure() -> None:
    assert found(log_of(1, a_day=200, students=400, day_60=0.1)) == []


def test_very_many_rows_are_looked_through_by_some_of_them() -> None:
    assert found(log_of(1, a_day=1000, students=500, day_60=0.3)) == [60]


def test_without_rows_there_is_no_change() -> None:
    nothing = np.zeros(0, np.int64)

    assert len(days_of_change(np.zeros(0), nothing, nothing)) == 0


def test_the_size_of_a_change_is_that_of_medians_with_its_sessions() -> None:
    residual, date = np.log([1.0, 1.0, 9.0, 1.5, 1.5]), START + DAY * np.array([0, 1, 2, 3, 4])

    (change,) = level_changes(residual, date, np.array([START + 3 * DAY]))

    assert change == LevelChange(datetime(2026, 1, 4, tzinfo=UTC), pytest.approx(1.5), 3)
    assert LevelChange.from_json(change.to_json()) == change


@pytest.mark.parametrize("rows", [slice(0, 3), slice(3, 5)])
def test_a_change_with_no_session_on_one_side_changes_nothing(rows: slice) -> None:
    date = START + DAY * np.array([0, 1, 2, 3, 4])[rows]

    (change,) = level_changes(np.log([1.0, 1.0, 9.0, 1.5, 1.5])[rows], date, np.array([START + 3 * DAY]))

    assert change.factor == 1


@settings(max_examples=50)
@given(st.lists(st.floats(0.2, 5), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_at_the_newest_level_no_change_is_left(factors: list[float], seed: int) -> None:
    """Hours that were made shorter or longer part by part come back as they were; the newest never move."""
    random = np.random.default_rng(seed)
    hours = random.lognormal(0, 0.5, 60)
    date = np.sort(START + random.integers(0, 100 * DAY, 60))
    days = START + DAY * np.sort(random.choice(np.arange(1, 100), len(factors), replace=False))
    changes = tuple(LevelChange(to_datetime(int(day)), by, sessions=1) for day, by in zip(days, factors, strict=True))
    older = hours / np.array([*factors, 1.0])[np.searchsorted(days, date, side="right")]

    assert at_newest_level(older, date, changes) == pytest.approx(hours)
    assert (at_newest_level(hours, date, changes)[date >= days[-1]] == hours[date >= days[-1]]).all()
