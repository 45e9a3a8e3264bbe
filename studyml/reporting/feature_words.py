"""Features and their values in words: what a person reads who asks why a session got its prediction."""

import math
from collections.abc import Mapping

#: A feature in words and the unit behind its value. A feature that is not here is called by its name.
_WORDS = {
    "age": ("student's age", "years"),
    "education_level": ("student's education level", ""),
    "learning_style": ("student's learning style", ""),
    "avg_focus_duration": ("student's usual focus", "min"),
    "subject": ("subject", ""),
    "difficulty_level": ("topic's difficulty", "of 10"),
    "estimated_base_time": ("topic's estimate", "h"),
    "prerequisites_count": ("topic's prerequisites", ""),
    "content_type": ("content type", ""),
    "time_of_day": ("time of day", ""),
    "study_method": ("study method", ""),
    "environment": ("environment", ""),
    "energy_level": ("energy", "of 5"),
    "distraction_level": ("distraction", "of 5"),
    "student_history": ("student's past sessions", ""),
    "student_subject_history": ("student's past sessions of this subject", ""),
    "student_topic_history": ("student's past sessions of this topic", ""),
    "topic_history": ("everybody's past sessions of this topic", ""),
    "previous_sessions": ("student's last sessions", ""),
}
#: Instead of a value: a category that training did not see, in a scored row.
UNKNOWN_LEVEL = "\x00unknown"

Value = float | str | None


def feature_words(feature: str, values: Mapping[str, Value]) -> str:
    """The feature with its value for one row, from the values of its columns; None where one is missing.

    >>> feature_words("estimated_base_time", {"estimated_base_time": 3.2})
    "topic's estimate 3.2 h"
    >>> feature_words("subject", {"subject": None})
    'subject missing'
    >>> feature_words("topic_history", {"topic_history_count": math.log1p(7)})
    "everybody's past sessions of this topic (7)"
    """
    words, unit = _WORDS.get(feature, (feature, ""))
    if feature == "previous_sessions":
        newest = values.get("previous_1_ratio")
        return f"{words} ({_times(newest) or 'none'})"
    if set(values) != {feature}:
        return f"{words} ({_history(values)})"
    value = values[feature]
    if value is None:
        return f"{words} missing"
    if value == UNKNOWN_LEVEL:
        return f"{words} new to the model"
    shown = f"{round(value, 2):g}" if isinstance(value, float) else value
    return f"{words} {shown} {unit}".rstrip()


def label(feature: str) -> str:
    """The feature in words, without a value."""
    return _WORDS.get(feature, (feature, ""))[0]


def signed_hours(value: float) -> str:
    """A contribution in hours, always with its sign.

    >>> signed_hours(0.449), signed_hours(-2), signed_hours(-0.001)
    ('+0.45 h', '-2.00 h', '+0.00 h')
    """
    return f"{round(value, 2) + 0.0:+.2f} h"


def _history(values: Mapping[str, Value]) -> str:
    count = next((value for name, value in values.items() if name.endswith("history_count")), None)
    ratio = next((value for name, value in values.items() if name.endswith("history_ratio")), None)
    if not isinstance(count, float):
        return "as recorded"
    sessions = round(math.expm1(count))
    times = _times(ratio) if sessions else None
    return f"{sessions}, {times}" if times else f"{sessions}"


def _times(log_ratio: Value) -> str | None:
    return f"{math.exp(log_ratio):.2f} times the estimate" if isinstance(log_ratio, float) else None
