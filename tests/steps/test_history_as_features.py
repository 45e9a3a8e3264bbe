"""Histories as features: the same in training, scoring and replay, night by night what the definition says."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from studyml.database import source as source_module
from studyml.database.vocabularies import read_vocabularies
from studyml.features.definition import assemble
from studyml.features.history import HISTORY_FEATURES, SEQUENCE_FEATURES, history_from_log, subject_key
from studyml.frame import Frame, to_microseconds
from studyml.settings import Settings
from studyml.steps.observe import observe
from studyml.steps.opening import own_database, read_source
from studyml.steps.read_history import with_history_at
from studyml.steps.training_data import read_training_data
from tests.conftest import END, NOW
from tests.features.reference_history import Seen, history
from tests.logs import ask
from tests.steps.histories import DAY, FIRST, TABLES, label, lived, rebuild, small_app, state

ALL = (*HISTORY_FEATURES, *SEQUENCE_FEATURES)


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


@pytest.fixture
def small(settings: Settings, tmp_path: Path) -> Settings:
    """The small study app, without any label."""
    return small_app(settings, tmp_path)


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


def test_a_subject_has_the_same_key_in_the_source_as_everywhere(small: Settings) -> None:
    ask(small.source, "UPDATE topics SET subject = 'Español 数学' WHERE id = 1")

    topics = read_source(small, lambda source: source_module.read_topics(source, "public", LEVELS))

    expected = {name: subject_key(name) for name in ("Español 数学", "Physics")}
    assert topics["subject_key"].tolist() == [expected["Español 数学"], expected["Physics"], 0]


LEVELS = {"subject": (), "content_type": ()}
