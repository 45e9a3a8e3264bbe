"""The features: the guide's, and nothing that is only known after a session."""

import math

import numpy as np
import pytest
from hypothesis import given

from studyml.contract import TABLES
from studyml.features.definition import (
    CYCLICAL,
    DERIVED,
    FEATURES,
    HOURS,
    SESSION_FEATURES,
    STUDENT_FEATURES,
    TOPIC_FEATURES,
    any_of,
    assemble,
    reading_vocabularies,
)
from studyml.frame import UNSEEN, Frame
from tests.features.frames import NUMBERS, any_rows, assembled, frame_of


def test_the_features_are_those_of_the_guide() -> None:
    assert STUDENT_FEATURES == ("age", "education_level", "learning_style", "avg_focus_duration")
    assert TOPIC_FEATURES == (
        "subject",
        "difficulty_level",
        "estimated_base_time",
        "prerequisites_count",
        "content_type",
    )
    assert SESSION_FEATURES == (
        "time_of_day",
        "study_method",
        "environment",
        "energy_level",
        "distraction_level",
        "breaks_taken",
    )
    assert (len(FEATURES), len(DERIVED), len(CYCLICAL)) == (15, 2, 2)


def test_every_feature_is_in_the_data_contract() -> None:
    assert set(FEATURES) <= {each.name for columns in TABLES.values() for each in columns}


def test_the_derived_features_are_computed_as_in_the_guide() -> None:
    frame = frame_of([{"difficulty_level": 6, "avg_focus_duration": 90, "energy_level": 2, "distraction_level": 5}])

    assert frame["difficulty_focus_ratio"][0] == pytest.approx(6 / (90 / 60))
    assert frame["energy_distraction_diff"][0] == -3


@pytest.mark.parametrize(("word", "hour"), [("morning", 9), ("afternoon", 14), ("evening", 19), ("night", 23)])
def test_the_time_of_day_is_encoded_as_in_the_guide(word: str, hour: int) -> None:
    frame = frame_of([{"time_of_day": word}])

    assert frame["hour_sin"][0] == pytest.approx(math.sin(2 * math.pi * hour / 24))
    assert frame["hour_cos"][0] == pytest.approx(math.cos(2 * math.pi * hour / 24))


@pytest.mark.parametrize("word", [None, "?unseen", "noon", "Morning "])
def test_a_time_of_day_that_the_guide_does_not_know_has_no_hour(word: str | None) -> None:
    frame = frame_of([{"time_of_day": word}, {}])

    assert np.isnan(frame["hour_sin"][0])
    assert not np.isnan(frame["hour_sin"][1])


def test_breaks_taken_is_unknown_whatever_the_session_holds() -> None:
    plain = assembled([{}]).frame
    sessions = Frame({**{name: plain[name] for name in plain.columns}, "breaks_taken": np.array([7.0])}, {})
    ids = np.array([1], np.int64)
    students, topics = (
        Frame({name: plain[name] for name in names} | {"id": ids}, {}) for names in (STUDENT_FEATURES, TOPIC_FEATURES)
    )
    vocabularies = {"time_of_day": ("morning",)}

    found = assemble(Frame(sessions.columns, vocabularies), students, topics)

    assert np.isnan(found.frame["breaks_taken"]).all()


@pytest.mark.parametrize(
    ("feature", "value", "reason"),
    [
        ("avg_focus_duration", 0, "avg_focus_duration is 0 minutes, not above 0"),
        ("avg_focus_duration", -5, "avg_focus_duration is -5 minutes, not above 0"),
        ("estimated_base_time", 0, "estimated_base_time is 0 hours, not above 0"),
        ("age", math.inf, "age is not a finite number"),
        ("energy_level", -math.inf, "energy_level is not a finite number"),
    ],
)
def test_an_impossible_value_becomes_missing_and_is_named(feature: str, value: float, reason: str) -> None:
    found = assembled([{feature: value}, {}])

    assert {each: rows.tolist() for each, rows in found.impossible.items()} == {reason: [True, False]}
    assert np.isnan(found.frame[feature][0])
    assert not np.isnan(found.frame[feature][1])


