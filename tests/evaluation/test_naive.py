"""The naive predictors that every network is held against."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from studyml.evaluation.naive import LOG_FEATURES, WITHOUT_ANYTHING, fit_naive
from tests.features.frames import simulated_log


def features_of(rows: slice) -> dict[str, np.ndarray]:
    frame = simulated_log()
    return {name: frame[name][rows] for name in LOG_FEATURES}


def hours_of(rows: slice) -> np.ndarray:
    return simulated_log()["actual_duration"][rows]


def test_the_log_linear_predictor_is_scikit_learns_regression_of_log_on_logs() -> None:
    fitting, judging = slice(0, 480), slice(480, None)
    regression = LinearRegression().fit(
        np.column_stack([np.log(each) for each in features_of(fitting).values()]), np.log(hours_of(fitting))
    )
    expected = np.exp(regression.predict(np.column_stack([np.log(each) for each in features_of(judging).values()])))

    found = fit_naive(features_of(fitting), hours_of(fitting)).predict(features_of(judging), 120)

    assert found["log_linear"] == pytest.approx(expected, rel=1e-8)


def test_the_median_is_that_of_the_training_rows_alone() -> None:
    fitting = slice(0, 480)

    found = fit_naive(features_of(fitting), hours_of(fitting)).predict(features_of(slice(480, None)), 120)

    assert (found["median"] == np.median(hours_of(fitting))).all()


def test_the_estimate_is_the_topics_and_the_median_where_it_has_none() -> None:
    features = {name: np.array([2.0, 4.0, 6.0]) for name in LOG_FEATURES}
    predictors = fit_naive(features, np.array([1.0, 3.0, 8.0]))

    found = predictors.predict({**features, "estimated_base_time": np.array([2.5, np.nan, 7.0])}, 3)

    assert found["estimate"].tolist() == [2.5, 3.0, 7.0]


def test_without_any_label_the_estimate_is_said_and_else_one_hour() -> None:
    nothing = {name: np.zeros(0) for name in LOG_FEATURES}
    some = {name: np.array([2.0, np.nan]) for name in LOG_FEATURES}

    found = fit_naive(nothing, np.zeros(0)).predict(some, 2)

    assert found["estimate"].tolist() == [2.0, WITHOUT_ANYTHING]
    assert found["median"].tolist() == [WITHOUT_ANYTHING] * 2
    assert WITHOUT_ANYTHING == 1.0


Anything = st.one_of(st.just(float("nan")), st.floats(-10, 1e9))


@given(st.lists(st.tuples(st.floats(0.01, 24), Anything, Anything, Anything), min_size=1, max_size=40))
def test_the_predictions_are_finite_and_positive_whatever_the_features_hold(
    rows: list[tuple[float, float, float, float]],
) -> None:
    columns = np.array(rows).T
    features = dict(zip(LOG_FEATURES, columns[1:], strict=True))

    found = fit_naive(features, columns[0]).predict(features, len(rows))

    assert np.isfinite(found["log_linear"]).all()
    assert (found["log_linear"] > 0).all()
    assert np.isfinite(found["estimate"]).all()
