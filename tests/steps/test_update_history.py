"""Histories in the database: kept up night by night, the same in training, scoring and replay, and never twice."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from studyml.database import source as source_module
from studyml.database.vocabularies import read_vocabularies
from studyml.errors import DatabaseError
from studyml.features.definition import assemble
from studyml.features.history import HISTORY_FEATURES, SEQUENCE_FEATURES, history_from_log, subject_key
from studyml.frame import Frame, to_microseconds
from studyml.settings import Settings
from studyml.steps import update_history as module
from studyml.steps.load import load
from studyml.steps.observe import observe
from studyml.steps.opening import own_database, read_source
from studyml.steps.read_history import with_history_at
from studyml.steps.training_data import read_training_data
from studyml.steps.update_history import update_history
from tests.conftest import END, NOW, silent
from tests.features.reference_history import Seen, history
from tests.logs import ask, session, student, topic, write_logs

ALL = (*HISTORY_FEATURES, *SEQUENCE_FEATURES)
DAY = timedelta(days=1)
FIRST = END - 30 * DAY
TABLES = "studyml.history_observations, studyml.history_states, studyml.history_expectations"


def training(settings: Settings, as_of: datetime = END) -> Frame:
    """The training rows by id, with everything that histories give."""
    with own_database(settings) as connection:
        data = read_training_data(settings, connection, as_of=as_of, through_outcome_id=10**9, sequences=True)
    return data.frame.take(np.argsort(data.frame["id"]))


def at_night(settings: Settings, as_of: datetime, *, after: datetime, through: datetime) -> Frame:
    """The sessions dated in (after, through] by id, with the histories that a scoring at ``as_of`` gives them."""
    schema = settings.source_schema

    def read(source: source_module.Connection) -> Frame:
        return assemble(
            source_module.read_sessions(source, schema, known, after=after, through=through),
            source_module.read_students(source, schema, known),
            source_module.read_topics(source, schema, known),
        ).frame

    known = read_source(settings, lambda source: read_vocabularies(source, schema))
    frame = read_source(settings, read)
    with own_database(settings) as connection:
        return with_history_at(connection, frame, as_of=as_of, features=ALL)


def same(found: Frame, expected: Frame) -> bool:
    """Whether two frames hold the same rows, and the same bits in every column of a history."""
    return all(np.array_equal(found[name], expected[name], equal_nan=True) for name in ("id", *ALL))


def state(settings: Settings) -> list[tuple[object, ...]]:
    return ask(settings.database, "SELECT * FROM studyml.history_states ORDER BY kind, first_key, second_key")


def counted(settings: Settings, table: str) -> int:
    ((count,),) = ask(settings.database, f"SELECT count(*) FROM studyml.{table}")
    return int(count)


def rebuild(settings: Settings) -> None:
    """Forget all histories and make them again from the ledger."""
    ask(settings.database, f"TRUNCATE {TABLES}")
    with own_database(settings) as connection:
        update_history(settings, connection)
        connection.commit()


def test_a_planned_session_is_scored_with_what_training_later_says_was_known(simulated: Settings) -> None:
    scored = []
    for number in range(31):
        night = FIRST + number * DAY
        observe(simulated, as_of=night, now=NOW)
        scored.append(at_night(simulated, night, after=night, through=night + DAY))
    trained = training(simulated)

    for frame in scored[:-1]:
        labelled = trained.take(np.isin(trained["id"], frame["id"]))
        assert same(frame.take(np.isin(frame["id"], labelled["id"])), labelled)
    assert sum(len(frame) for frame in scored) > 150
    assert (trained["student_history_count"] > 0).mean() > 0.8


def test_a_replayed_night_sees_what_it_saw(simulated: Settings) -> None:
    lived = {}
    for number in range(0, 30, 3):
        night = FIRST + number * DAY
        observe(simulated, as_of=night, now=NOW)
        lived[night] = at_night(simulated, night, after=night, through=night + 31 * DAY)
    ask(simulated.source, "UPDATE study_sessions SET actual_duration = 23 WHERE session_date > %s", END - 8 * DAY)
    observe(simulated, as_of=END, now=NOW)

    for night, frame in lived.items():
        assert same(at_night(simulated, night, after=night, through=night + 31 * DAY), frame)


def test_old_labels_seen_at_once_count_as_if_their_nights_had_been_lived(simulated: Settings) -> None:
    observe(simulated, as_of=END, now=NOW)

    found = training(simulated)

    ended = found["session_date"] + (found["actual_duration"] * 3600e6).astype(np.int64)
    expected = history_from_log(found, np.minimum(ended, to_microseconds(END)))
    assert same(found, expected)
    assert (found["student_history_count"] > 0).mean() > 0.9


def test_a_model_without_history_reads_none(simulated: Settings) -> None:
    with own_database(simulated) as connection:
        frame = Frame({"id": np.arange(3)}, {})
        assert with_history_at(connection, frame, as_of=END, features=("age", "subject")) is frame


@pytest.fixture
def small(settings: Settings, tmp_path: Path) -> Settings:
    """Two students, three topics (one without estimate and subject), twelve sessions a day apart, no label."""
    sessions = [
        session(n, student_id=1 + n % 2, topic_id=1 + n % 3, session_date=FIRST + n * DAY, actual_duration="")
        for n in range(1, 13)
    ]
    logs = write_logs(
        tmp_path / "logs",
        students=[student(1), student(2, avg_focus_duration="")],
        topics=[
            topic(1),
            topic(2, subject="Physics", difficulty_level=8),
            topic(3, subject="", estimated_base_time=""),
        ],
        sessions=sessions,
    )
    load(settings, logs, now=NOW, progress=silent)
    return settings


def label(settings: Settings, session_id: int, hours: float | None) -> None:
    ask(settings.source, "UPDATE study_sessions SET actual_duration = %s WHERE id = %s", hours, session_id)


def lived(settings: Settings, night: int) -> dict[str, int | bool]:
    return observe(settings, as_of=FIRST + night * DAY, now=NOW)


changes = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 12), st.one_of(st.none(), st.floats(0.1, 24))), min_size=1, max_size=30
)


@hypothesis_settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes)
def test_night_by_night_with_late_corrected_and_removed_labels_is_what_the_definition_says(
    small: Settings, labels: list[tuple[int, int, float | None]]
) -> None:
    ask(small.database, f"TRUNCATE {TABLES}, studyml.outcomes, studyml.outcome_predictions RESTART IDENTITY")
    ask(small.source, "UPDATE study_sessions SET actual_duration = NULL")
    for night in range(21):
        for at, session_id, hours in labels:
            if at == night:
                label(small, session_id, hours)
        lived(small, night)

    stepwise, frame = state(small), at_night(small, END, after=FIRST, through=END)
    rebuild(small)

    assert [row[:3] for row in state(small)] == [row[:3] for row in stepwise]
    for row, before in zip(state(small), stepwise, strict=True):
        assert row[4:] == pytest.approx(before[4:], rel=1e-9, abs=1e-9)
    for row, expected in enumerate(by_definition(small, frame, to_microseconds(END) + 1)):
        found = {name: frame[name][row] for name in ALL}
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-6, nan_ok=True)


def by_definition(settings: Settings, frame: Frame, before: int) -> list[dict[str, float]]:
    """The features of the rows from the stored order of nights, by the definition."""
    rows = ask(
        settings.database,
        "SELECT h.session_id, h.student_id, h.topic_id, h.subject_key, h.as_of, o.actual_hours"
        " FROM studyml.history_observations h JOIN studyml.outcomes o USING (session_id, revision)"
        " ORDER BY h.as_of, h.outcome_id",
    )
    inputs = ("estimated_base_time", "avg_focus_duration", "difficulty_level")
    known = {int(number): [float(frame[name][row]) for name in inputs] for row, number in enumerate(frame["id"])}
    seen = [Seen(*row[:4], to_microseconds(row[4]), row[5], *known[row[0]]) for row in rows]
    keys = zip(*(frame[name].tolist() for name in ("student_id", "topic_id", "subject_key")), strict=True)
    return [history(seen, *key, before) for key in keys]


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


def test_a_subject_has_the_same_key_in_the_source_as_everywhere(small: Settings) -> None:
    ask(small.source, "UPDATE topics SET subject = 'Español 数学' WHERE id = 1")

    topics = read_source(small, lambda source: source_module.read_topics(source, "public", LEVELS))

    expected = {name: subject_key(name) for name in ("Español 数学", "Physics")}
    assert topics["subject_key"].tolist() == [expected["Español 数学"], expected["Physics"], 0]


LEVELS = {"subject": (), "content_type": ()}


def test_a_replay_leaves_the_histories_alone(small: Settings) -> None:
    label(small, 1, 2.0)
    lived(small, 5)
    before = state(small)

    assert lived(small, 4)["replay"] is True

    assert state(small) == before