def test_what_is_derived_from_an_impossible_value_is_missing_too() -> None:
    frame = frame_of([{"avg_focus_duration": 0}])

    assert np.isnan(frame["difficulty_focus_ratio"][0])


def test_many_different_impossible_values_share_one_reason_and_none_is_lost() -> None:
    found = assembled([{"avg_focus_duration": -number} for number in range(1, 41)])

    assert "avg_focus_duration is impossible" in found.impossible
    assert any_of(found.impossible, 40).all()
    assert sum(rows.sum() for rows in found.impossible.values()) == 40


@pytest.mark.parametrize("key", ["student_id", "topic_id"])
def test_a_session_whose_student_or_topic_does_not_exist_is_refused(key: str) -> None:
    rows = [{}, {}, {}]
    whole = assembled(rows).frame
    ids = np.array([1, 2, 3], np.int64)
    tables = {
        names: Frame({name: whole[name] for name in names} | {"id": ids}, {n: whole.vocabularies[n] for n in words})
        for names, words in (
            (STUDENT_FEATURES, ("education_level", "learning_style")),
            (TOPIC_FEATURES, ("subject", "content_type")),
        )
    }
    sessions = whole.with_columns(**{key: np.array([1, 99, np.iinfo(np.int64).min], np.int64)})

    found = assemble(sessions, tables[STUDENT_FEATURES], tables[TOPIC_FEATURES])

    word = key.removesuffix("_id")
    assert {each: rows.tolist() for each, rows in found.refusals.items()} == {
        f"its {word} does not exist": [False, True, True]
    }
    assert found.refused.tolist() == [False, True, True]


def test_without_any_student_every_session_is_refused_and_nothing_fails() -> None:
    whole = assembled([{}]).frame
    empty = Frame(
        {name: np.zeros(0, whole[name].dtype) for name in STUDENT_FEATURES} | {"id": np.zeros(0, np.int64)},
        {name: whole.vocabularies[name] for name in ("education_level", "learning_style")},
    )
    topics = Frame(
        {name: whole[name] for name in TOPIC_FEATURES} | {"id": np.array([1], np.int64)},
        {name: whole.vocabularies[name] for name in ("subject", "content_type")},
    )

    assert assemble(whole, empty, topics).refused.all()


def test_an_unseen_category_is_reported_by_its_column() -> None:
    found = assembled([{"subject": "?unseen"}, {"subject": "Physics"}])

    assert {each: rows.tolist() for each, rows in found.unseen.items()} == {
        "subject is not a category that the model knows": [True, False]
    }
    assert found.frame["subject"][0] == UNSEEN


def test_scoring_tells_the_hours_apart_even_where_training_never_saw_one() -> None:
    found = reading_vocabularies({"subject": ("Physics",), "time_of_day": ("dawn", "night")})

    assert found["subject"] == ("Physics",)
    assert found["time_of_day"][:2] == ("dawn", "night")
    assert set(found["time_of_day"]) == {"dawn", *HOURS}


@given(any_rows())
def test_an_impossible_number_never_stays_in_a_feature(rows: list[dict[str, object]]) -> None:
    found = assembled(rows)

    assert not any(np.isinf(found.frame[name]).any() for name in NUMBERS if name in found.frame.columns)
    assert not (found.frame["avg_focus_duration"] <= 0).any()


def test_the_keys_that_a_history_is_found_by_are_kept() -> None:
    ids = np.array([1, 2])
    sessions = Frame({"id": ids, "student_id": ids, "topic_id": np.array([2, 9])}, {})
    rows = assembled([{}, {}]).frame
    whole = Frame({**rows.columns, **sessions.columns}, rows.vocabularies)
    topics = Frame({"id": ids, **{name: rows[name] for name in TOPIC_FEATURES}}, {}).with_columns(
        subject_key=np.array([-7, 2**62])
    )
    students = Frame({"id": ids, **{name: rows[name] for name in STUDENT_FEATURES}}, {})

    found = assemble(whole, students, topics).frame

    assert found["subject_key"].tolist() == [2**62, -1]
    assert found["topic_id"].tolist() == [2, 9]
