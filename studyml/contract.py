"""The data contract: each source column with its type, unit, hard bounds and documented range.

A value outside the *hard* bounds is impossible: import and training quarantine its row, scoring treats a
feature as missing and says so. A value outside the *documented* range is unusual: it is used, counted and
reported. Bounds come from design section 3 and the guide.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Kind = Literal["id", "integer", "number", "category", "time"]
#: Which hard bound a value breaks: it is not finite, not above the lower one, or more than the upper one.
Bound = Literal["finite", "above", "at_most"]


@dataclass(frozen=True)
class Column:
    """One source column.

    ``above`` is an exclusive lower bound and ``at_most`` an inclusive upper one; ``usual`` is the documented
    range, both ends included. ``csv`` is the name in an import file where it differs from the table's.
    """

    name: str
    kind: Kind
    unit: str = ""
    required: bool = False
    above: float | None = None
    at_most: float | None = None
    usual: tuple[float, float] | None = None
    csv: str | None = None
    personal: bool = False

    @property
    def header(self) -> str:
        """The column's name in an import file."""
        return self.csv or self.name


STUDENTS = (
    Column("id", "id", required=True, csv="student_id"),
    Column("age", "number", "years", usual=(18, 35)),
    Column("education_level", "category"),
    Column("learning_style", "category"),
    Column("avg_focus_duration", "number", "minutes", above=0, usual=(5, 240)),
)
TOPICS = (
    Column("id", "id", required=True, csv="topic_id"),
    Column("name", "category"),
    Column("subject", "category"),
    Column("difficulty_level", "number", "1-10", usual=(1, 10)),
    Column("estimated_base_time", "number", "hours", above=0, usual=(0.05, 24)),
    Column("prerequisites_count", "number", "count", usual=(0, 50)),
    Column("content_type", "category"),
)
STUDY_SESSIONS = (
    Column("id", "id", required=True, csv="session_id"),
    Column("student_id", "id", required=True),
    Column("topic_id", "id", required=True),
    Column("session_date", "time", required=True),
    Column("actual_duration", "number", "hours", above=0, at_most=24, usual=(0.05, 12)),
    Column("time_of_day", "category"),
    Column("study_method", "category"),
    Column("environment", "category"),
    Column("energy_level", "number", "1-5", usual=(1, 5)),
    Column("distraction_level", "number", "1-5", usual=(1, 5)),
    Column("breaks_taken", "number", "count", usual=(0, 50)),
)
# In the source tables and allowed in an import, but neither required there nor features.
OPTIONAL = {
    "students": (
        Column("name", "category", personal=True),
        Column("email", "category", personal=True),
        Column("created_at", "time"),
    ),
    "topics": (),
    "study_sessions": (
        Column("planned_duration", "number", "hours"),
        Column("comprehension_score", "number"),
        Column("completion_percentage", "number", "percent"),
        Column("satisfaction_rating", "number"),
    ),
}
TABLES: dict[str, tuple[Column, ...]] = {"students": STUDENTS, "topics": TOPICS, "study_sessions": STUDY_SESSIONS}

#: A time outside [EARLIEST, LATEST) is impossible; PostgreSQL knows more (infinity, 4713 BC) than days can be added to.
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
#: A label dated further than this after the wall clock at entry is impossible, hours.
LABEL_FUTURE_HOURS = 24
#: The guide's project never predicts less, and a session is never longer than the contract allows, hours.
MINIMUM_HOURS, MAXIMUM_HOURS = 0.1, 24.0


def column(table: str, name: str) -> Column:
    """The column of a table; KeyError for one that is not in the contract."""
    return {each.name: each for each in TABLES[table]}[name]


def reason_words(spec: Column, bound: Bound) -> tuple[str, ...]:
    """The reason for which a value is impossible, in pieces between which the value stands, if it is shown."""
    unit = f" {spec.unit}" if spec.unit else ""
    if bound == "finite":
        return (f"{spec.name} is not a finite number",)
    if bound == "above":
        return f"{spec.name} is ", f"{unit}, not above {spec.above:g}"
    return f"{spec.name} is ", f"{unit}, more than {spec.at_most:g}"


def impossible_reason(spec: Column, value: float) -> str:
    """Why a value is impossible, in words that a person who sees only this line understands.

    >>> impossible_reason(column("study_sessions", "actual_duration"), 24.5)
    'actual_duration is 24.5 hours, more than 24'
    """
    bound: Bound = "at_most"
    if not math.isfinite(value):
        bound = "finite"
    elif spec.above is not None and value <= spec.above:
        bound = "above"
    return repr(float(value)).removesuffix(".0").join(reason_words(spec, bound))
