"""The guide's data process: students, topics and sessions as its project generates them (facts.md).

    actual = base x focus/60 x (1 + 0.1 (difficulty - 5)) x U(0.7, 1.3) x U(0.8, 1.4), rounded to 0.01 h

where the planned duration is all but the last factor. The other columns are independent noise, except
``breaks_taken``, which is counted during the session and so knows its length.
"""

import csv
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

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

Rows = list[dict[str, object]]


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
        for name in ("sessions", "students", "days"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} must be at least 1.")
        if self.seed < 0:
            raise InputError("--seed must not be negative.")
        if not 0 < self.shift <= 100:
            raise InputError("--shift must be above 0 and at most 100, such as 1.4 for 40 % longer sessions.")
        if self.shift != 1 and self.shift_day is None:
            raise InputError("--shift needs --shift-day, the day from 0 on which it starts.")


def simulate(plan: Simulation, end: datetime) -> dict[str, Rows]:
    """The rows of the three import files: labelled sessions up to ``end``, planned ones in the week after."""
    random = np.random.default_rng(plan.seed)
    students = _students(random, plan.students)
    topics = _topics(random)
    planned = max(1, round(plan.sessions * PLANNED_DAYS / plan.days))
    sessions = _sessions(random, plan, students, topics, end, planned)
    return {"students": students, "topics": topics, "study_sessions": sessions}


def _students(random: np.random.Generator, count: int) -> Rows:
    return [
        {
            "student_id": number,
            "age": int(random.integers(18, 36)),
            "education_level": str(random.choice(EDUCATION_LEVELS)),
            "learning_style": str(random.choice(LEARNING_STYLES)),
            "avg_focus_duration": int(random.integers(30, 121)),
        }
        for number in range(1, count + 1)
    ]


def _topics(random: np.random.Generator) -> Rows:
    return [
        {
            "topic_id": number,
            "name": f"{subject} {number}",
            "subject": subject,
            "difficulty_level": int(random.integers(3, 10)),
            "estimated_base_time": round(float(random.uniform(2, 5)), 2),
            "prerequisites_count": int(random.integers(0, 6)),
            "content_type": str(random.choice(CONTENT_TYPES)),
        }
        for number, subject in enumerate((s for s in SUBJECTS for _ in range(TOPICS_PER_SUBJECT)), start=1)
    ]


def _sessions(
    random: np.random.Generator, plan: Simulation, students: Rows, topics: Rows, end: datetime, planned: int
) -> Rows:
    count = plan.sessions + planned
    day = np.concatenate(
        [
            np.sort(random.integers(0, plan.days, plan.sessions)),
            np.sort(random.integers(0, PLANNED_DAYS, planned)) + plan.days,
        ]
    )
    student, topic = random.integers(0, len(students), count), random.integers(0, len(topics), count)
    focus, base = _take(students, "avg_focus_duration", student), _take(topics, "estimated_base_time", topic)
    difficulty = _take(topics, "difficulty_level", topic)
    intended = base * focus / 60 * (1 + 0.1 * (difficulty - 5)) * random.uniform(0.7, 1.3, count)
    actual = intended * random.uniform(0.8, 1.4, count)
    if plan.shift_day is not None:
        actual = np.where(day >= plan.shift_day, actual * plan.shift, actual)
    actual = np.clip(np.round(actual, 2), 0.01, MAXIMUM_HOURS)
    breaks = np.floor(random.uniform(0, 1, count) * (np.maximum(1, (2 * actual).astype(int)) + 1)).astype(int)
    levels = {name: random.choice(values, count) for name, values in _CHOICES.items()}
    energy, distraction = random.integers(1, 6, count), random.integers(1, 6, count)
    minute = random.integers(0, 60, count)
    start = end - timedelta(days=plan.days)
    return [
        {
            "session_id": row + 1,
            "student_id": int(student[row]) + 1,
            "topic_id": int(topic[row]) + 1,
            "session_date": (
                start
                + timedelta(
                    days=int(day[row]), hours=TIMES_OF_DAY[levels["time_of_day"][row]], minutes=int(minute[row])
                )
            ).isoformat(),
            "actual_duration": f"{actual[row]:.2f}" if row < plan.sessions else "",
            "time_of_day": levels["time_of_day"][row],
            "study_method": levels["study_method"][row],
            "environment": levels["environment"][row],
            "energy_level": int(energy[row]),
            "distraction_level": int(distraction[row]),
            "breaks_taken": int(breaks[row]) if row < plan.sessions else "",
            "planned_duration": f"{min(intended[row], MAXIMUM_HOURS):.2f}",
        }
        for row in range(count)
    ]


_CHOICES = {"time_of_day": tuple(TIMES_OF_DAY), "study_method": STUDY_METHODS, "environment": ENVIRONMENTS}


def _take(rows: Rows, name: str, positions: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.array([float(str(row[name])) for row in rows])[positions]


def write_csv(rows: dict[str, Rows], directory: Path) -> None:
    """Write the three import files; raises InputError where the folder cannot be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for table in TABLES:
            with (directory / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, fieldnames=list(rows[table][0]))
                writer.writeheader()
                writer.writerows(rows[table])
    except OSError as error:
        raise InputError(
            f"{directory} cannot be written ({error.strerror}): choose another folder for --out."
        ) from None
