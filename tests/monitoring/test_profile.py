"""The reference of a version: figures without rows, honest about how many independent ones there were."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.frame import MISSING, UNSEEN, Frame
from studyml.monitoring.profile import (
    COLUMNS,
    PREDICTED,
    CategoryProfile,
    NumberProfile,
    Reference,
    build_reference,
    estimated_mae,
    profile_codes,
    profile_numbers,
)
from tests.monitoring.samples import DAY, hours, sample


def reference(frame: Frame) -> Reference:
    predicted, actual = hours(frame)
    return build_reference(frame, predicted=predicted, actual=actual)


def numbers(values: np.ndarray) -> NumberProfile:
    return profile_numbers(values, np.arange(len(values)))


def test_every_feature_known_before_a_session_is_profiled_and_nothing_else() -> None:
    found = reference(sample(100, 1))

    assert set(found.profiles) == set(COLUMNS) | {PREDICTED}
    assert {"id", "name", "email", "student_id", "topic_id", "breaks_taken", "actual_duration"}.isdisjoint(COLUMNS)
    assert {"age", "subject", "time_of_day", "energy_level", "content_type"} <= set(COLUMNS)


def test_a_reference_survives_json_as_it_was() -> None:
    found = reference(sample(500, 1, own=False))

    assert Reference.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found


def test_a_reference_of_no_rows_is_one_too() -> None:
    frame = sample(5, 1).take(np.zeros(5, bool))
    found = build_reference(frame, predicted=np.zeros(0), actual=np.zeros(0))

    assert Reference.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found
    assert found.sessions_per_day is None
    assert estimated_mae(found, np.array([1.0])) is None


def test_its_size_does_not_grow_with_the_rows() -> None:
    small, large = (len(json.dumps(reference(sample(rows, 1)).to_json())) for rows in (2_000, 50_000))

    assert large < 1.2 * small


def test_what_belongs_to_a_student_or_a_topic_counts_each_of_them_once() -> None:
    frame = sample(1_000, 1, own=False, students=30, topics=25)
    found = reference(frame)

    assert found.profiles["age"].crowd.rows == found.profiles["education_level"].crowd.rows == 30
    assert found.profiles["subject"].crowd.rows == found.profiles["estimated_base_time"].crowd.rows == 25
    assert found.profiles["energy_level"].crowd.rows == found.profiles["time_of_day"].crowd.rows == 1_000


@given(st.lists(st.one_of(st.just(float("nan")), st.floats(allow_nan=False)), max_size=600))
def test_the_shares_of_a_number_profile_are_exact_at_its_values(values: list[float]) -> None:
    array = np.array(values, np.float64)
    known = array[np.isfinite(array)]

    found = numbers(array)

    assert found.crowd.rows == len(array)
    assert found.crowd.missing == len(array) - len(known)
    assert list(found.values) == sorted(set(found.values))
    assert set(found.values) <= set(known.tolist())
    assert list(found.below) == pytest.approx([(known < value).mean() for value in found.values])
    assert list(found.at_most) == pytest.approx([(known <= value).mean() for value in found.values])
    if len(known):
        assert (found.values[0], found.values[-1]) == (known.min(), known.max())


def test_quantiles_are_those_of_the_values() -> None:
    values = np.random.default_rng(1).normal(size=10_000)
    found = numbers(values)

    for share in (0.1, 0.25, 0.5, 0.9):
        assert found.quantile(share) == pytest.approx(np.quantile(values, share, method="inverted_cdf"))


def test_categories_are_counted_by_their_text_with_gaps_and_unknown_ones_apart() -> None:
    codes = np.array([0, 0, 2, MISSING, UNSEEN, UNSEEN, UNSEEN])

    found = profile_codes(codes, ("home", "cafe", "library"), np.arange(7))

    assert found.counts == {"home": 2, "library": 1}
    assert (found.crowd.rows, found.crowd.missing, found.other) == (7, 1, 3)


def test_it_tells_how_alike_the_sessions_of_one_student_are() -> None:
    random = np.random.default_rng(1)
    students = np.repeat(np.arange(50), 20)
    habit = random.normal(size=50)[students]
    codes = random.integers(0, 3, 50)[students]

    same = profile_numbers(habit, students)
    half = profile_numbers(habit + random.normal(size=1_000), students)
    none = profile_numbers(random.normal(size=1_000), students)

    assert same.crowd.alike == pytest.approx(1, abs=0.01)
    assert half.crowd.alike == pytest.approx(0.5, abs=0.12)
    assert none.crowd.alike == pytest.approx(0, abs=0.05)
    assert profile_codes(codes, ("a", "b", "c"), students).crowd.alike == pytest.approx(1, abs=0.01)
    assert profile_codes(random.integers(0, 3, 1_000), ("a", "b", "c"), students).crowd.alike < 0.05
    assert same.crowd.together == 20


def test_sessions_per_day_are_of_the_last_28_days() -> None:
    frame = sample(1_000, 1)
    frame = frame.with_columns(session_date=np.where(np.arange(1_000) < 720, 0, 100 * DAY - np.arange(1_000) * 60))

    assert reference(frame).sessions_per_day == 10


def test_predictions_without_a_number_leave_the_profile_of_predictions() -> None:
    frame = sample(100, 1)
    predicted, actual = hours(frame)
    predicted[:40] = np.nan

    found = build_reference(frame, predicted=predicted, actual=actual)

    assert found.profiles[PREDICTED].crowd == numbers(predicted[40:]).crowd
    assert sum(found.errors.rows) == 60


@given(st.lists(st.tuples(st.floats(0.125, 24, width=32), st.floats(0.1, 24)), min_size=1, max_size=200))
def test_the_estimate_on_the_references_own_predictions_is_their_error(rows: list[tuple[float, float]]) -> None:
    predicted, actual = np.array(rows).T
    frame = sample(len(rows), 1)

    found = build_reference(frame, predicted=predicted, actual=actual)

    assert estimated_mae(found, predicted) == pytest.approx(np.abs(actual - predicted).mean())


def test_the_estimate_grows_with_longer_sessions_and_does_not_see_a_model_that_became_wrong() -> None:
    frame = sample(5_000, 1)
    predicted, actual = hours(frame)
    found = build_reference(frame, predicted=predicted, actual=actual)
    usual = estimated_mae(found, predicted)
    assert usual is not None

    assert estimated_mae(found, 2 * predicted) == pytest.approx(2 * usual, rel=0.1)
    assert estimated_mae(found, np.append(predicted, np.nan)) == usual
    assert estimated_mae(found, np.array([np.nan])) is None


def test_a_category_profile_is_one() -> None:
    assert isinstance(reference(sample(50, 1)).profiles["subject"], CategoryProfile)
