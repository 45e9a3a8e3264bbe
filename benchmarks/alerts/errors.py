"""Real errors to draw from: whole logs of sessions with what was predicted of them out of fold.

The model is a regression of the logarithm of the hours on what is known before a session, with a ridge penalty, moved
to the median residual: an honest stand-in for the network, in milliseconds. Folds keep a student's sessions together
(a student's weeks, where students are few), as training does. In a log of one student, each of its months stands for a
student.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.frames import LABEL, labelled_frame, read_tables
from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS
from studyml.evaluation.folds import grouped_folds
from studyml.frame import Frame
from studyml.simulation import Simulation, simulate

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

GUIDE = "guide"
REAL_LOGS = ("kaist", "toggl_student")
#: How a change is made. Either way its size is that of the MAE over the whole log.
ERRORS_GROW, SESSIONS_GROW = "errors grow", "sessions grow"
SHORTEST = 0.01

_GUIDES = Simulation(sessions=3000, students=60, days=90, seed=1)
_END = datetime(2026, 1, 1, tzinfo=UTC)
_FOLDS, _PENALTY, _SMALLEST_LEVEL = 5, 3.0, 20
_MONTH_MICROSECONDS = 28 * 86_400_000_000
_NUMBERS = ("estimated_base_time", "avg_focus_duration", "difficulty_level")
_CATEGORIES = ("subject", "time_of_day")


@dataclass(frozen=True)
class ErrorPool:
    """Sessions [n] of a log, each student's together and in the order of time; hours.

    ``first`` and ``count`` hold where each student's sessions start, and how many there are. ``longer`` holds at a
    student's k-th place the row of the k-th of the longer half of that student's sessions, from the start again
    where these end.
    """

    name: str
    actual: Floats
    predicted: Floats
    first: Integers
    count: Integers
    longer: Integers

    @property
    def student(self) -> Integers:
        """The number of each session's student [n], from 0."""
        return np.repeat(np.arange(len(self.count)), self.count)

    @property
    def mae(self) -> float:
        """The mean absolute error, hours: what a baseline without error would be."""
        return float(np.abs(self.actual - self.predicted).mean())


def guides_errors() -> ErrorPool:
    """3,000 sessions of 60 students of the guide's process."""
    return _pool(GUIDE, labelled_frame(simulate(_GUIDES, _END)))


def real_errors(folder: Path) -> ErrorPool:
    """All sessions of a folder of import files."""
    return _pool(folder.name, labelled_frame(read_tables(folder)))


def changed(pool: ErrorPool, kind: str, by: float) -> Floats:
    """The actual hours [n] after a change that raises the MAE by the share ``by`` (0.5: half as much again).

    Either every duration is multiplied by one factor, or the ratio of each to its prediction is raised to one power:
    twice as long becomes three times, half as long a third, and no duration becomes negative. The factor is the one
    that gives this MAE once the durations are cut to what the data contract allows.
    """

    def after(factor: float) -> Floats:
        grown = pool.actual * factor
        if kind == ERRORS_GROW:
            grown = pool.predicted * (pool.actual / pool.predicted) ** factor
        return np.clip(grown, SHORTEST, MAXIMUM_HOURS)

    low, high = 1.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        reached = np.abs(after(middle) - pool.predicted).mean() >= (1 + by) * pool.mae
        low, high = (low, middle) if reached else (middle, high)
    return after(high)


def _pool(name: str, frame: Frame) -> ErrorPool:
    frame = frame.take(np.lexsort((frame["session_date"], frame["student_id"])))
    student = frame["student_id"].astype(np.int64)
    if len(np.unique(student)) == 1:
        student = frame["session_date"].astype(np.int64) // _MONTH_MICROSECONDS
    _, first, count = np.unique(student, return_index=True, return_counts=True)
    actual = frame[LABEL].astype(np.float64)
    predicted = _out_of_fold(frame, np.log(actual))
    longer = np.concatenate([_longer(predicted, start, size) for start, size in zip(first, count, strict=True)])
    return ErrorPool(name, actual, predicted, first.astype(np.int64), count.astype(np.int64), longer)


def _longer(predicted: Floats, start: int, size: int) -> Integers:
    """Rows of the longer half of the sessions from ``start`` on, in the order of time, over and over: [size]."""
    of_student = predicted[start : start + size]
    rows = start + np.flatnonzero(of_student >= np.median(of_student))
    return np.resize(rows, size).astype(np.int64)


def _out_of_fold(frame: Frame, log_hours: Floats) -> Floats:
    inputs = _inputs(frame)
    student, date = frame["student_id"].astype(np.int64), frame["session_date"].astype(np.int64)
    fold = grouped_folds(student, date, folds=_FOLDS, seed=1)
    penalty = np.diag([0.0, *[_PENALTY] * (inputs.shape[1] - 1)])
    predicted = np.empty(len(log_hours))
    for each in range(_FOLDS):
        known, held = fold != each, fold == each
        weights = np.linalg.solve(inputs[known].T @ inputs[known] + penalty, inputs[known].T @ log_hours[known])
        middle = np.median(log_hours[known] - inputs[known] @ weights)
        predicted[held] = inputs[held] @ weights + middle
    return np.clip(np.exp(predicted), MINIMUM_HOURS, MAXIMUM_HOURS)


def _inputs(frame: Frame) -> Floats:
    """A column of ones, standardised numbers, and a column for each level that is not rare: [n, columns]."""
    columns = [np.ones(len(frame))]
    for name in _NUMBERS:
        values = frame[name].astype(np.float64)
        if np.isnan(values).all():
            continue
        values = np.log(np.where(np.isnan(values), np.nanmedian(values), values))
        columns.append((values - values.mean()) / (values.std() or 1.0))
    for name in _CATEGORIES:
        levels, count = np.unique(frame[name], return_counts=True)
        common = levels[(count >= _SMALLEST_LEVEL) & (count <= len(frame) - _SMALLEST_LEVEL)]
        columns += [(frame[name] == level).astype(np.float64) for level in common]
    return np.column_stack(columns)
