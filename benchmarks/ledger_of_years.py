"""A study app and a ledger that have lived many nights with the same number of new labels in each, made in SQL.

Session number i begins i steps after the first one, so many to a day; ids are shuffled among neighbours, since a real
app's need not ascend with time. One session in fifty of the last 60 days has no label yet, and one in 5,000 never got
one; one label in a hundred was corrected two nights after it was first seen. The nights that are kept predicted the
planned sessions of the next five days. Days to come are like those before: nothing degrades, nothing moves.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg2
from psycopg2.extensions import connection as Connection

from studyml.database import migrate
from studyml.database.source_tables import ensure_references, ensure_source_tables
from studyml.features.history_expectation import Expectation

END = datetime(2026, 3, 1, tzinfo=UTC)
PER_NIGHT = 2_000
#: The settings of which this world is made: how far nights look ahead, and how many of them are kept.
HORIZON_DAYS, KEPT_NIGHTS = 5, 400
STUDENTS, TOPICS = 5_000, 200
LATE, CORRECTED = 40, 20
VERSION = "v_20200101_000000"
INDEX = "CREATE INDEX study_sessions_session_date ON public.study_sessions (session_date)"

# How a session's number becomes its id, and its date; {last} is the number of the last session up to END.
_ID = "(i / 1000 * 1000 + i % 1000 * 7919 % 1000 + 1)"
_DATE = "(timestamptz '{end}' - interval '1 day' * (({last} - i)::float8 / {per_night}))"
_NIGHT = "(timestamptz '{end}' - interval '1 day' * (({last} - i) / {per_night} - {later}))"
_WAITS = "(i % 50 = 0 AND i > {last} - 60 * {per_night} OR i % 5000 = 0)"
_CORRECTED = "(i % 100 = 7 AND ({last} - i) / {per_night} >= 2)::integer"
_HOURS = "(0.5 + i * 31 % 700 / 100.0)"
_PREDICTED = f"({_HOURS} * (0.8 + {_ID} % 5 * 0.1))"
_FEATURES = "time_of_day, study_method, environment, energy_level, distraction_level"
_VALUES = "'morning', 'reading', 'home', 1 + i % 5, 1 + i % 4"


def sql(text: str, last: int, later: int = 0) -> str:
    """Fill in the names of the parts, then their values."""
    parts = {"ID": _ID, "DATE": _DATE, "NIGHT": _NIGHT, "WAITS": _WAITS, "HOURS": _HOURS, "CORRECTED": _CORRECTED}
    for name, part in parts.items():
        text = text.replace(f"<{name}>", part)
    return text.format(end=END.isoformat(), last=last, per_night=PER_NIGHT, later=later)


_SOURCE = (
    f"INSERT INTO students (id, age, avg_focus_duration) SELECT g, 18 + g % 15, 30 + g % 60"
    f" FROM generate_series(1, {STUDENTS}) g",
    f"INSERT INTO topics (id, subject, difficulty_level, estimated_base_time) SELECT g, 'Subject ' || g % 5,"
    f" 1 + g % 10, 1 + g % 4 FROM generate_series(1, {TOPICS}) g",
    f"""INSERT INTO study_sessions (id, student_id, topic_id, session_date, actual_duration, {_FEATURES})
    SELECT <ID>, 1 + i * 13 % {STUDENTS}, 1 + (i * 31 + i / {STUDENTS}) % {TOPICS}, <DATE>,
        CASE WHEN i <= {{last}} AND NOT <WAITS> THEN <HOURS> + <CORRECTED> * 0.01 END,
        {_VALUES}
    FROM generate_series(1, {{last}} + {HORIZON_DAYS} * {{per_night}}) AS i""",
)

_LEDGER = (
    f"""INSERT INTO studyml.model_versions (version, status, architecture, trained_at, as_of, manifest_sha256, metrics)
    VALUES ('{VERSION}', 'champion', 'mlp', '2020-01-01', '2020-01-01', repeat('0', 64), '{{{{"mae": 0.9}}}}')""",
    f"""INSERT INTO studyml.deployments (action, as_of, recorded_at, actor, to_version, reason)
    VALUES ('promote', '2020-01-01', '2020-01-01', 'studyml', '{VERSION}', 'the first')""",
    """INSERT INTO studyml.outcomes (session_id, revision, session_date, actual_hours, observed_at, recorded_at)
    SELECT <ID>, r, <DATE>, <HOURS> + (r - 1) * 0.01, observed, observed
    FROM generate_series(1, {last}) AS i CROSS JOIN generate_series(1, 2) AS r
    CROSS JOIN LATERAL (SELECT <NIGHT> + interval '2 days' * (r - 1) AS observed) AS seen
    WHERE NOT <WAITS> AND r <= 1 + <CORRECTED>
    ORDER BY observed, r, i""",
    f"""INSERT INTO studyml.outcome_predictions (session_id, revision, role, as_of, model_version, served, session_date,
        observed_at, predicted_hours, lower_hours, upper_hours, lower_hours_90, upper_hours_90, actual_hours)
    SELECT session_id, revision, 'champion', observed_at - interval '1 day', '{VERSION}', true, session_date,
        observed_at, actual_hours * (0.8 + session_id % 5 * 0.1), 1, 6, 0.5, 8, actual_hours
    FROM studyml.outcomes ORDER BY outcome_id""",
    f"""INSERT INTO studyml.history_observations
    SELECT o.session_id, o.revision, o.outcome_id, s.student_id, s.topic_id, s.topic_id % 5 + 1, o.observed_at,
        ln(o.actual_hours / 2), 0.1, 0.7, -0.2, 0.1, o.outcome_id / {STUDENTS} + 1, o.outcome_id / {STUDENTS} / 5 + 1,
        o.outcome_id / {STUDENTS} / {TOPICS} + 1, o.outcome_id / {TOPICS} + 1
    FROM studyml.outcomes o JOIN study_sessions s ON s.id = o.session_id ORDER BY o.outcome_id""",
    *(
        f"INSERT INTO studyml.history_states SELECT {kind}, {first}, {second}, max(as_of), count(*), count(*),"
        " sum(ratio), sum(ratio), 10, 0.1, 0.1 FROM studyml.history_observations GROUP BY 1, 2, 3"
        for kind, (first, second) in enumerate(
            (
                ("student_id", "0::bigint"),
                ("student_id", "subject_key"),
                ("student_id", "topic_id"),
                ("topic_id", "0::bigint"),
            )
        )
    ),
    """INSERT INTO studyml.unlabelled_sessions SELECT <ID> FROM generate_series(1, {last}) AS i WHERE <WAITS>""",
    """INSERT INTO studyml.observations SELECT timestamptz '{end}' - interval '1 day' * g, (SELECT max(id)
        FROM study_sessions), false, now() FROM generate_series(0, 2) AS g""",
)

_NIGHT_OF_PREDICTIONS = f"""
CREATE TABLE studyml."predictions_{{night:%Y%m%dT%H%M%S%f}}" PARTITION OF studyml.predictions
    FOR VALUES IN ('{{night}}');
