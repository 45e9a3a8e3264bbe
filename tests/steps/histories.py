"""Histories for tests: a small study app, nights lived over it, and what the histories' tables hold then."""

from datetime import timedelta
from pathlib import Path

from studyml.settings import Settings
from studyml.steps.load import load
from studyml.steps.observe import observe
from studyml.steps.opening import own_database
from studyml.steps.update_history import update_history
from tests.conftest import END, NOW, silent
from tests.logs import ask, session, student, topic, write_logs

DAY = timedelta(days=1)
FIRST = END - 30 * DAY
TABLES = "studyml.history_observations, studyml.history_states, studyml.history_expectations"


def state(settings: Settings) -> list[tuple[object, ...]]:
    return ask(settings.database, "SELECT * FROM studyml.history_states ORDER BY kind, first_key, second_key")


def counted(settings: Settings, table: str) -> int:
    ((count,),) = ask(settings.database, f"SELECT count(*) FROM studyml.{table}")
    return int(count)


def rebuild(settings: Settings) -> None:
    """Forget all histories and make them again from the ledger."""
    ask(settings.database, f"TRUNCATE {TABLES}")
    with own_database(settings) as connection:
        update_history(settings, connection)
        connection.commit()


def small_app(settings: Settings, folder: Path) -> Settings:
    """Two students, three topics (one without estimate and subject), twelve sessions a day apart, no label."""
    sessions = [
        session(n, student_id=1 + n % 2, topic_id=1 + n % 3, session_date=FIRST + n * DAY, actual_duration="")
        for n in range(1, 13)
    ]
    logs = write_logs(
        folder / "logs",
        students=[student(1), student(2, avg_focus_duration="")],
        topics=[
            topic(1),
            topic(2, subject="Physics", difficulty_level=8),
            topic(3, subject="", estimated_base_time=""),
        ],
        sessions=sessions,
    )
    load(settings, logs, now=NOW, progress=silent)
    return settings


def label(settings: Settings, session_id: int, hours: float | None) -> None:
    ask(settings.source, "UPDATE study_sessions SET actual_duration = %s WHERE id = %s", hours, session_id)


def lived(settings: Settings, night: int) -> dict[str, int | bool]:
    return observe(settings, as_of=FIRST + night * DAY, now=NOW)
