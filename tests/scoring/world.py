"""A small world for tests: source rows by hand, a champion without files, and a look into any table."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import psycopg2
from psycopg2.extras import Json, execute_values

from studyml.database.source_tables import ensure_source_tables
from studyml.settings import Settings

VERSION = "v_20260101_000000"
EARLIER = "v_20251201_000000"


def query(settings: Settings, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Run one statement and commit; its rows, if it has any."""
    connection = psycopg2.connect(settings.database)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SET TimeZone = 'UTC'")
            cursor.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def scalar(settings: Settings, statement: str, *parameters: object) -> Any:
    """The only value of the only row."""
    ((value,),) = query(settings, statement, *parameters)
    return value


_NO_PROMISES = """
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT conname FROM pg_constraint WHERE conrelid = 'study_sessions'::regclass AND contype = 'f' LOOP
        EXECUTE format('ALTER TABLE study_sessions DROP CONSTRAINT %I', name);
    END LOOP;
    ALTER TABLE study_sessions ALTER session_date DROP NOT NULL, ALTER student_id DROP NOT NULL,
        ALTER topic_id DROP NOT NULL;
END $$
"""


def create_source(settings: Settings) -> None:
    """Empty source tables with one student and one topic, both 1, and no foreign keys: a hostile source."""
    connection = psycopg2.connect(settings.source)
    with connection, connection.cursor() as cursor:
        ensure_source_tables(connection, settings.source_schema)
        cursor.execute(_NO_PROMISES)
        cursor.execute("INSERT INTO students (id, avg_focus_duration) VALUES (1, 60)")
        cursor.execute("INSERT INTO topics (id, estimated_base_time, subject) VALUES (1, 2, 'Physics')")
    connection.close()


def add_sessions(settings: Settings, sessions: Iterable[tuple[int, datetime | None, float | None]]) -> None:
    """Insert (id, session_date, actual_duration) of the one student and topic."""
    insert(
        settings,
        "INSERT INTO study_sessions (id, student_id, topic_id, session_date, actual_duration) VALUES %s",
        [(session_id, 1, 1, date, hours) for session_id, date, hours in sessions],
    )


def add_champion(
    settings: Settings,
    as_of: datetime,
    version: str = VERSION,
    mae: float = 0.9,
    relative_error: dict[str, float] | None = None,
) -> None:
    """A version that serves from ``as_of`` on, as the registry knows it, in place of the one before."""
    metrics = {"mae": mae} | ({} if relative_error is None else {"relative_error": relative_error})
    query(settings, "UPDATE studyml.model_versions SET status = 'retired' WHERE status = 'champion'")
    query(
        settings,
        "INSERT INTO studyml.model_versions (version, status, architecture, trained_at, as_of, manifest_sha256,"
        " metrics) VALUES (%s, 'champion', 'mlp', %s, %s, repeat('0', 64), %s)",
        version,
        as_of,
        as_of,
        Json(metrics),
    )
    query(
        settings,
        "INSERT INTO studyml.deployments (action, as_of, recorded_at, actor, to_version, reason)"
        " VALUES ('promote', %s, %s, 'test', %s, 'test')",
        as_of,
        as_of,
        version,
    )


def finish(settings: Settings, as_of: datetime, at: datetime | None = None) -> None:
    """A night that was lived and finished, ``at`` once by default."""
    query(
        settings,
        "INSERT INTO studyml.nights (as_of, replay, started_at, first_started_at, finished_at, first_finished_at)"
        " VALUES (%s, false, %s, %s, %s, %s)",
        *(as_of, as_of, as_of, at or as_of, at or as_of),
    )


def begin(settings: Settings, as_of: datetime, *, at: datetime | None = None, replay: bool = False) -> None:
    """A night that was begun, ``at`` its own time by default, and not finished."""
    query(
        settings,
        "INSERT INTO studyml.nights (as_of, replay, started_at, first_started_at) VALUES (%s, %s, %s, %s)",
        *(as_of, replay, at or as_of, at or as_of),
    )


def predict_night(
    settings: Settings,
    as_of: datetime,
    sessions: Sequence[tuple[int, float]],
    *,
    version: str = VERSION,
    role: str = "champion",
    served: bool = True,
) -> None:
    """Predictions (session id, hours) of a night, in a partition of their own."""
    name = f"predictions_{as_of:%Y%m%dT%H%M%S%f}"
    query(
        settings,
        f'CREATE TABLE IF NOT EXISTS studyml."{name}" PARTITION OF studyml.predictions FOR VALUES IN (%s)',
        as_of,
    )
    rows = [(as_of, session_id, as_of, role, version, served, hours, as_of) for session_id, hours in sessions]
    insert(
        settings,
        "INSERT INTO studyml.predictions (as_of, session_id, student_id, topic_id, session_date, role, model_version,"
        " served, predicted_hours, input_warnings, scored_at) VALUES %s",
        rows,
        "(%s, %s, 1, 1, %s, %s, %s, %s, %s, '{}', %s)",
    )


def judged(
    settings: Settings,
    outcomes: Iterable[tuple[int, datetime, float | None, float]],
    *,
    observed_at: datetime,
    version: str = VERSION,
    revision: int = 1,
) -> None:
    """Outcomes (session id, date, actual, predicted hours) as the ledger would hold them."""
    listed = list(outcomes)
    insert(
        settings,
        "INSERT INTO studyml.outcomes (session_id, revision, session_date, actual_hours, observed_at, recorded_at)"
        " VALUES %s",
        [(each, revision, date, actual, observed_at, observed_at) for each, date, actual, _ in listed],
    )
    insert(
        settings,
        "INSERT INTO studyml.outcome_predictions (session_id, revision, role, as_of, model_version, served,"
        " session_date, observed_at, predicted_hours, actual_hours) VALUES %s",
        [
            (each, revision, "champion", date, version, True, date, observed_at, predicted, actual)
            for each, date, actual, predicted in listed
        ],
    )


def insert(settings: Settings, statement: str, rows: Sequence[tuple[object, ...]], template: str | None = None) -> None:
    """Insert many rows in one statement."""
    connection = psycopg2.connect(settings.database)
    with connection, connection.cursor() as cursor:
        if rows:
            execute_values(cursor, statement, rows, template)
    connection.close()


def every_text(settings: Settings) -> str:
    """All that our own tables hold, as one text."""
    tables = query(
        settings,
        "SELECT table_schema, table_name FROM information_schema.tables"
        " WHERE table_schema IN ('studyml', 'analytics') AND table_type = 'BASE TABLE'",
    )
    found = [
        str(row)
        for schema, table in tables
        for row in query(settings, f'SELECT t::text FROM "{schema}"."{table}" AS t')
    ]
    return "\n".join(found)
