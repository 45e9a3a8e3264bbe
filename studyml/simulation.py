"""The guide's data process: students, topics and sessions as its project generates them (facts.md).

    actual = base x focus/60 x (1 + 0.1 (difficulty - 5)) x U(0.7, 1.3) x U(0.8, 1.4), rounded to 0.01 h

where the planned duration is all but the last factor. The other columns are independent noise, except
``breaks_taken``, which is counted during the session and so knows its length.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.contract import MAXIMUM_HOURS, TABLES
from studyml.errors import InputError

SUBJECTS = ("Mathematics", "Physics", "Programming", "History", "Languages")
EDUCATION_LEVELS = ("high_school", "undergraduate", "graduate")
LEARNING_STYLES = ("visual", "auditory", "kinesthetic", "reading")
CONTENT_TYPES = ("text", "video", "interactive", "mixed")
TIMES_OF_DAY = {"morning": 9, "afternoon": 14, "evening": 19, "night": 23}
STUDY_METHODS = ("reading", "practice", "video", "discussion")
ENVIRONMENTS = ("home", "library", "cafe", "dormitory")
TOPICS_PER_SUBJECT = 5
PLANNED_DAYS = 7

#: Columns by their names in an import file; an empty text is a missing value.
Table = dict[str, NDArray[Any]]

_CHOICES = {"time_of_day": tuple(TIMES_OF_DAY), "study_method": STUDY_METHODS, "environment": ENVIRONMENTS}
_LONGEST_DAYS, _MOST_ROWS = 36_500, 100_000_000
_CHUNK_ROWS = 100_000


@dataclass(frozen=True)
class Simulation:
    """What to simulate; from day ``shift_day`` on every session takes ``shift`` times as long."""

    sessions: int = 600
    students: int = 30
    days: int = 90
    seed: int = 42
    shift: float = 1.0
    shift_day: int | None = None

    def __post_init__(self) -> None:
        """Raise InputError naming the option that cannot be used."""
        for name, most in (("sessions", _MOST_ROWS), ("students", _MOST_ROWS), ("days", _LONGEST_DAYS)):
            if not 1 <= getattr(self, name) <= most:
                raise InputError(f"--{name} must be from 1 to {most}.")
        if self.seed < 0:
            raise InputError("--seed must not be negative.")
        if not 0 < self.shift <= 100:
            raise InputError("--shift must be above 0 and at most 100, such as 1.4 for 40 % longer sessions.")
        if self.shift != 1 and self.shift_day is None:
            raise InputError("--shift needs --shift-day, the day from 0 on which it starts.")
        if self.shift_day is not None and self.shift_day < 0:
            raise InputError("--shift-day must not be negative: day 0 is the first.")


def simulate(plan: Simulation, end: datetime) -> dict[str, Table]:
    """The three import files: labelled sessions up to ``end``, planned ones in the week after."""
    random = np.random.default_rng(plan.seed)
    students = _students(random, plan.students)
    topics = _topics(random)
    return {"students": students, "topics": topics, "study_sessions": _sessions(random, plan, students, topics, end)}


def _students(random: np.random.Generator, count: int) -> Table:
    rows = [
        (
            random.integers(18, 36),
            random.choice(EDUCATION_LEVELS),
            random.choice(LEARNING_STYLES),
            random.integers(30, 121),
        )
        for _ in range(count)
    ]
    names = ("age", "education_level", "learning_style", "avg_focus_duration")
    return {"student_id": np.arange(1, count + 1)} | {
        name: np.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }


def _topics(random: np.random.Generator) -> Table:
    rows = [
        (
            f"{subject} {number}",
            subject,
            random.integers(3, 10),
            round(float(random.uniform(2, 5)), 2),
            random.integers(0, 6),
            random.choice(CONTENT_TYPES),
        )
        for number, subject in enumerate((s for s in SUBJECTS for _ in range(TOPICS_PER_SUBJECT)), start=1)
    ]
    names = ("name", "subject", "difficulty_level", "estimated_base_time", "prerequisites_count", "content_type")
    return {"topic_id": np.arange(1, len(rows) + 1)} | {
        name: np.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }


def _sessions(random: np.random.Generator, plan: Simulation, students: Table, topics: Table, end: datetime) -> Table:
    planned = max(1, round(plan.sessions * PLANNED_DAYS / plan.days))
    count = plan.sessions + planned
    day = np.concatenate(
        [
            np.sort(random.integers(0, plan.days, plan.sessions)),
            np.sort(random.integers(0, PLANNED_DAYS, planned)) + plan.days,
        ]
    )
    student = random.integers(0, plan.students, count)
    topic = random.integers(0, len(topics["topic_id"]), count)
    base, difficulty = topics["estimated_base_time"][topic], topics["difficulty_level"][topic]
    intended = base * students["avg_focus_duration"][student] / 60 * (1 + 0.1 * (difficulty - 5))
    intended = intended * random.uniform(0.7, 1.3, count)
    actual = intended * random.uniform(0.8, 1.4, count)
    if plan.shift_day is not None:
        actual = np.where(day >= plan.shift_day, actual * plan.shift, actual)
    actual = np.clip(np.round(actual, 2), 0.01, MAXIMUM_HOURS)
    breaks = np.floor(random.uniform(0, 1, count) * (np.maximum(1, (2 * actual).astype(int)) + 1)).astype(int)
    levels = {name: random.choice(values, count) for name, values in _CHOICES.items()}
    energy, distraction = random.integers(1, 6, count), random.integers(1, 6, count)
    return {
        "session_id": np.arange(1, count + 1),
        "student_id": student + 1,
        "topic_id": topic + 1,
        "session_date": _starts(end - timedelta(days=plan.days), day, levels["time_of_day"], random),
        "actual_duration": _known_until(plan.sessions, actual),
        **levels,
        "energy_level": energy,
        "distraction_level": distraction,
        "breaks_taken": _known_until(plan.sessions, breaks),
        "planned_duration": np.round(np.minimum(intended, MAXIMUM_HOURS), 2),
    }


def _starts(
    first: datetime, day: NDArray[np.int64], time_of_day: NDArray[np.str_], random: np.random.Generator
) -> NDArray[np.datetime64]:
    hours = np.zeros(len(day), np.int64)
    for word, hour in TIMES_OF_DAY.items():
        hours[time_of_day == word] = hour
    minutes = (day * 24 + hours) * 60 + random.integers(0, 60, len(day))
    return np.datetime64(first.astimezone(UTC).replace(tzinfo=None), "s") + minutes.astype("timedelta64[m]")


def _known_until(row: int, values: NDArray[Any]) -> NDArray[np.object_]:
    known = values.astype(object)
    known[row:] = ""
    return known


def write_csv(tables: Mapping[str, Table], directory: Path) -> None:
    """Write the three import files; raises InputError where the folder cannot be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for table in TABLES:
            with (directory / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(tables[table])
                columns = list(tables[table].values())
                for at in range(0, len(columns[0]), _CHUNK_ROWS):
                    writer.writerows(zip(*(_plain(each[at : at + _CHUNK_ROWS]) for each in columns), strict=True))
    except OSError as error:
        raise InputError(
            f"{directory} cannot be written ({error.strerror}): choose another folder for --out."
        ) from None


def _plain(values: NDArray[Any]) -> list[Any]:
    if values.dtype.kind == "M":
        values = np.datetime_as_string(values, unit="s", timezone="UTC")
    plain: list[Any] = values.tolist()
    return plain
