"""What moved is found and named first, what did not is not, and few or many rows do not deceive."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from studyml.frame import MISSING, Frame
from studyml.monitoring.drift import FEWEST_ROWS, Drift, FeatureDrift, compare
from studyml.monitoring.profile import COLUMNS, PREDICTED, Reference, build_reference, estimated_mae
from tests.monitoring.samples import LEVELS, hours, sample

ROWS = 2_000


def reference(frame: Frame) -> Reference:
    predicted, actual = hours(frame)
    return build_reference(frame, predicted=predicted, actual=actual)


def named(drift: Drift, feature: str) -> FeatureDrift:
    (found,) = [each for each in drift.features if each.feature == feature]
    return found


def changed(frame: Frame, feature: str, change: Callable[[np.ndarray], np.ndarray]) -> Frame:
    return frame.with_columns(**{feature: change(frame[feature].copy())})


def emptied(values: np.ndarray) -> np.ndarray:
    values[: len(values) // 10] = MISSING if values.dtype.kind == "i" else np.nan
    return values


NUMBERS = [name for name, (spec, _) in COLUMNS.items() if spec.kind == "number"]
CATEGORIES = [name for name, (spec, _) in COLUMNS.items() if spec.kind == "category"]
BEFORE = reference(sample(ROWS, 1))


@pytest.mark.parametrize("feature", NUMBERS)
def test_a_shifted_number_is_found_first_and_alone(feature: str) -> None:
    found = compare(BEFORE, changed(sample(600, 2), feature, lambda values: values * 0.6))

    assert [each.feature for each in found.moved] == [feature]
    assert found.features[0].feature == feature
    assert found.features[0].wasserstein is not None
    assert found.features[0].wasserstein > 0.3


@pytest.mark.parametrize("feature", CATEGORIES)
def test_a_shifted_category_is_found_first_and_alone(feature: str) -> None:
    now = changed(sample(600, 2), feature, lambda codes: np.where(np.arange(len(codes)) % 4 == 0, 3, codes))

    found = compare(BEFORE, now)

    assert [each.feature for each in found.moved] == [feature]
    assert found.features[0].sentence.startswith(f"{feature}: 'd' 1")
    assert found.features[0].jensen_shannon is not None
    assert found.features[0].jensen_shannon > 0.1


@pytest.mark.parametrize("feature", [*NUMBERS, *CATEGORIES])
def test_values_that_went_missing_are_found_first_and_alone(feature: str) -> None:
    found = compare(BEFORE, changed(sample(600, 2), feature, emptied))

    assert [each.feature for each in found.moved] == [feature]
    assert found.features[0].sentence == f"{feature}: 10 % missing, 0 % before"
    assert (found.features[0].missing_before, found.features[0].missing_now) == (0, 0.1)


def test_a_feature_that_is_gone_altogether_is_found() -> None:
    now = sample(600, 2)
    now = now.with_columns(time_of_day=np.full(600, MISSING, np.int32), energy_level=np.full(600, np.nan))

    found = compare(BEFORE, now)

    assert {each.feature for each in found.moved} == {"time_of_day", "energy_level"}
    assert {each.sentence.partition(": ")[2] for each in found.moved} == {"100 % missing, 0 % before"}
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize("feature", CATEGORIES)
def test_a_level_that_training_never_saw_is_found_and_not_quoted(feature: str) -> None:
    now = changed(sample(600, 2), feature, lambda codes: np.where(np.arange(len(codes)) % 8 == 0, 4, codes))
    now = Frame(now.columns, {**now.vocabularies, feature: (*LEVELS, "flashcards")})

    found = compare(BEFORE, now)

    assert [each.feature for each in found.moved] == [feature]
    assert found.features[0].unseen == {"flashcards": 0.125}
    unit = {"student_id": "students", "topic_id": "topics"}.get(COLUMNS[feature][1], "sessions")
    # What a student typed may be of a person, and a sentence goes into messages.
    assert found.features[0].sentence == f"{feature}: values never seen in training in 12 % of {unit}"


def test_a_level_that_training_had_rarely_is_not_quoted() -> None:
    once = sample(ROWS, 1)
    once = Frame(once.columns, {**once.vocabularies, "study_method": (*LEVELS, "555-0100")})
    once = changed(once, "study_method", lambda codes: np.where(np.arange(len(codes)) < 3, 4, codes))
    now = changed(once, "study_method", lambda codes: np.where(np.arange(len(codes)) % 3 == 0, 4, codes))

    (found,) = compare(reference(once), now).moved

    assert found.feature == "study_method"
    assert "555-0100" not in found.sentence


def test_predictions_are_compared_like_a_feature() -> None:
    now = sample(600, 2)
    longer = hours(now, seed=5)[0] * 1.6

    found = compare(BEFORE, now, longer)

    assert [each.feature for each in found.moved] == [PREDICTED]
    assert found.moved[0].sentence.endswith("hours")
    assert PREDICTED not in {each.feature for each in compare(BEFORE, now, hours(now, seed=5)[0]).moved}
    assert not named(compare(BEFORE, now), PREDICTED).judged


@pytest.mark.parametrize("constant", [4.36, 0.3693, 2.0])
def test_a_constant_prediction_has_not_moved_though_it_was_kept_in_fewer_digits(constant: float) -> None:
    before, now = sample(600, 1), sample(600, 2)
    actual = hours(before, seed=5)[1]
    served = np.full(600, constant).astype(np.float32).astype(np.float64)

    reference = build_reference(before, predicted=np.full(600, constant), actual=actual)

    found = named(compare(reference, now, served), PREDICTED)
    assert (found.moved, found.statistic) == (False, 0)
    assert estimated_mae(reference, served) == pytest.approx(float(np.abs(actual - constant).mean()), rel=1e-3)


def test_sessions_without_a_prediction_are_not_missing_predictions() -> None:
    now = sample(600, 2)
    predicted = hours(now, seed=5)[0]
    predicted[:300] = np.nan

    found = named(compare(BEFORE, now, predicted), PREDICTED)

    assert (found.rows, found.missing_now, found.moved) == (300, 0, False)


def test_the_sentences_say_then_and_now_in_the_features_unit() -> None:
    before = changed(sample(ROWS, 1), "avg_focus_duration", lambda values: np.round(values * 0 + 60))
    now = changed(sample(600, 2), "avg_focus_duration", lambda values: np.round(values * 0 + 45))

    (found,) = compare(reference(before), now).moved

    assert found.sentence == "avg_focus_duration: median 60 -> 45 minutes"


def test_what_moved_most_comes_first() -> None:
    now = changed(sample(600, 2), "avg_focus_duration", lambda values: values * 0.7)
    now = changed(now, "estimated_base_time", lambda values: values * 0.3)
    now = changed(now, "study_method", emptied)

    found = compare(BEFORE, now)

    assert [each.feature for each in found.moved] == ["estimated_base_time", "avg_focus_duration", "study_method"]
    assert [each.psi for each in found.moved] == sorted((each.psi for each in found.moved), reverse=True)


@pytest.mark.parametrize("seed", range(5))
def test_more_of_the_same_does_not_move(seed: int) -> None:
    assert compare(BEFORE, sample(400, 100 + seed)).moved == ()


def test_a_tiny_shift_in_a_million_rows_is_significant_and_still_has_not_moved() -> None:
    now = changed(sample(1_000_000, 2), "avg_focus_duration", lambda values: values * 1.02)

    found = named(compare(reference(sample(1_000_000, 1)), now), "avg_focus_duration")

    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert not found.moved


def test_p_values_are_adjusted_for_all_tests_of_the_night() -> None:
    feature = "estimated_base_time"
    now = changed(sample(600, 2), feature, lambda values: values * 1.05)
    alone = named(compare(replace(BEFORE, profiles={feature: BEFORE.profiles[feature]}), now), feature)
    among = compare(BEFORE, now)
    tests = [
        value
        for each in among.features
        for value in (each.p_value, each.missing_p_value, each.unseen_p_value)
        if value is not None
    ]
    own = [value for value in (alone.p_value, alone.missing_p_value, alone.unseen_p_value) if value is not None]

    assert alone.p_value is not None
    assert 0 < alone.p_value == min(own)
    assert len(tests) > 5
    assert named(among, feature).p_value == pytest.approx(min(1, alone.p_value / len(own) * len(tests)))


def test_a_rise_of_missing_values_that_is_beyond_chance_and_tiny_has_not_moved() -> None:
    feature = NUMBERS[0]

    def some_missing(values: np.ndarray) -> np.ndarray:
        values[::100] = np.nan
        return values

    found = named(compare(BEFORE, changed(sample(20_000, 3), feature, some_missing)), feature)

    assert found.missing_p_value is not None
    assert found.missing_p_value < 0.01
    assert not found.moved


def test_under_twenty_rows_nothing_is_judged_and_it_says_so() -> None:
    now = sample(FEWEST_ROWS - 1, 2).with_columns(energy_level=np.full(FEWEST_ROWS - 1, 5.0))

    found = compare(BEFORE, now)

    assert found.moved == ()
    assert not any(each.judged for each in found.features)
    assert named(found, "age").sentence == "age: 19 students now, 2,000 in training: too few to judge"


def test_one_student_who_studies_a_lot_this_week_moves_nothing() -> None:
    def habits(seed: int) -> Frame:
        frame = sample(3_000, seed, own=False, students=100)
        habit = np.random.default_rng(9).integers(0, 4, 100)[frame["student_id"]].astype(np.int32)
        return frame.with_columns(environment=habit)

    everybody = habits(2).take(np.arange(300))
    one = everybody.with_columns(
        student_id=np.where(np.arange(300) < 150, 7, everybody["student_id"]),
        environment=np.where(np.arange(300) < 150, 3, everybody["environment"]).astype(np.int32),
    )
    before = reference(habits(1))

    assert named(compare(before, one), "environment").psi > 0.1
    assert compare(before, one).moved == ()


def test_a_column_that_the_reference_does_not_know_is_left_out() -> None:
    before = Reference({"age": BEFORE.profiles["age"]}, None, BEFORE.errors)

    assert [each.feature for each in compare(before, sample(50, 2)).features] == ["age"]


@hypothesis_settings(max_examples=25)
@given(st.integers(20, 400), st.integers(0, 1_000), st.booleans())
def test_a_sample_compared_with_itself_has_not_moved_at_all(rows: int, seed: int, own: bool) -> None:
    frame = sample(rows, seed, own=own, students=30, topics=25)
    predicted, actual = hours(frame)

    found = compare(build_reference(frame, predicted=predicted, actual=actual), frame, predicted)

    assert found.moved == ()
    for each in found.features:
        if each.judged:
            assert each.psi == pytest.approx(0, abs=1e-12)
            assert each.statistic == pytest.approx(0, abs=1e-9)
            assert each.wasserstein == pytest.approx(0, abs=1e-12) or each.kind == "category"
            assert each.jensen_shannon == pytest.approx(0, abs=1e-6) or each.kind == "number"
            assert each.p_value == pytest.approx(1)
    json.dumps(found.to_json(), allow_nan=False)


@hypothesis_settings(max_examples=25)
@given(st.lists(st.one_of(st.just(np.nan), st.floats(allow_nan=False)), min_size=20, max_size=60))
def test_whatever_numbers_come_the_result_is_json(values: list[float]) -> None:
    now = sample(len(values), 1).with_columns(energy_level=np.array(values))

    for before in (BEFORE, reference(now)):
        json.dumps(compare(before, now).to_json(), allow_nan=False)


def test_a_number_that_stayed_is_told_by_its_median() -> None:
    frame = sample(600, 2)
    found = named(compare(reference(frame), frame), "energy_level")

    assert found.sentence == f"energy_level: median {np.median(frame['energy_level']):g} as before"
