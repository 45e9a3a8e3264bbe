"""Features in words."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.features.definition import FEATURES
from studyml.reporting.feature_words import UNKNOWN_LEVEL, feature_words, label, signed_hours


@pytest.mark.parametrize("feature", [name for name in FEATURES if name != "breaks_taken"])
def test_every_feature_has_words_of_its_own(feature: str) -> None:
    assert "_" not in label(feature)
    assert len({label(name) for name in FEATURES}) == len(FEATURES)


@pytest.mark.parametrize(
    ("feature", "value", "said"),
    [
        ("difficulty_level", 7.0, "topic's difficulty 7 of 10"),
        ("avg_focus_duration", 47.5, "student's usual focus 47.5 min"),
        ("estimated_base_time", 0.42384, "topic's estimate 0.42 h"),
        ("prerequisites_count", 0.0, "topic's prerequisites 0"),
        ("subject", "Physics", "subject Physics"),
        ("subject", UNKNOWN_LEVEL, "subject new to the model"),
        ("energy_level", None, "energy missing"),
        ("a_new_column", 2.0, "a_new_column 2"),
    ],
)
def test_a_value_stands_with_its_unit(feature: str, value: float | str | None, said: str) -> None:
    assert feature_words(feature, {feature: value}) == said


def test_a_history_says_how_many_sessions_it_rests_on_and_what_they_showed() -> None:
    values = {
        "student_history_count": math.log1p(12),
        "student_history_ratio": math.log(1.25),
        "student_recent_residual": 0.1,
    }
    assert feature_words("student_history", values) == "student's past sessions (12, 1.25 times the estimate)"
    none = {"student_history_count": 0.0, "student_history_ratio": 0.0}
    assert feature_words("student_history", none) == "student's past sessions (0)"


def test_last_sessions_say_what_the_newest_showed() -> None:
    known = {"previous_1_ratio": math.log(2), "previous_1_residual": 0.2, "previous_2_ratio": None}
    assert feature_words("previous_sessions", known) == "student's last sessions (2.00 times the estimate)"
    assert feature_words("previous_sessions", dict.fromkeys(known)) == "student's last sessions (none)"


@given(value=st.floats(-30, 30))
def test_a_share_always_has_a_sign_and_never_a_negative_nothing(value: float) -> None:
    shown = signed_hours(value)
    assert shown[0] in "+-"
    assert shown != "-0.00 h"
    assert float(shown.removesuffix(" h")) == pytest.approx(value, abs=0.0051)
