"""Study logs for tests: the three CSV files of an import, right by default, wrong where a test says so."""

import csv
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2

Row = Mapping[str, object]


def student(number: int = 1, **changes: object) -> dict[str, object]:
    """A student of an import file."""
    row = {"student_id": number, "age": 21, "education_level": "undergraduate", "learning_style": "visual"}
    return row | {"avg_focus_duration": 45} | changes


def topic(number: int = 1, **changes: object) -> dict[str, object]:
    """A topic of an import file."""
    row = {"topic_id": number, "name": f"Algebra {number}", "subject": "Mathematics", "difficulty_level": 5}
    return row | {"estimated_base_time": 2.5, "prerequisites_count": 1, "content_type": "video"} | changes


def session(number: int = 1, **changes: object) -> dict[str, object]:
    """A labelled session of an import file."""
    row = {"session_id": number, "student_id": 1, "topic_id": 1, "session_date": "2026-02-01T09:30:00+00:00"}
    row |= {"actual_duration": 1.5, "time_of_day": "morning", "study_method": "reading", "environment": "home"}
    return row | {"energy_level": 3, "distraction_level": 2, "breaks_taken": 1} | changes


def write_logs(
    folder: Path,
    *,
    students: Iterable[Row] = (student(),),
    topics: Iterable[Row] = (topic(),),
    sessions: Iterable[Row] = (session(),),
) -> Path:
    """Write the three files and return their folder; a table without rows gets its header only."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows, example in (
        ("students", list(students), student()),
        ("topics", list(topics), topic()),
        ("study_sessions", list(sessions), session()),
    ):
        headers = list(dict.fromkeys(key for row in rows or [example] for key in row))
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, headers, restval="")
            writer.writeheader()
            writer.writerows(rows)
    return folder


def ask(url: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows of a query, in a transaction of its own."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query, parameters or None)
        rows = cursor.fetchall() if cursor.description else []
        connection.commit()
    return rows
