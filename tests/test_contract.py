"""The data contract: one place, complete, and the same words wherever a value is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml import contract
from studyml.contract import OPTIONAL, TABLES, Column, column, impossible_reason
from studyml.features.definition import impossible

NUMBERS = [each for columns in TABLES.values() for each in columns if each.kind == "number"]
BOUNDED = [each for each in NUMBERS if each.above is not None]


def test_the_import_headers_are_those_of_the_design() -> None:
    headers = {table: ",".join(each.header for each in columns) for table, columns in TABLES.items()}
    assert headers == {
        "students": "student_id,age,education_level,learning_style,avg_focus_duration",
        "topics": "topic_id,name,subject,difficulty_level,estimated_base_time,prerequisites_count,content_type",
        "study_sessions": (
            "session_id,student_id,topic_id,session_date,actual_duration,time_of_day,study_method,environment,"
            "energy_level,distraction_level,breaks_taken"
        ),
    }


def test_every_number_has_a_unit_and_a_documented_range_inside_its_hard_bounds() -> None:
    for each in NUMBERS:
        assert each.unit
        assert each.usual is not None
        assert each.above is None or each.usual[0] > each.above
        assert each.at_most is None or each.usual[1] <= each.at_most


def test_the_impossible_values_are_those_of_the_design() -> None:
    assert {(each.name, each.above, each.at_most) for each in BOUNDED} == {
        ("actual_duration", 0, 24),
        ("avg_focus_duration", 0, None),
        ("estimated_base_time", 0, None),
    }


def test_personal_columns_are_no_features() -> None:
    personal = {each.name for columns in OPTIONAL.values() for each in columns if each.personal}
    assert personal == {"name", "email"}
    assert "email" not in {each.name for columns in TABLES.values() for each in columns}


def test_a_column_that_is_not_in_the_contract_is_a_mistake_of_the_code() -> None:
    with pytest.raises(KeyError):
        column("students", "email")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("actual_duration", 24.5, "actual_duration is 24.5 hours, more than 24"),
        ("actual_duration", 24.000001, "actual_duration is 24.000001 hours, more than 24"),
        ("actual_duration", -0.0, "actual_duration is -0 hours, not above 0"),
        ("actual_duration", 1e300, "actual_duration is 1e+300 hours, more than 24"),
        ("actual_duration", math.nan, "actual_duration is not a finite number"),
        ("actual_duration", math.inf, "actual_duration is not a finite number"),
        ("energy_level", -math.inf, "energy_level is not a finite number"),
    ],
)
def test_a_reason_names_column_value_unit_and_bound(name: str, value: float, words: str) -> None:
    assert impossible_reason(column("study_sessions", name), value) == words


@given(spec=st.sampled_from(BOUNDED), value=st.floats())
def test_whatever_is_impossible_has_a_reason_that_shows_the_value(spec: Column, value: float) -> None:
    import numpy as np

    if math.isnan(value) or not impossible(spec, np.array([value]))[0]:
        return
    reason = impossible_reason(spec, value)
    if math.isinf(value):
        assert reason == f"{spec.name} is not a finite number"
    else:
        assert float(reason.removeprefix(f"{spec.name} is ").split()[0].rstrip(",")) == value


def test_the_limits_of_time_leave_room_for_arithmetic() -> None:
    from datetime import timedelta

    assert contract.EARLIEST - timedelta(days=36_500 * 2) < contract.EARLIEST
    assert contract.LATEST + timedelta(days=36_500 * 2) > contract.LATEST
