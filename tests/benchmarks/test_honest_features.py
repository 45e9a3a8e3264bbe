"""No predictor of the benchmark sees what is unknown before a session."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality.log import BEST, LABEL, hours_of, real_log, simulated_log
from benchmarks.quality.missing import EVERYTHING, HISTORY, take_away
from benchmarks.quality.peers import PEERS
from studyml.features.history import HISTORY_FEATURES
from studyml.frame import MISSING, UNSEEN

LEAKS = {LABEL, BEST, "planned_duration", "comprehension_score", "completion_percentage", "satisfaction_rating", "id"}


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_sees_no_leak_and_history_only_where_its_name_says_so(name: str) -> None:
    peer = PEERS[name]
    assert not LEAKS & set(peer.names)
    assert set(HISTORY_FEATURES).issubset(peer.names) == name.endswith("_history")


@pytest.mark.parametrize("name", PEERS)
def test_a_peers_forecast_does_not_change_with_labels_or_breaks_of_the_rows_to_forecast(name: str) -> None:
    log = simulated_log("guide", 600, 0)
    training, test = log.training.take(np.arange(150)), log.futures[0]
    predict = PEERS[name].fit(training, PEERS[name].names, 0)
    gone = {LABEL: np.full(len(test), 7.0), BEST: np.full(len(test), 7.0), "breaks_taken": np.full(len(test), 3.0)}
    # Threads of a forest add in any order.
    np.testing.assert_allclose(predict(test), predict(test.with_columns(**gone)), rtol=1e-12)


def test_breaks_taken_is_unknown_in_every_row() -> None:
    log = simulated_log("guide", 600, 0)
    assert np.isnan(log.training["breaks_taken"]).all()
    assert np.isnan(log.test["breaks_taken"]).all()


def test_history_is_that_of_the_nights_before() -> None:
    log = simulated_log("returning_students", 600, 0)
    training = log.training
    first = np.unique(training["student_id"], return_index=True)[1]
    assert not training["student_history_count"][first].astype(float).any()
    dates, students = training["session_date"].astype(int), training["student_id"]
    for row in (100, 333, 599):
        # Known at the end of the session, and to the night of 0:00 after it.
        ended = dates + (hours_of(training) * 3_600e6).astype(int)
        day = 24 * 3_600_000_000
        known = -(-ended // day) * day < dates[row]
        count = (known & (students == students[row])).sum()
        assert np.expm1(float(training["student_history_count"][row])) == pytest.approx(count, abs=1e-4)


def test_a_future_does_not_learn_from_another_future() -> None:
    log = simulated_log("returning_students", 600, 0)
    longest = max(float(np.expm1(future["topic_history_count"].astype(float)).max()) for future in log.futures)
    most = max(np.unique(log.training["topic_id"], return_counts=True)[1])
    assert longest <= most + max(max(np.unique(f["topic_id"], return_counts=True)[1]) for f in log.futures)


def test_taking_a_feature_away_takes_what_follows_from_it_too() -> None:
    test = simulated_log("guide", 600, 0).futures[0]
    rows = np.arange(len(test)) % 2 == 0
    gone = take_away(test, "difficulty_level", rows)
    assert np.isnan(gone["difficulty_level"][rows].astype(float)).all()
    assert np.isnan(gone["difficulty_focus_ratio"][rows].astype(float)).all()
    np.testing.assert_array_equal(gone["difficulty_level"][~rows], test["difficulty_level"][~rows])
    assert (take_away(test, "subject", rows)["subject"][rows] == MISSING).all()
    assert (take_away(test, "subject", rows, unseen=True)["subject"][rows] == UNSEEN).all()
    assert not take_away(test, HISTORY, rows)["student_history_count"][rows].any()
    everything = take_away(test, EVERYTHING, rows)
    assert np.isnan(everything["hour_sin"][rows].astype(float)).all()
    assert np.isnan(everything["age"][rows].astype(float)).all()


def test_a_real_log_is_split_by_time(kaist: Path) -> None:
    log = real_log(kaist)
    assert len(log.training) / (len(log.training) + len(log.test)) == pytest.approx(0.7, abs=0.01)
    assert log.training["session_date"].max() <= log.test["session_date"].min()
    assert np.isnan(log.test["breaks_taken"]).all()
