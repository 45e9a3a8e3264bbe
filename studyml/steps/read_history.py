"""The stored histories as features: as of each session's own night for training, as of one night for scoring."""

from collections.abc import Collection
from datetime import datetime

import numpy as np

from studyml.database.connection import Connection
from studyml.database.history import read_last_observations, read_observations, read_states
from studyml.features.history import (
    HISTORY_FEATURES,
    KINDS,
    SEQUENCE_FEATURES,
    SEQUENCE_LENGTH,
    frame_keys,
    sequence_columns,
    state_columns,
    with_history,
)
from studyml.features.history_states import Observations, number_keys
from studyml.frame import Frame, to_microseconds


def with_training_history(
    connection: Connection, frame: Frame, *, through_outcome_id: int, sequences: bool = False
) -> Frame:
    """Add to each session what was known in the newest night before it, of the outcomes up to one."""
    observations = _observations(connection, through_outcome_id=through_outcome_id)
    return with_history(frame, observations, before=frame["session_date"].astype(np.int64), sequences=sequences)


def with_history_at(connection: Connection, frame: Frame, *, as_of: datetime, features: Collection[str]) -> Frame:
    """Add what was known at ``as_of``, where any of the model's ``features`` are of a history.

    The stored states are those of the newest night: where one has changed since ``as_of``, this is a replay, and
    the states of that time are folded from the observations.
    """
    sequences = not set(SEQUENCE_FEATURES).isdisjoint(features)
    if len(frame) == 0 or not (sequences or not set(HISTORY_FEATURES).isdisjoint(features)):
        return frame
    for kind in KINDS:
        (codes,), (first, second) = number_keys(frame_keys(frame, kind))
        states, nights = read_states(connection, kind, first, second)
        if (nights > to_microseconds(as_of)).any():
            after = np.full(len(frame), to_microseconds(as_of) + 1)
            return with_history(frame, _observations(connection, as_of=as_of), before=after, sequences=sequences)
        frame = frame.with_columns(**state_columns(kind, states[codes]))
    if sequences:
        students, rows = np.unique(frame["student_id"], return_inverse=True)
        ratio, residual = read_last_observations(
            connection, students.astype(np.int64), as_of=as_of, length=SEQUENCE_LENGTH
        )
        frame = frame.with_columns(**sequence_columns(ratio[rows], residual[rows]))
    return frame


def _observations(
    connection: Connection, *, through_outcome_id: int | None = None, as_of: datetime | None = None
) -> Observations:
    read = read_observations(connection, through_outcome_id=through_outcome_id, as_of=as_of)
    integers = {
        name: read[name].astype(np.int64, copy=False)
        for name in ("session_id", "student_id", "topic_id", "subject_key")
    }
    return Observations(
        **integers,
        night=read["as_of"].astype(np.int64, copy=False),
        ratio=read["ratio"].astype(np.float64, copy=False),
        expected=read["expected"].astype(np.float64, copy=False),
    )
