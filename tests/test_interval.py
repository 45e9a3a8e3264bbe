"""Intervals around predictions, as scoring applies them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from studyml.interval import Interval, bounds

Ratios = st.floats(0.01, 10)
Lengths = st.lists(st.floats(0.1, 24), min_size=1, max_size=5, unique=True).map(lambda each: tuple(sorted(each)))


@st.composite
def intervals(draw: st.DrawFn, coverage: float) -> Interval:
    lengths = draw(Lengths)
    lower, upper = (tuple(draw(st.lists(Ratios, min_size=len(lengths), max_size=len(lengths)))) for _ in range(2))
    return Interval(coverage, lengths, lower, upper)


@given(arrays(np.float64, st.integers(0, 20), elements=st.floats(0.1, 24)), intervals(0.8), intervals(0.9))
def test_wider_holds_narrower_holds_the_prediction(hours: np.ndarray, narrow: Interval, wide: Interval) -> None:
    (wide_lower, wide_upper), (lower, upper) = bounds(hours, (wide, narrow))

    assert ((wide_lower > 0) & (wide_upper <= 24)).all()
    for inner, outer in ((wide_lower, lower), (lower, hours), (hours, upper), (upper, wide_upper)):
        assert (inner <= outer).all()


@pytest.mark.parametrize(
    ("hours", "lower", "upper"),
    [
        (0.5, 0.25, 1.0),  # shorter than the shortest known: as that one
        (1.0, 0.5, 2.0),
        (2.0, 2 * 0.6, 2 * 1.75),  # half-way from 1 to 4 in its logarithm
        (4.0, 4 * 0.7, 4 * 1.5),
        (20.0, 14.0, 24.0),  # nothing lasts longer than a day
    ],
)
def test_ratios_change_evenly_with_the_logarithm_of_the_length(hours: float, lower: float, upper: float) -> None:
    interval = Interval(0.8, (1.0, 4.0), (0.5, 0.7), (2.0, 1.5))

    ((found_lower, found_upper),) = bounds(np.array([hours]), (interval,))

    assert found_lower[0] == pytest.approx(lower)
    assert found_upper[0] == pytest.approx(upper)


def test_a_session_may_be_shorter_than_the_shortest_prediction() -> None:
    ((lower, _),) = bounds(np.array([0.1]), (Interval(0.8, (1.0,), (0.3,), (2.0,)),))

    assert lower[0] == pytest.approx(0.03)
