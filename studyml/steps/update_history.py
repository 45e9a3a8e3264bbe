"""Put newly observed outcomes on top of the histories of students, subjects and topics.

Costs what is new: the ledger is read from where the newest night stopped, only the sessions that are new are looked
up in the source, and only the states of their keys are read and written.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studyml.contract import STUDENTS, TOPICS
from studyml.database.connection import Connection
from studyml.database.history import (
    Progress,
    read_new_outcomes,
    read_newest_revisions,
    read_progress,
    read_states,
    write_observations,
    write_progress,
    write_states,
)
from studyml.database.source import read_session_keys, read_students, read_topics
from studyml.features.definition import positions
from studyml.features.history import KINDS, first_night
from studyml.features.history_advance import Standing, advance
from studyml.features.history_expectation import INPUTS, Expectation, log_inputs, log_ratio
from studyml.features.history_states import Observations
from studyml.frame import Frame
from studyml.settings import Settings
from studyml.steps.opening import read_source

_logger = logging.getLogger("studyml")

Integers = NDArray[np.int64]
Columns = dict[str, NDArray[np.generic]]

_STUDENT = tuple(each for each in STUDENTS if each.name in ("id", *INPUTS))
_TOPIC = tuple(each for each in TOPICS if each.name in ("id", *INPUTS))
_KEYS = ("student_id", "topic_id", "subject_key")
_INPUT_COLUMNS = ("log_estimate", "log_focus", "log_difficulty")
_POSITIONS = tuple(f"{kind}_position" for kind in KINDS)


@dataclass(frozen=True)
class _New:
    """The outcomes that become observations [n], in order; what they are numbered by, and the newest night of all."""

    observations: Observations
    inputs: NDArray[np.float64]
    standing: Standing
    numbers: Columns
    night: int


def update_history(settings: Settings, connection: Connection) -> dict[str, int]:
    """Bring the histories up to the newest outcome; the caller commits, together with the outcomes themselves.

    Running it again changes nothing, and a night that was missed is made up by the next. An outcome whose session,
    student or topic the source does not have becomes no observation, unless it is corrected later: it is counted and
    logged. Returns the outcomes ``added`` and ``skipped``.
    """
    nights = read_progress(connection)
    through = nights[0].through_outcome_id if nights else 0
    outcomes = read_new_outcomes(connection, after=through)
    if len(outcomes["outcome_id"]) == 0:
        return {"added": 0, "skipped": 0}
    found = len(outcomes["outcome_id"])
    new = _new(settings, connection, _in_order(outcomes, nights))
    reached = max(int(outcomes["outcome_id"].max()), through)
    del outcomes  # a million old labels are put in at once: what is not needed any more makes room
    _add(connection, new, nights, through=reached)
    added = len(new.observations)
    if found > added:
        _logger.warning("outcomes in no history, as their session, student or topic does not exist: %d", found - added)
    _logger.info("%d observations added to the histories", added)
    return {"added": added, "skipped": found - added}


def _in_order(outcomes: Mapping[str, NDArray[np.generic]], nights: list[Progress]) -> Columns:
    """The outcomes with the night from which each counts (``as_of``), in order of night and arrival."""
    observed, hours = outcomes["observed_at"].astype(np.int64), outcomes["hours"].astype(np.float64)
    ended = outcomes["session_date"].astype(np.int64) + np.nan_to_num(hours * 3600e6).astype(np.int64)
    lived = np.minimum(first_night(ended, anchor=int(observed[0])), observed)
    as_of = np.where(outcomes["back_fill"] == 1, lived, observed)
    if nights:
        as_of = np.maximum(as_of, nights[0].as_of)
    order = np.lexsort((outcomes["outcome_id"], as_of))
    return {name: values[order] for name, values in {**outcomes, "as_of": as_of}.items()}


def _sessions(settings: Settings, connection: Connection, outcomes: Columns) -> Columns:
    """What is known of each session, by id: keys and inputs, and what stands of it in the histories, if anything.

    A session that was observed before keeps the keys and inputs that it had then: what it added can be taken away.
    """
    ids = outcomes["session_id"].astype(np.int64)
    wanted = np.unique(ids)
    before = read_newest_revisions(connection, np.unique(ids[outcomes["revision"].astype(np.int64) > 1]))
    names = ("session_id", *_KEYS, *_INPUT_COLUMNS, "ratio", "expected", *_POSITIONS)
    stored = {name: before[name] for name in names} | {"known": np.ones(len(before["session_id"]), bool)}
    new = wanted[~np.isin(wanted, stored["session_id"])]
    read = _read_inputs(settings, new) if len(new) else Frame({"id": new}, {})
    rows = len(read)
    unknown = {name: np.zeros(rows, stored[name].dtype) for name in names} | {"known": np.zeros(rows, bool)}
    if rows:
        unknown |= {"session_id": read["id"], "ratio": np.full(rows, np.nan)} | {name: read[name] for name in _KEYS}
        unknown |= dict(zip(_INPUT_COLUMNS, log_inputs(read.columns).T, strict=True))
    joined = {name: np.concatenate([stored[name], unknown[name]]) for name in stored}
    order = np.argsort(joined["session_id"], kind="stable")
    return {name: values[order] for name, values in joined.items()}


def _read_inputs(settings: Settings, session_ids: Integers) -> Frame:
    """Keys and raw inputs of the sessions whose student and topic exist."""
    schema = settings.source_schema

    def read(source: Connection) -> tuple[Frame, Frame, Frame]:
        sessions = read_session_keys(source, schema, session_ids)
        students, topics = (np.unique(sessions[name].astype(np.int64)) for name in ("student_id", "topic_id"))
        return (
            sessions,
            read_students(source, schema, {}, _STUDENT, ids=students),
            read_topics(source, schema, {}, _TOPIC, ids=topics),
        )

    sessions, students, topics = read_source(settings, read)
    student, has_student = positions(sessions["student_id"], students["id"])
    topic, has_topic = positions(sessions["topic_id"], topics["id"])
    both = has_student & has_topic
    columns = {name: values[both] for name, values in sessions.columns.items()}
    for table, rows in ((students, student[both]), (topics, topic[both])):
        columns |= {name: values[rows] for name, values in table.columns.items() if name != "id"}
    return Frame(columns, {})


def _new(settings: Settings, connection: Connection, outcomes: Columns) -> _New:
    """Join the outcomes with what is known of their sessions; those of unknown sessions are left out."""
    sessions = _sessions(settings, connection, outcomes)
    place, usable = positions(outcomes["session_id"], sessions["session_id"])
    place = place[usable]
    inputs = np.column_stack([sessions[name][place].astype(np.float64) for name in _INPUT_COLUMNS])
    observations = Observations(
        session_id=outcomes["session_id"][usable].astype(np.int64),
        **{name: sessions[name][place].astype(np.int64) for name in _KEYS},
        night=outcomes["as_of"][usable].astype(np.int64),
        ratio=log_ratio(outcomes["hours"][usable].astype(np.float64), inputs),
        expected=np.zeros(len(inputs)),
    )
    standing = Standing(
        sessions["known"][place].astype(bool),
        sessions["ratio"][place].astype(np.float64),
        sessions["expected"][place].astype(np.float64),
        np.column_stack([sessions[name][place] for name in _POSITIONS]).astype(np.int64),
    )
    numbers = {name: outcomes[name][usable] for name in ("outcome_id", "revision")}
    return _New(observations, inputs, standing, numbers, int(outcomes["as_of"][-1]))


def _add(connection: Connection, new: _New, nights: list[Progress], *, through: int) -> None:
    sums = [(each.as_of, Expectation(each.matrix, each.vector)) for each in nights]
    newest = sums[0][1] if sums else Expectation.empty()
    before = sums[1][1] if len(sums) > 1 else Expectation.empty()
    advanced = advance(
        new.observations,
        new.inputs,
        new.standing,
        lambda kind, first, second: read_states(connection, kind, first, second)[0],
        start=newest,
        same_night=(sums[0][0], before) if sums else None,
    )
    observed = advanced.observations
    columns: Columns = {**new.numbers, "session_id": observed.session_id, "as_of": observed.night}
    columns |= {name: getattr(observed, name) for name in (*_KEYS, "ratio", "expected")}
    columns |= dict(zip(_INPUT_COLUMNS, new.inputs.T, strict=True))
    columns |= dict(zip(_POSITIONS, advanced.position.T, strict=True))
    write_observations(connection, columns)
    for kind, states in advanced.states.items():
        write_states(connection, kind, (states.first, states.second), states.night, states.state, states.stored)
    reached = advanced.expectations or [(new.night, newest)]
    write_progress(connection, [Progress(moment, through, each.matrix, each.vector) for moment, each in reached])
