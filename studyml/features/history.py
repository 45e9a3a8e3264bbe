"""The history of a student, a subject and a topic, as features: what was observed before a session's own night.

Every observed outcome counts from a *night* on, the ``as_of`` that first saw it; so a history is a pure function of
the ledger of outcomes and of the sessions' features when they were observed, and belongs to no model version.

* An outcome is measured twice: its ratio log(actual / estimate), and its residual, the ratio less what a ridge
  regression had expected of it from all that stood on *earlier* nights (``history_expectation``).
* Both are summed for each student, student and subject, student and topic, and topic (``history_states``): over all
  (shrunk: sum / (count + 3)) and over the recent ones (half-life 10 observations). A corrected or removed outcome
  enters exactly, when it is observed.
* Night of an outcome: its ``observed_at``. A ledger's very first observation is a back-fill of old labels: there it is
  the first instant of the 24-hour grid through that ``observed_at`` at which the session had ended, as if the nights
  had been lived; else all these sessions would seem to have no past, and a network would learn to ignore it.
* Night of a training row: the newest one *before* its session began. It is the last night that could have scored it,
  and it cannot have seen the session's own label: a label is observed after its session.
* Night of a prediction: the newest one up to its ``as_of``, since labels are observed before a night is scored. A
  session that is scored in its own last night sees what training later says it saw. A replay follows the same rule.

The ``previous_*`` columns are the student's last observations themselves, for networks that read a sequence.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.features.history_expectation import Expectation, expect, log_inputs, log_ratio
from studyml.features.history_states import (
    COUNT,
    RECENT_RATIO,
    RECENT_RESIDUAL,
    RECENT_WEIGHT,
    SUM_RATIO,
    SUM_RESIDUAL,
    WIDTH,
    Observations,
    find_changes,
    fold,
    key_parts,
    number_keys,
)
from studyml.frame import Frame

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: The kinds of keys that have a history.
KINDS = ("student", "student_subject", "student_topic", "topic")
HISTORY_FEATURES = (
    "student_history_count",
    "student_history_ratio",
    "student_recent_ratio",
    "student_history_residual",
    "student_recent_residual",
    *(f"{kind}_{name}" for kind in KINDS[1:] for name in ("history_count", "history_residual", "recent_residual")),
)
#: How many earlier observations of the student a sequence holds.
SEQUENCE_LENGTH = 10
SEQUENCE_FEATURES = tuple(
    f"previous_{step}_{name}" for step in range(1, SEQUENCE_LENGTH + 1) for name in ("ratio", "residual")
)
#: Distance of two nights, and of the grid that a log without nights is laid on, microseconds.
DAY = 24 * 3600 * 1_000_000
#: A mean is shrunk to zero as if this many observations of nothing unusual stood beside it.
_SHRINKAGE = 3
#: A recent weight below this is what rounding left of removed outcomes.
_NO_WEIGHT = 1e-9
#: The key of a topic without a subject.
NO_SUBJECT = 0


def subject_key(subject: str) -> int:
    """A number for a subject that is the same everywhere, without a vocabulary: from the SHA-256 of its text.

    >>> subject_key(""), subject_key("Mathematics")
    (0, -3622462264937612474)
    """
    if not subject:
        return NO_SUBJECT
    return int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], "big", signed=True)


def subject_keys(frame: Frame) -> Integers:
    """The key [n] of each row's ``subject``; a missing subject, and one outside the vocabulary, share one key."""
    keys = np.array([*(subject_key(level) for level in frame.vocabularies["subject"]), NO_SUBJECT], np.int64)
    codes = frame["subject"].astype(np.intp)
    return keys[np.where(codes < 0, len(keys) - 1, codes)]


def with_history(frame: Frame, observations: Observations, *, before: Integers, sequences: bool = False) -> Frame:
    """Add the HISTORY_FEATURES (float32) of what was observed in nights before a moment [rows] (microseconds).

    A row never sees the label of its own session, whatever its date became since. ``sequences`` adds the
    SEQUENCE_FEATURES. ``observations`` are all there ever were, in order: the states are folded from the first on.
    """
    before = np.minimum(before, _first_nights(observations, frame["id"].astype(np.int64)))
    nothing = np.zeros(len(observations))
    changes = find_changes(observations.session_id, observations.ratio, nothing > 0, nothing)
    residual = changes.residual(observations.expected)
    columns: dict[str, NDArray[np.generic]] = {}
    for kind in KINDS:
        (codes, wanted), (distinct, _) = number_keys(observations.keys(kind), frame_keys(frame, kind))
        start = np.zeros((len(distinct), WIDTH))
        timeline = fold(
            codes, observations.night, changes, residual, start=start, known_position=np.zeros(len(codes), np.int64)
        )
        columns |= state_columns(kind, timeline.before(wanted, before))
        if kind == "student" and sequences:
            columns |= _sequence_columns(observations, codes, wanted, before)
    return frame.with_columns(**columns)


def frame_keys(frame: Frame, kind: str) -> tuple[Integers, Integers]:
    """The two parts of each row's key of a kind, from student_id, topic_id and subject_key."""
    student, topic, subject = (
        frame[name].astype(np.int64, copy=False) for name in ("student_id", "topic_id", "subject_key")
    )
    return key_parts(kind, student, topic, subject)


