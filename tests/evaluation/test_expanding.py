"""Naive predictors never know a label that was observed later."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.evaluation.expanding import expanding_median, rolling_means

times = st.lists(st.tuples(st.integers(0, 20), st.floats(0.1, 24)), max_size=30)


@given(times, st.lists(st.integers(-2, 25), max_size=10))
def test_the_median_is_that_of_the_labels_known_by_then(drawn: list[tuple[int, float]], at: list[int]) -> None:
    labels = sorted(drawn)
    observed = np.array([each[0] for each in labels], np.int64)
    hours = np.array([each[1] for each in labels], np.float64)

    found = expanding_median(observed, hours, np.array(at, np.int64))

    for moment, median in zip(at, found, strict=True):
        known = [value for when, value in labels if when <= moment]
        assert median == (pytest.approx(np.median(known)) if known else 1.0)


def test_a_rolling_mean_is_over_what_is_in_the_window_and_known() -> None:
    day = 24 * 3600 * 1_000_000
    dates, known = np.array([0, 1, 2, 5]) * day, np.array([1, 9, 3, 6]) * day

    found = rolling_means(dates, known, np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 4, 10]) * day, 4)

    assert np.isnan(found[0])
    assert found[1] == 3.0  # the first is out of the window, the second not known yet, the last not there yet
    assert np.isnan(found[2])
