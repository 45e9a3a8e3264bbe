"""Calibration: honest intervals are called honest, wrong ones are found, and no row judges itself."""

import numpy as np
import pytest

from studyml.evaluation.calibration import CURVE, MAXIMUM_ROWS, calibrate, ends_across
from studyml.evaluation.gates import Holdout

DAY = 24 * 3600 * 1_000_000


def rows(count: int, seed: int, deviation: float = 0.3, **more: np.ndarray) -> Holdout:
    random = np.random.default_rng(seed)
    predicted = random.uniform(0.5, 6, count)
    ids = np.arange(count)
    actual = predicted * np.exp(random.normal(0, deviation, count))
    return Holdout(ids, ids % 40, ids * DAY, actual, {"network": predicted, **more})


def out_of_fold(count: int = 2000, deviation: float = 0.3) -> Holdout:
    return rows(count, 1, deviation, fold=(np.arange(count) % 40 % 5).astype(float))


def test_honest_intervals_hold_what_they_promise_at_every_coverage_and_length() -> None:
    found = calibrate(rows(2000, 2), "network", out_of_fold())

    for part in (found["holdout"], found["out_of_fold"]):
        assert [each["nominal"] for each in part["reliability"]] == list(CURVE)
        for each in part["reliability"]:
            assert each["actual"] == pytest.approx(each["nominal"], abs=0.055)
        assert len(part["by_predicted_length"]) == 10
        assert sum(each["rows"] for each in part["by_predicted_length"]) == part["rows"] == 2000
        for each in part["by_predicted_length"]:
            assert each["coverage"][0]["actual"] == pytest.approx(0.8, abs=0.1)


def test_a_holdout_that_errs_more_than_training_shows_as_intervals_too_narrow() -> None:
    found = calibrate(rows(1000, 2, deviation=0.6), "network", out_of_fold())

    assert found["holdout"]["overall"][0]["actual"] < 0.65
    assert found["out_of_fold"]["overall"][0]["actual"] == pytest.approx(0.8, abs=0.03)


def test_a_fold_is_not_judged_by_its_own_rows() -> None:
    # One fold took three times as long: the other folds cannot have known.
    folds = np.arange(500) % 5
    predicted = np.full(500, 2.0)
    actual = np.where(folds == 4, 6.0, 2.0) * np.exp(np.random.default_rng(0).normal(0, 0.01, 500))

    ends = ends_across(actual, predicted, folds)

    at = CURVE.index(0.8)
    inside = (actual >= ends[:, at, 0]) & (actual <= ends[:, at, 1])
    assert not inside[folds == 4].any()


def test_without_out_of_fold_rows_the_holdout_is_cut_by_student() -> None:
    found = calibrate(rows(400, 2), "network", None)

    assert found["out_of_fold"] is None
    assert "no out-of-fold rows" in found["holdout"]["source"]
    assert found["holdout"]["overall"][0]["actual"] == pytest.approx(0.8, abs=0.06)


def test_few_rows_are_not_measured() -> None:
    assert calibrate(rows(10, 2), "network", None) == {"holdout": None, "out_of_fold": None}
    assert calibrate(rows(10, 2), "network", out_of_fold())["holdout"] is None


def test_a_holdout_of_one_students_one_week_cannot_judge_itself() -> None:
    week = rows(30, 2)
    week = Holdout(week.session_id, np.zeros(30, np.int64), np.zeros(30, np.int64), week.actual, week.predicted)

    assert calibrate(week, "network", None)["holdout"] is None


def test_many_rows_are_sampled() -> None:
    assert calibrate(rows(MAXIMUM_ROWS + 5, 2), "network", out_of_fold(200))["holdout"]["rows"] == MAXIMUM_ROWS
