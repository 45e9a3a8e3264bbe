"""Error measures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from studyml.evaluation.metrics import mean_absolute_error, root_mean_squared_error

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
