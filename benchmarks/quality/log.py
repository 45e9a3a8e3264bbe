"""A log to learn from and what came after it, from a data process or from a folder of real study logs.

A process is simulated on ``TRAINING_DAYS`` days with 20 sessions per student, unless it says otherwise, as the
guide's project does: 30 students at 600 sessions, 100 at 2,000, 500 at 10,000. The test rows are dated in the
``TEST_DAYS`` days after it, at the same rate. To have at least ``TEST_ROWS`` of them, however short the log, several
such futures of the same students and topics are drawn; each one's history follows the training log and itself only.

Every row has its history as it stood on its own night, training and test rows alike: a label is known when its
session is over, and nights are lived daily.
"""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.frames import LABEL, concatenate, labelled_frame, read_tables
from benchmarks.quality.processes import PROCESSES, Process, Rows
from studyml.contract import MAXIMUM_HOURS
from studyml.features.history import history_from_log
from studyml.frame import Frame, to_microseconds
from studyml.simulation import TIMES_OF_DAY, Simulation, Table, simulate

START = datetime(2026, 1, 1, tzinfo=UTC)
TRAINING_DAYS, TEST_DAYS, TEST_ROWS = 90, 30, 2000
REAL_TRAINING_SHARE = 0.7
#: Shortest session of the simulation, hours.
SHORTEST = 0.01
#: The column of the best possible point prediction for the absolute error, hours; never shown to a predictor.
BEST = "best_hours"
_HOUR = 3_600_000_000


@dataclass(frozen=True)
class Log:
    """Labelled rows, oldest first, and one or more futures of the same students and topics.

    ``has_best``: the frames hold the best possible prediction as ``best_hours``; real logs do not.
    """

    training: Frame
    futures: tuple[Frame, ...]
    has_best: bool

    @property
    def test(self) -> Frame:
        """The rows of all futures."""
        return concatenate(self.futures)


def hours_of(frame: Frame) -> NDArray[np.float64]:
    """The labels, hours [rows]."""
    return frame[LABEL].astype(np.float64)


def real_log(folder: Path) -> Log:
    """A folder of import files, the oldest 70 % to learn from and the rest to be judged on."""
    frame = labelled_frame(read_tables(folder))
    newer = np.arange(len(frame)) >= int(REAL_TRAINING_SHARE * len(frame))
    return _log(frame.take(~newer), [frame.take(newer)], has_best=False)


def simulated_log(process: str, sessions: int, seed: int) -> Log:
    """A log of a process (a key of PROCESSES) with so many training rows; the same arguments give the same log."""
    kind = PROCESSES[process]
    future_rows = round(sessions * TEST_DAYS / TRAINING_DAYS)
    futures = math.ceil(TEST_ROWS / future_rows)
    block = np.repeat(np.arange(futures + 1), [sessions, *[future_rows] * futures])
    students = max(2, round(sessions / kind.sessions_per_student))
    random = np.random.default_rng([seed, sessions, zlib.crc32(process.encode())])
    tables = simulate(Simulation(sessions=len(block), students=students, days=len(block), seed=seed), START)
    tables["study_sessions"] = {name: values[: len(block)] for name, values in tables["study_sessions"].items()}
    day = np.where(block == 0, random.integers(0, TRAINING_DAYS, len(block)), TRAINING_DAYS)
    day += np.where(block == 0, 0, random.integers(0, TEST_DAYS, len(block)))
    sessions_table = tables["study_sessions"]
    sessions_table["session_date"] = _starts(random, day, sessions_table["time_of_day"])
    frame = _with_durations(tables, kind, random)
    block = block[frame["id"].astype(np.int64) - 1]
    return _log(frame.take(block == 0), [frame.take(block == each + 1) for each in range(futures)], has_best=True)


def _log(training: Frame, futures: Sequence[Frame], *, has_best: bool) -> Log:
    """The log with the history of every row."""
    lived = [with_history(concatenate([training, future])) for future in futures]
    count = len(training)
    # A row's history is older than the row: the training rows are the same in each.
    after = tuple(frame.take(np.arange(count, len(frame))) for frame in lived)
    return Log(lived[0].take(np.arange(count)), after, has_best)


def with_history(frame: Frame) -> Frame:
    """Labelled rows, oldest first, each with the history that was known in the night before its own day."""
    ended = frame["session_date"].astype(np.int64) + (hours_of(frame) * _HOUR).astype(np.int64)
    return history_from_log(frame, ended)


def _starts(
    random: np.random.Generator, day: NDArray[np.int64], time_of_day: NDArray[np.generic]
) -> NDArray[np.datetime64]:
    hour = np.array([TIMES_OF_DAY[str(word)] for word in time_of_day])
    minutes = (day * 24 + hour) * 60 + random.integers(0, 60, len(day))
    return np.full(len(day), np.datetime64(START.replace(tzinfo=None), "s")) + minutes.astype("timedelta64[m]")


def _with_durations(tables: Mapping[str, Table], kind: Process, random: np.random.Generator) -> Frame:
    """The labelled frame with the process's durations in place of the simulation's own, and its gaps."""
    complete = labelled_frame(tables)
    rows = Rows(complete, (complete["session_date"].astype(np.int64) - to_microseconds(START)) / 86_400e6)
    durations = kind.durations(random, rows)
    actual = np.clip(np.round(durations.actual, 2), SHORTEST, MAXIMUM_HOURS)
    best = np.clip(durations.best, SHORTEST, MAXIMUM_HOURS)
    frame = labelled_frame(_with_gaps(tables, random, kind.gaps)) if kind.gaps else complete
    return frame.with_columns(**{LABEL: actual, BEST: best})


def _with_gaps(tables: Mapping[str, Table], random: np.random.Generator, share: float) -> dict[str, Table]:
    """The tables with this share of every feature NULL: of students, of topics, of sessions."""
    keys = {"student_id", "topic_id", "session_id", "session_date", LABEL}
    return {
        table: {
            name: values if name in keys else np.where(random.random(len(values)) < share, "", values.astype(object))
            for name, values in columns.items()
        }
        for table, columns in tables.items()
    }
