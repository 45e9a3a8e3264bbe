"""The worst slices: a planted weakness comes first, chance names none, and long sessions are not to blame."""

import numpy as np
import pytest

from studyml.evaluation.slices import Dimension
from studyml.evaluation.worst import worst


def cut(codes: np.ndarray, *levels: str, name: str = "subject") -> Dimension:
    return Dimension(name, name.capitalize(), levels, codes.astype(np.int64))


def drawn(rows: int, seed: int, weak: np.ndarray | bool = False) -> np.ndarray:
    return np.random.default_rng(seed).exponential(np.where(weak, 2.5, 1.0), rows)


def test_a_planted_weakness_is_named_with_its_error_and_that_elsewhere() -> None:
    subject, time = np.arange(400) % 4, np.arange(400) % 3
    errors = drawn(400, 1, subject == 2)
    cuts = [cut(subject, "a", "b", "weak", "d"), cut(time, "morning", "noon", "night", name="time_of_day")]

    (found,) = worst(errors, np.ones(400), np.arange(400) // 4 % 40, cuts, most=3)

    assert (found.dimension, found.value, found.n) == ("subject", "weak", 100)
    assert found.mae == pytest.approx(errors[subject == 2].mean())
    assert found.mae_elsewhere == pytest.approx(errors[subject != 2].mean())
    assert found.excess > 0


def test_the_worst_comes_first_and_no_more_than_asked_for() -> None:
    subject, time = np.arange(3_000) % 3, np.arange(3_000) // 3 % 2
    errors = drawn(3_000, 1) * np.where(subject == 1, 3, 1) * np.where(time == 1, 2, 1)
    cuts = [cut(time, "day", "night", name="time_of_day"), cut(subject, "a", "weak", "c")]

    found = worst(errors, np.ones(3_000), np.arange(3_000) // 30, cuts, most=2)

    assert [each.value for each in found] == ["weak", "night"]
    assert worst(errors, np.ones(3_000), np.arange(3_000) // 30, cuts, most=1) == found[:1]


def test_where_none_is_worse_a_slice_is_seldom_named() -> None:
    named = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        students = random.integers(0, 40, 300)
        own = random.lognormal(0, 0.3, 40)[students]
        cuts = [cut(random.integers(0, 6, 300), *"abcdef", name=f"cut {number}") for number in range(5)]
        named += bool(worst(drawn(300, seed) * own, np.ones(300), students, cuts, most=3))

    assert named / 200 <= 0.1


def test_a_single_students_habit_does_not_make_a_slice() -> None:
    students = np.arange(400) % 20
    errors = drawn(400, 1) * np.where(students == 3, 6, 1)
    subject = np.where(students < 8, 0, 1)

    assert worst(errors, np.ones(400), students, [cut(subject, "a", "b")], most=3) == []


def test_long_sessions_are_not_the_worst_for_being_long() -> None:
    length = np.where(np.arange(400) % 2, 6.0, 1.0)
    errors = drawn(400, 1) * length
    cuts = [cut(np.arange(400) % 2, "short", "long", name="predicted_length")]
    students = np.arange(400) // 2 % 40

    assert [each.value for each in worst(errors, np.ones(400), students, cuts, most=3)] == ["long"]
    assert worst(errors, length, students, cuts, most=3) == []


def test_small_slices_and_too_few_students_say_nothing() -> None:
    errors = np.where(np.arange(100) < 9, 50.0, 1.0)
    few = cut(np.arange(100) < 9, "others", "nine")
    twelve = cut(np.arange(100) < 12, "others", "twelve")

    assert worst(errors, np.ones(100), np.arange(100), [few], most=3) == []
    assert [each.value for each in worst(errors, np.ones(100), np.arange(100), [twelve], most=3)] == ["twelve"]
    assert worst(errors, np.ones(100), np.arange(100) // 12, [twelve], most=3) == []


def test_errors_of_nothing_name_nothing() -> None:
    assert worst(np.zeros(100), np.ones(100), np.arange(100), [cut(np.arange(100) % 2, "a", "b")], most=3) == []
