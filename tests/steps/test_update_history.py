"""Histories in the database: kept up night by night, and never twice."""

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from studyml.errors import DatabaseError
from studyml.frame import Frame
from studyml.settings import Settings
from studyml.steps import update_history as module
from studyml.steps.observe import observe
from tests.conftest import END, NOW
from tests.logs import ask
from tests.steps.histories import DAY, FIRST, TABLES, counted, label, lived, rebuild, small_app, state


@pytest.fixture
def small(settings: Settings, tmp_path: Path) -> Settings:
    """The small study app, without any label."""
    return small_app(settings, tmp_path)


def test_a_label_counts_from_the_night_that_saw_it_and_old_ones_of_the_first_night_from_when_they_ended(
    small: Settings,
) -> None:
    label(small, 1, 2.0)
    label(small, 2, 23.0)
    lived(small, 8)
    label(small, 3, 2.0)
    lived(small, 9)

    nights = dict(ask(small.database, "SELECT session_id, as_of FROM studyml.history_observations"))

    # Session n begins n days after FIRST, where the grid of the nights lies, too.
    assert nights == {1: FIRST + 2 * DAY, 2: FIRST + 3 * DAY, 3: FIRST + 9 * DAY}


def test_a_night_that_is_run_again_changes_nothing(small: Settings) -> None:
    label(small, 1, 2.0)
    lived(small, 5)
    before = state(small)

    lived(small, 5)

    assert state(small) == before
    assert counted(small, "history_observations") == 1


def test_labels_that_arrive_between_two_runs_of_one_night_enter_as_in_one(small: Settings) -> None:
    label(small, 1, 2.0)
    lived(small, 4)
    label(small, 3, 3.0)
    lived(small, 6)
    label(small, 5, 4.0)
    lived(small, 6)
    label(small, 3, 9.0)
    lived(small, 6)

    stepwise = [row[4:] for row in state(small)]
    rebuild(small)

    assert [row[4:] for row in state(small)] == [pytest.approx(row, rel=1e-9, abs=1e-12) for row in stepwise]
    assert counted(small, "history_observations") == 4


def test_old_labels_that_arrive_after_the_first_observation_count_from_when_they_were_seen(small: Settings) -> None:
    label(small, 1, 2.0)
    lived(small, 9)
    label(small, 2, 2.0)
    observe(small, as_of=FIRST + 9 * DAY, now=NOW + timedelta(hours=1))
    query = "SELECT session_id, as_of FROM studyml.history_observations ORDER BY 1"

    stepwise = ask(small.database, query)
    rebuild(small)

    assert stepwise == [(1, FIRST + 2 * DAY), (2, FIRST + 9 * DAY)] == ask(small.database, query)


def test_a_night_that_was_killed_leaves_nothing_and_is_made_up_by_the_next(
    small: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    label(small, 1, 2.0)
    lived(small, 3)
    label(small, 2, 3.0)
    before = state(small)
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_progress", failing)
        with pytest.raises(DatabaseError):
            lived(small, 4)
    assert state(small) == before
    assert counted(small, "outcomes") == counted(small, "history_observations") == 1

    lived(small, 5)

    stepwise = state(small)
    rebuild(small)
    assert state(small) == stepwise
    assert counted(small, "history_observations") == 2


def failing(*_: object) -> None:
    raise DatabaseError("the server went away.")


def test_a_database_from_before_there_were_histories_is_caught_up_by_its_next_night(small: Settings) -> None:
    label(small, 1, 2.0)
    lived(small, 3)
    label(small, 2, 3.0)
    label(small, 1, 2.5)
    lived(small, 4)
    expected = state(small)
    ask(small.database, f"TRUNCATE {TABLES}")

    lived(small, 5)

    assert state(small) == expected


def test_an_outcome_without_student_or_topic_is_in_no_history_and_said_to_be_missing(
    small: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    label(small, 1, 2.0)
    label(small, 2, 2.0)
    ask(small.source, "SET session_replication_role = replica; DELETE FROM topics WHERE id = 2")

    with caplog.at_level(logging.WARNING, logger="studyml"):
        lived(small, 5)

    assert "outcomes in no history, as their session, student or topic does not exist: 1" in caplog.text
    assert ask(small.database, "SELECT session_id FROM studyml.history_observations") == [(2,)]
    caplog.clear()
    lived(small, 6)
    assert "in no history" not in caplog.text


def test_a_correction_keeps_the_inputs_of_the_first_observation(small: Settings) -> None:
    label(small, 1, 2.0)
    lived(small, 3)
    ask(small.source, "UPDATE topics SET estimated_base_time = 20")
    label(small, 1, 4.0)
    lived(small, 4)

    rows = ask(
        small.database, "SELECT ratio, expected, log_estimate FROM studyml.history_observations ORDER BY revision"
    )

    assert rows == [
        (pytest.approx(np.log(2 / 2.5)), 0.0, pytest.approx(np.log(2.5))),
        (pytest.approx(np.log(4 / 2.5)), 0.0, pytest.approx(np.log(2.5))),
    ]


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, int]]:
    """How many rows of each table the histories have read from the source."""
    found = dict.fromkeys(("read_session_keys", "read_students", "read_topics"), 0)

    def counting(name: str, read: Callable[..., Frame]) -> Callable[..., Frame]:
        def counted(*arguments: object, **named: object) -> Frame:
            frame = read(*arguments, **named)
            found[name] += len(frame)
            return frame

        return counted

    for name in found:
        monkeypatch.setattr(module, name, counting(name, getattr(module, name)))
    return lambda: dict(found)


def test_a_night_costs_what_is_new(simulated: Settings, rows_read: Callable[[], dict[str, int]]) -> None:
    observe(simulated, as_of=END - DAY / 2, now=NOW)
    before, read = versions(simulated), rows_read()

    new = observe(simulated, as_of=END, now=NOW)["new"]

    after = versions(simulated)
    sessions, students, topics = (rows_read()[name] - read[name] for name in read)
    assert 0 < new < 20 < read["read_session_keys"]
    assert sessions == new
    assert 0 < students <= new < 30, "the students of the new sessions only"
    assert 0 < topics <= new < 25
    for table, allowed in (("history_observations", new), ("history_states", 4 * new), ("history_expectations", 1)):
        assert 0 < len(after[table] - before[table]) <= allowed


def versions(settings: Settings) -> dict[str, set[tuple[str, str]]]:
    """The physical rows of each table: a row that is written again is another."""
    names = ("history_observations", "history_states", "history_expectations")
    return {name: set(ask(settings.database, f"SELECT ctid::text, xmin::text FROM studyml.{name}")) for name in names}


def test_a_replay_leaves_the_histories_alone(small: Settings) -> None:
    label(small, 1, 2.0)
    lived(small, 5)
    before = state(small)

    assert lived(small, 4)["replay"] is True

    assert state(small) == before