def _first_nights(observations: Observations, session_id: Integers) -> Integers:
    never = np.full(len(session_id), np.iinfo(np.int64).max)
    if len(observations) == 0:
        return never
    known, first = np.unique(observations.session_id, return_index=True)
    positions = np.minimum(np.searchsorted(known, session_id), len(known) - 1)
    return np.where(known[positions] == session_id, observations.night[first[positions]], never)


def state_columns(kind: str, states: Floats) -> dict[str, NDArray[np.generic]]:
    """The features of one kind, float32, from states [rows, 7]; zero where nothing stands."""
    count = states[:, COUNT]
    some = count > 0

    def shrunk(column: int) -> NDArray[np.float32]:
        return np.where(some, states[:, column] / (count + _SHRINKAGE), 0.0).astype(np.float32)

    def recent(column: int) -> NDArray[np.float32]:
        weighed = some & (states[:, RECENT_WEIGHT] > _NO_WEIGHT)
        return np.where(weighed, states[:, column] / np.where(weighed, states[:, RECENT_WEIGHT], 1.0), 0.0).astype(
            np.float32
        )

    found: dict[str, NDArray[np.generic]] = {
        f"{kind}_history_count": np.log1p(count).astype(np.float32),
        f"{kind}_history_residual": shrunk(SUM_RESIDUAL),
        f"{kind}_recent_residual": recent(RECENT_RESIDUAL),
    }
    if kind == "student":
        found |= {"student_history_ratio": shrunk(SUM_RATIO), "student_recent_ratio": recent(RECENT_RATIO)}
    return found


def sequence_columns(
    ratio: NDArray[np.floating[Any]], residual: NDArray[np.floating[Any]]
) -> dict[str, NDArray[np.generic]]:
    """The SEQUENCE_FEATURES, float32, from [rows, SEQUENCE_LENGTH] each, newest first, NaN where there is none."""
    return {
        f"previous_{step + 1}_{name}": values[:, step].astype(np.float32)
        for step in range(SEQUENCE_LENGTH)
        for name, values in (("ratio", ratio), ("residual", residual))
    }


def _sequence_columns(
    observations: Observations, codes: Integers, wanted: Integers, before: Integers
) -> dict[str, NDArray[np.generic]]:
    observed = np.flatnonzero(~np.isnan(observations.ratio))
    observed = observed[np.argsort(codes[observed], kind="stable")]
    nights, night = np.unique(observations.night[observed], return_inverse=True)
    width = len(nights) + 1
    order = codes[observed] * width + night
    begins = np.searchsorted(order, wanted * width)
    ends = np.searchsorted(order, wanted * width + np.searchsorted(nights, before))
    ratio: NDArray[np.floating[Any]] = np.full((len(wanted), SEQUENCE_LENGTH), np.nan, np.float32)
    residual = ratio.copy()
    for step in range(SEQUENCE_LENGTH):
        there = np.flatnonzero(ends - 1 - step >= begins)
        rows = observed[ends[there] - 1 - step]
        ratio[there, step] = observations.ratio[rows]
        residual[there, step] = observations.ratio[rows] - observations.expected[rows]
    return sequence_columns(ratio, residual)


def history_from_log(frame: Frame, known: Integers, *, sequences: bool = True) -> Frame:
    """Add the features that each row of a log would have had, had the nights been lived at 0:00 UTC.

    ``frame``: id, student_id, topic_id, subject_key (or ``subject``), session_date, the three inputs of the
    expectation and ``actual_duration`` (hours, NaN while unknown); ``known`` [rows]: when each label became known,
    microseconds since 2000. A label counts from the first night at or after that on.
    """
    if "subject_key" not in frame.columns:
        frame = frame.with_columns(subject_key=subject_keys(frame))
    inputs = log_inputs(frame.columns)
    hours = frame["actual_duration"].astype(np.float64)
    night = first_night(known, anchor=0)
    labelled = np.flatnonzero(~np.isnan(hours))
    order = labelled[np.lexsort((frame["id"][labelled], frame["session_date"][labelled], night[labelled]))]
    ratio = log_ratio(hours[order], inputs[order])
    expected, _ = expect(inputs[order], np.ones(len(order)), ratio, night[order], start=Expectation.empty())
    ids = {name: frame[name].astype(np.int64)[order] for name in ("student_id", "topic_id", "subject_key")}
    # Every label of a log is a session of its own, whatever its id.
    numbers = np.arange(len(frame))
    observations = Observations(numbers[order], **ids, night=night[order], ratio=ratio, expected=expected)
    numbered = frame.with_columns(id=numbers)
    dates = frame["session_date"].astype(np.int64)
    return with_history(numbered, observations, before=dates, sequences=sequences).with_columns(id=frame["id"])


def first_night(moments: Integers, *, anchor: int) -> Integers:
    """The first instant of the 24-hour grid through ``anchor`` at or after each moment, microseconds."""
    return anchor - (anchor - moments) // DAY * DAY
