"""Outlying labels: the guide's fences, on the log of hours."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from studyml.features.outliers import outlying

hours = st.lists(st.floats(0.1, 24), max_size=60)


def test_a_day_among_minutes_is_outlying_and_a_long_session_of_a_skewed_log_is_not() -> None:
    random = np.random.default_rng(0)
    skewed = random.lognormal(1, 0.5, 500)

    assert outlying(np.array([*([0.5, 0.6, 0.7] * 10), 24.0])).tolist() == [False] * 30 + [True]
    assert outlying(skewed).mean() < 0.02
    assert not outlying(np.array([2.0] * 50)).any()
    assert outlying(np.zeros(0)).tolist() == []


@given(hours, st.floats(0.1, 10))
def test_the_unit_of_the_hours_does_not_matter(listed: list[float], factor: float) -> None:
    values = np.array(listed)
    logs = np.log(values) if listed else values
    first, third = np.quantile(logs, [0.25, 0.75]) if listed else (0, 0)
    distance = np.minimum(np.abs(logs - first + 1.5 * (third - first)), np.abs(logs - third - 1.5 * (third - first)))
    clear = distance > 1e-6  # on the fence itself rounding decides

    assert (outlying(values * factor) == outlying(values))[clear].all()


@given(hours)
def test_at_most_half_of_the_labels_are_outlying(listed: list[float]) -> None:
    assert outlying(np.array(listed)).sum() <= len(listed) / 2
