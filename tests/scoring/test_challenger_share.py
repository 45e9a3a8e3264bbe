"""Which students are served the challenger: fixed values, and a fair share."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from studyml.scoring.challenger_share import served_by_challenger

VERSION = "v_20260101_000000"
FIXED = [19, 48, 55]
FIXED_OF_ANOTHER = [11, 27, 56]
ids = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=50).map(lambda each: np.array(each, np.int64))
versions = st.integers(0, 999_999).map(lambda n: f"v_20260101_{n:06d}")


def chosen(version: str, share: float, students: int = 60) -> list[int]:
    student = np.arange(1, students + 1)
    return student[served_by_challenger(student, version, share)].tolist()


def test_the_same_students_are_chosen_everywhere_and_for_ever() -> None:
    """SHA-256 of "version:id": a change of these values moves students from one model to the other in mid-trial."""
    assert chosen(VERSION, 0.1) == FIXED
    assert chosen("v_20260201_000000", 0.1) == FIXED_OF_ANOTHER


@given(ids, versions)
def test_a_higher_share_keeps_the_students_of_a_lower_one(student: np.ndarray, version: str) -> None:
    few, many = (served_by_challenger(student, version, share) for share in (0.1, 0.5))
    assert not (few & ~many).any()


@given(ids, versions, st.floats(0, 1))
def test_a_student_has_one_model_whoever_is_scored_beside(student: np.ndarray, version: str, share: float) -> None:
    alone = [bool(served_by_challenger(student[[row]], version, share)[0]) for row in range(len(student))]
    assert served_by_challenger(student, version, share).tolist() == alone


@given(versions, st.sampled_from([0.01, 0.1, 0.5]))
def test_about_the_share_of_students_is_chosen(version: str, share: float) -> None:
    students = 5000
    expected, spread = share * students, (share * (1 - share) * students) ** 0.5
    assert abs(len(chosen(version, share, students)) - expected) < 6 * spread


@given(ids, versions)
def test_none_and_all(student: np.ndarray, version: str) -> None:
    assert not served_by_challenger(student, version, 0.0).any()
    assert served_by_challenger(student, version, 1.0).all()
