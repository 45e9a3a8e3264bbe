"""The copy of the source: all that the nights read and no more, and no label before it would have arrived."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studyml.database.connection import Connection, connect
from studyml.database.hidden_labels import arrivals, copy_source, hide_labels, reveal_labels
from studyml.database.scratch import SOURCE_SCHEMA
from studyml.errors import SourceError

START = datetime(2026, 1, 1, tzinfo=UTC)
_SOURCE = """
CREATE TABLE students (id integer PRIMARY KEY, name text, email text, age smallint, education_level text,
    learning_style text, avg_focus_duration numeric, created_at timestamp);
CREATE TABLE topics (id integer PRIMARY KEY, name text, subject varchar(20), difficulty_level integer,
    estimated_base_time numeric, prerequisites_count integer, content_type text);
CREATE TABLE study_sessions (id integer PRIMARY KEY, student_id integer, topic_id integer, session_date timestamp,
    actual_duration double precision, time_of_day text, breaks_taken integer, distraction_level integer,
    energy_level integer, study_method text, environment text);
INSERT INTO students VALUES (1, 'Ada', 'ada@example.org', 20, 'x', NULL, 45.5, now());
INSERT INTO topics VALUES (1, 'Secret', 'Physics', 3, 1.5, 0, NULL)
"""


@pytest.fixture
def source(empty_database_url: str) -> Iterator[Connection]:
    """A study app's tables as a stranger made them, with one student and one topic."""
    with connect(empty_database_url, timezone="Europe/Berlin") as opened:
        with opened.cursor() as cursor:
            cursor.execute(_SOURCE)
        opened.commit()
        yield opened


@pytest.fixture
def scratch(database_url: str) -> Iterator[Connection]:
    with connect(database_url) as opened:
        yield opened


def add(source: Connection, rows: list[tuple[int, object, object]]) -> None:
    with source.cursor() as cursor:
        for row in rows:
            cursor.execute(
                "INSERT INTO study_sessions (id, student_id, topic_id, session_date, actual_duration, breaks_taken)"
                " VALUES (%s, 1, 1, %s, %s, 9)",
                row,
            )


def visible(scratch: Connection) -> dict[int, float]:
    with scratch.cursor() as cursor:
        cursor.execute(
            f"SELECT id, actual_duration FROM {SOURCE_SCHEMA}.study_sessions WHERE actual_duration IS NOT NULL"
        )
        return dict(cursor.fetchall())


sessions = st.lists(
    st.tuples(st.integers(0, 14 * 24 * 60), st.none() | st.floats(0.01, 24, allow_nan=False)), min_size=1, max_size=25
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sessions, st.floats(0, 100), st.lists(st.integers(0, 25 * 24), min_size=1, max_size=6))
def test_a_label_is_never_seen_before_its_session_has_ended_and_the_delay_has_passed(
    source: Connection, scratch: Connection, drawn: list[tuple[int, float | None]], delay: float, nights: list[int]
) -> None:
    source.rollback()
    scratch.rollback()
    rows = [(number, START + timedelta(minutes=minute), hours) for number, (minute, hours) in enumerate(drawn)]
    with source.cursor() as cursor:
        cursor.execute("ALTER TABLE study_sessions ALTER session_date TYPE timestamptz")
    add(source, list(rows))
    copy_source(source, "public", scratch)
    hide_labels(scratch, timedelta(hours=delay))
    assert visible(scratch) == {}

    for hour in sorted(nights):
        night = START + timedelta(hours=hour)
        reveal_labels(scratch, night)
        reveal_labels(scratch, night)  # a night lived again

        # PostgreSQL rounds to microseconds.
        ends = {row[0]: row[1] + timedelta(hours=(row[2] or 0) + delay) for row in rows if row[2] is not None}
        slack = timedelta(microseconds=2)
        seen = visible(scratch)
        assert {id_ for id_, end in ends.items() if end <= night - slack} <= set(seen)
        assert set(seen) <= {id_ for id_, end in ends.items() if end <= night + slack}
        assert all(seen[row[0]] == row[2] for row in rows if row[0] in seen)


