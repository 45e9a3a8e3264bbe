"""Real errors to draw from: whole logs of sessions with what studyml predicts of them out of fold.

Predicted is by what a training with the default settings chooses, from what was known in the night before a session.
Folds keep a student's sessions together (a student's weeks, where students are few). In a log of one student, each of
its months stands for a student.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.frames import labelled_frame, read_tables
from benchmarks.quality.log import hours_of, with_history
from benchmarks.quality.ours import auto_recipes
from studyml.contract import MAXIMUM_HOURS
from studyml.frame import Frame
from studyml.simulation import Simulation, simulate
from studyml.steps.fit_portfolio import fit_portfolio

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

GUIDE = "guide"
REAL_LOGS = ("kaist", "toggl_student")
#: How a change is made. Either way its size is that of the MAE over the whole log.
ERRORS_GROW, SESSIONS_GROW = "errors grow", "sessions grow"
SHORTEST = 0.01

_GUIDES = Simulation(sessions=3000, students=60, days=90, seed=1)
_END = datetime(2026, 1, 1, tzinfo=UTC)
_SEED = 1
_MONTH_MICROSECONDS = 28 * 86_400_000_000


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
    frame = with_history(frame)
    order = np.lexsort((frame["session_date"], frame["student_id"]))
    actual, predicted = hours_of(frame)[order], _out_of_fold(frame)[order]
    student = frame["student_id"].astype(np.int64)[order]
    if len(np.unique(student)) == 1:
        student = frame["session_date"].astype(np.int64)[order] // _MONTH_MICROSECONDS
    _, first, count = np.unique(student, return_index=True, return_counts=True)
    longer = np.concatenate([_longer(predicted, start, size) for start, size in zip(first, count, strict=True)])
    return ErrorPool(name, actual, predicted, first.astype(np.int64), count.astype(np.int64), longer)


def _out_of_fold(frame: Frame) -> Floats:
    """Hours [n], of rows with their history, oldest first."""
    chosen, _ = fit_portfolio(frame, auto_recipes(_SEED))
    if chosen.fitted is None:
        raise AssertionError("the chosen entry of a portfolio is trained")
    return chosen.fitted.out_of_fold


def _longer(predicted: Floats, start: int, size: int) -> Integers:
    """Rows of the longer half of the sessions from ``start`` on, in the order of time, over and over: [size]."""
    of_student = predicted[start : start + size]
    rows = start + np.flatnonzero(of_student >= np.median(of_student))
    return np.resize(rows, size).astype(np.int64)