INSERT INTO studyml.predictions (as_of, session_id, student_id, topic_id, session_date, role, model_version, served,
    predicted_hours, lower_hours, upper_hours, lower_hours_90, upper_hours_90, input_warnings, scored_at)
SELECT '{{night}}', {{id}}, 1, 1, {{date}}, 'champion', '{VERSION}', true, {{hours}}, 1, 6, 0.5, 8,
    '{{{{}}}}', '{{night}}'
FROM generate_series({{first}}, {{through}}) AS i WHERE i > 0
"""
_FINISH_NIGHT = f"""
INSERT INTO studyml.nights (as_of, replay, started_at, first_started_at, finished_at, first_finished_at)
VALUES ('{{night}}', false, '{{night}}', '{{night}}', '{{night}}', '{{night}}');
INSERT INTO studyml.scoring_runs (as_of, versions, planned, written, refused, status, started_at, finished_at)
SELECT '{{night}}', ARRAY['{VERSION}'], count(*), count(*), 0, 'complete', '{{night}}', '{{night}}'
FROM studyml.predictions WHERE as_of = '{{night}}'
"""


def build(url: str, outcomes: int, nights_to_come: int, progress: Callable[[str], None]) -> None:
    """Fill an empty database with the app, and with a ledger of so many sessions whose date was reached."""
    migrate.upgrade(url)
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'; SET work_mem = '512MB'; SET maintenance_work_mem = '512MB'")
        cursor.execute("SET session_replication_role = replica")  # a foreign key less to check on every row
        ensure_source_tables(connection, "public")
        statements = (*_SOURCE, *_LEDGER)
        for number, statement in enumerate(statements, start=1):
            cursor.execute(sql(statement, outcomes))
            progress(f"{outcomes:,} outcomes: {number} of {len(statements)} tables filled")
        nothing = Expectation.empty()
        cursor.execute(
            "INSERT INTO studyml.history_expectations SELECT %s, max(outcome_id), %s, %s FROM studyml.outcomes",
            (END, nothing.matrix.tolist(), nothing.vector.tolist()),
        )
    with connection:
        ensure_references(connection, "public")
    progress(f"{outcomes:,} outcomes: the predictions of the nights that are kept")
    for number in range(-min(outcomes // PER_NIGHT, KEPT_NIGHTS), nights_to_come):
        predict(connection, outcomes, number)
        if number < 0:
            finish(connection, number)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(INDEX)
        cursor.execute("VACUUM ANALYZE")
    connection.close()


def predict(connection: Connection, outcomes: int, number: int) -> None:
    """The predictions of the night so many days after END."""
    through = outcomes + (number + HORIZON_DAYS) * PER_NIGHT
    statement = _NIGHT_OF_PREDICTIONS.format(
        night=END + timedelta(days=number),
        id=_ID,
        date=sql("<DATE>", outcomes),
        hours=_PREDICTED,
        first=outcomes + number * PER_NIGHT + 1,
        through=through,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)


def finish(connection: Connection, number: int) -> None:
    """End the night so many days after END, whose predictions are there."""
    with connection, connection.cursor() as cursor:
        cursor.execute(_FINISH_NIGHT.format(night=END + timedelta(days=number)))


_DAY = (
    # The sessions of the day are held and labelled, but for some.
    "UPDATE study_sessions SET actual_duration = <HOURS> FROM generate_series({last} + {later} * {per_night}"
    " - {per_night} + 1, {last} + {later} * {per_night}) AS i WHERE id = <ID> AND NOT i % 50 = 0",
    # Late labels, one of them the oldest there can be, and corrections.
    f"UPDATE study_sessions SET actual_duration = 2.5 WHERE id IN ((SELECT session_id FROM studyml.unlabelled_sessions"
    f" ORDER BY session_id DESC LIMIT {LATE - 1}) UNION ALL"
    " (SELECT session_id FROM studyml.unlabelled_sessions ORDER BY session_id LIMIT 1))",
    f"UPDATE study_sessions SET actual_duration = 3.5 + {{later}} * 0.01 WHERE id IN (SELECT <ID>"
    f" FROM generate_series({{last}} - {CORRECTED}, {{last}} - 1) AS i WHERE NOT <WAITS>)",
    # What is planned for the last day that can be seen from here.
    f"""INSERT INTO study_sessions (id, student_id, topic_id, session_date, {_FEATURES})
    SELECT <ID>, 1 + i * 13 % {STUDENTS}, 1 + (i * 31 + i / {STUDENTS}) % {TOPICS}, <DATE>, {_VALUES}
    FROM generate_series(
        {{last}} + ({{later}} + {HORIZON_DAYS} - 1) * {{per_night}} + 1,
        {{last}} + ({{later}} + {HORIZON_DAYS}) * {{per_night}}) AS i""",
)


def live_a_day(url: str, outcomes: int, number: int) -> None:
    """End the night before; then what the app's users do in the day before the night so many days after END."""
    connection = psycopg2.connect(url)
    finish(connection, number - 1)
    with connection, connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        for statement in _DAY:
            cursor.execute(sql(statement, outcomes, later=number))
    connection.close()