def test_names_addresses_and_breaks_are_not_copied_and_strange_types_are_cast(
    source: Connection, scratch: Connection
) -> None:
    add(source, [(1, "2026-07-01T12:00", 2.0), (2, None, None)])

    copied = copy_source(source, "public", scratch)

    assert (copied.students, copied.topics, copied.sessions, copied.labelled) == (1, 1, 2, 1)
    with scratch.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s", (SOURCE_SCHEMA,)
        )
        columns = set(cursor.fetchall())
        assert columns.isdisjoint(
            {("students", "name"), ("students", "email"), ("topics", "name"), ("study_sessions", "breaks_taken")}
        )
        cursor.execute(f"SELECT session_date FROM {SOURCE_SCHEMA}.study_sessions ORDER BY id")
        # The source's naive times are read in the zone of its connection.
        assert cursor.fetchall() == [(datetime(2026, 7, 1, 10, tzinfo=UTC),), (None,)]
        cursor.execute(f"SELECT avg_focus_duration FROM {SOURCE_SCHEMA}.students")
        assert cursor.fetchall() == [(45.5,)]


def test_a_login_that_may_read_only_what_the_nights_read_is_enough(source: Connection, scratch: Connection) -> None:
    with source.cursor() as cursor:
        cursor.execute("CREATE ROLE backtest_reader")
        try:
            cursor.execute(
                "GRANT SELECT (id, age, education_level, learning_style, avg_focus_duration) ON students"
                " TO backtest_reader; GRANT SELECT (id, subject, difficulty_level, estimated_base_time,"
                " prerequisites_count, content_type) ON topics TO backtest_reader; GRANT SELECT (id, student_id,"
                " topic_id, session_date, actual_duration, time_of_day, study_method, environment, energy_level,"
                " distraction_level) ON study_sessions TO backtest_reader; SET ROLE backtest_reader"
            )
            assert copy_source(source, "public", scratch).students == 1
        finally:
            source.rollback()


def test_impossible_labels_arrive_and_are_left_to_the_nights(source: Connection, scratch: Connection) -> None:
    strange = [float("nan"), float("inf"), -3.0, 0.0, 1e300]
    add(source, [(number, "2026-01-05T12:00", hours) for number, hours in enumerate(strange)])
    add(source, [(90, None, 1.0), (91, "infinity", 1.0), (92, "4000-01-01", 1.0)])
    copy_source(source, "public", scratch)
    hide_labels(scratch, timedelta(hours=24))

    assert arrivals(scratch, 1) is None
    assert reveal_labels(scratch, START) == 3  # what has no usable date is there from the beginning
    assert reveal_labels(scratch, datetime(2026, 1, 6, 10, 59, tzinfo=UTC)) == 0
    assert reveal_labels(scratch, datetime(2026, 1, 6, 11, tzinfo=UTC)) == 5


def test_arrivals_names_the_moment_of_a_rank_and_of_the_last(source: Connection, scratch: Connection) -> None:
    add(source, [(number, f"2026-01-0{number}T01:00", 1.0) for number in range(1, 6)])
    copy_source(source, "public", scratch)
    hide_labels(scratch, timedelta(hours=2))

    days = [datetime(2026, 1, day, 3, tzinfo=UTC) for day in range(1, 6)]
    assert arrivals(scratch, 2) == (days[1], days[4])
    assert arrivals(scratch, 50) == (days[4], days[4])
    assert all(earlier < later for earlier, later in pairwise(days))


def test_a_column_that_cannot_be_cast_is_told_without_its_value(source: Connection, scratch: Connection) -> None:
    with source.cursor() as cursor:
        cursor.execute("ALTER TABLE topics ALTER difficulty_level TYPE text USING 'hard'")

    with pytest.raises(
        SourceError, match=r"public.topics is not as the data contract needs it .*invalid input"
    ) as told:
        copy_source(source, "public", scratch)
    assert "hard" not in str(told.value)


def test_a_column_that_is_missing_is_named(source: Connection, scratch: Connection) -> None:
    with source.cursor() as cursor:
        cursor.execute("ALTER TABLE students DROP age")

    with pytest.raises(SourceError, match=r'public.students is not as the data contract needs it .*"age"'):
        copy_source(source, "public", scratch)
