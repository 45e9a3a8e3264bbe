"""Error measures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from studyml.evaluation.metrics import interval_ratios, mean_absolute_error, root_mean_squared_error

Hours = st.lists(st.tuples(st.floats(0.1, 24), st.floats(0.1, 24)), min_size=1, max_size=50)


@given(Hours)
def test_mae_and_rmse_are_those_of_scikit_learn(pairs: list[tuple[float, float]]) -> None:
    actual, predicted = np.array(pairs).T

    assert mean_absolute_error(actual, predicted) == pytest.approx(
        sklearn_metrics.mean_absolute_error(actual, predicted)
    )
    assert root_mean_squared_error(actual, predicted) == pytest.approx(
        sklearn_metrics.root_mean_squared_error(actual, predicted)
    )


@given(Hours)
def test_the_ratios_of_an_interval_are_in_order_and_among_those_seen(pairs: list[tuple[float, float]]) -> None:
    actual, predicted = np.array(pairs).T

    lower, upper = interval_ratios(actual, predicted, 0.8)

    assert (actual / predicted).min() <= lower <= upper <= (actual / predicted).max()


def test_an_interval_covers_what_it_promises_on_new_rows() -> None:
    random = np.random.default_rng(4)
    covered = []
    for _ in range(400):
        ratios = random.lognormal(0, 0.4, 121)
        lower, upper = interval_ratios(ratios[:60], np.ones(60), 0.8)
        covered.append(((ratios[60:] >= lower) & (ratios[60:] <= upper)).mean())

    assert np.mean(covered) == pytest.approx(0.8, abs=0.03)
    assert np.mean(covered) > 0.79
