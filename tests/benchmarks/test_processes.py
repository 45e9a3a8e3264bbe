"""The data processes are what they say, and their best possible prediction is one."""

import numpy as np
import pytest

from benchmarks.quality.log import BEST, TEST_DAYS, TEST_ROWS, TRAINING_DAYS, hours_of, simulated_log
from benchmarks.quality.processes import PROCESSES, guide_median_factor
from studyml.frame import Frame

DAY = 24 * 3600 * 1_000_000


def naive_mae(frame: Frame, predicted: np.ndarray | float) -> float:
    return float(np.abs(hours_of(frame) - predicted).mean())


def test_the_median_of_the_guides_factors_halves_them() -> None:
    random = np.random.default_rng(1)
    factors = random.uniform(0.7, 1.3, 1_000_000) * random.uniform(0.8, 1.4, 1_000_000)
    assert (factors < guide_median_factor()).mean() == pytest.approx(0.5, abs=0.002)


def test_the_guides_process_is_the_one_that_is_simulated() -> None:
    log = simulated_log("guide", 600, 0)
    frame = log.training
    number = {name: frame[name].astype(float) for name in ("estimated_base_time", "avg_focus_duration")}
    expected = number["estimated_base_time"] * number["avg_focus_duration"] / 60
    expected = expected * (1 + 0.1 * (frame["difficulty_level"].astype(float) - 5))
    factor = hours_of(frame) / expected
    assert factor.min() > 0.7 * 0.8 - 0.02
    assert factor.max() < 1.3 * 1.4 + 0.02
    np.testing.assert_allclose(frame[BEST].astype(float), np.clip(expected * guide_median_factor(), 0, 24))
    # 1.04 h over many worlds (facts of the guide's own data); one world's topics and students decide a good deal.
    maes = [naive_mae(each.test, each.test[BEST]) for each in (simulated_log("guide", 600, s) for s in range(6))]
    assert np.mean(maes) == pytest.approx(1.04, abs=0.12)


@pytest.mark.parametrize("process", PROCESSES)
def test_the_best_prediction_is_a_conditional_median_that_no_shift_of_it_beats(process: str) -> None:
    test = simulated_log(process, 2000, 3).test
    best = test[BEST].astype(float)
    assert (hours_of(test) < best).mean() == pytest.approx(0.5, abs=0.04)
    mae = naive_mae(test, best)
    assert mae < naive_mae(test, 0.85 * best)
    assert mae < naive_mae(test, 1.15 * best)
    assert mae < 0.9 * naive_mae(test, float(np.median(hours_of(test))))


@pytest.mark.parametrize("sessions", [600, 2000])
def test_the_test_rows_are_enough_and_come_after_the_training_rows(sessions: int) -> None:
    log = simulated_log("returning_students", sessions, 0)
    assert len(log.training) == sessions
    assert len(log.test) >= TEST_ROWS
    newest, first = log.training["session_date"].max(), log.training["session_date"].min()
    for future in log.futures:
        assert (np.diff(future["session_date"]) >= 0).all()
        assert future["session_date"].min() > newest - DAY  # sessions of one day may start in any order
        assert future["session_date"].max() < first + (TRAINING_DAYS + TEST_DAYS + 2) * DAY
        assert np.isin(future["topic_id"], log.training["topic_id"]).all()


def test_the_same_seed_gives_the_same_log_and_another_one_another() -> None:
    once, again, other = (simulated_log("categories", 600, seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(hours_of(once.test), hours_of(again.test))
    assert not np.array_equal(hours_of(once.training), hours_of(other.training))


def test_in_the_process_with_gaps_every_feature_has_some_and_the_durations_do_not_follow_them() -> None:
    frame = simulated_log("missing", 2000, 0).training
    for name in ("age", "avg_focus_duration", "energy_level", "subject", "study_method"):
        values = frame[name]
        gone = values < 0 if name in frame.vocabularies else np.isnan(values.astype(float))
        assert 0.02 < gone.mean() < 0.65, name
    ratio = hours_of(frame) / frame[BEST].astype(float)
    unknown = np.isnan(frame["avg_focus_duration"].astype(float))
    assert np.median(ratio[unknown]) == pytest.approx(np.median(ratio[~unknown]), abs=0.05)


def test_returning_students_differ_in_a_way_that_only_their_history_tells() -> None:
    log = simulated_log("returning_students", 2000, 0)
    test = log.test
    residual = np.log(hours_of(test) / test["estimated_base_time"].astype(float))
    assert np.corrcoef(residual, test["student_history_ratio"].astype(float))[0, 1] > 0.5
