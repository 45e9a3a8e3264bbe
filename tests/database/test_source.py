"""Reading the study app's tables, which somebody else types, fills and changes."""

import hashlib
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studyml.contract import LATEST
from studyml.database import labels, source, vocabularies
from studyml.database.connection import Connection
from studyml.errors import DatabaseError, SourceError, StudymlError
from studyml.frame import MISSING, NULL_INTEGER, UNSEEN, Frame, to_datetime, to_microseconds
from tests.logs import ask

FAST = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SOON = datetime(2026, 3, 1, tzinfo=UTC)
_CATEGORIES = "education_level learning_style subject content_type time_of_day study_method environment"
NOTHING_KNOWN: dict[str, tuple[str, ...]] = dict.fromkeys(_CATEGORIES.split(), ())

STUDENTS = """CREATE TABLE app.students (id {id} PRIMARY KEY, name text, email text, age {whole},
    education_level {text}, learning_style {text}, avg_focus_duration {number}, created_at {time})"""
TOPICS = """CREATE TABLE app.topics (id {id} PRIMARY KEY, name {text}, subject {text}, difficulty_level {whole},
    estimated_base_time {number}, prerequisites_count {whole}, content_type {text})"""
SESSIONS = """CREATE TABLE app.study_sessions (id {id} PRIMARY KEY, student_id {id}, topic_id {id}, session_date {time},
    planned_duration {number}, actual_duration {number}, time_of_day {text}, breaks_taken {whole},
    distraction_level {whole}, energy_level {whole}, study_method {text}, environment {text})"""
OURS = {"id": "bigint", "whole": "bigint", "number": "double precision", "text": "text", "time": "timestamptz"}
DJANGO = {"id": "integer", "whole": "smallint", "number": "numeric(8,2)", "text": "varchar(40)", "time": "timestamp"}
SPREADSHEET = {"id": "bigint", "whole": "real", "number": "real", "text": "char(15)", "time": "date"}


@pytest.fixture
def app(shared_url: str) -> str:
    """The address of a database with the app's empty tables."""
    make_tables(shared_url, OURS)
    return shared_url


def make_tables(url: str, types: dict[str, str]) -> None:
    ask(url, "DROP SCHEMA IF EXISTS app CASCADE; CREATE SCHEMA app")
    for statement in (STUDENTS, TOPICS, SESSIONS):
        ask(url, statement.format(**types))


def insert_sessions(url: str, rows: list[tuple[int, int | None, object, str | None]]) -> None:
    """Rows of id, student, date and environment."""
    for row in rows:
        ask(
            url, "INSERT INTO app.study_sessions (id, student_id, session_date, environment) VALUES (%s,%s,%s,%s)", *row
        )


def read(url: str, work, timezone: str = "UTC"):
    return source.read_consistently(url, timezone, 60, work)


def read_labels(connection: Connection) -> Frame:
    """Every label up to SOON."""
    blocks: list[Frame] = []
    labels.read_all_labels(connection, "app", blocks.append, through=SOON, impossible_after=LATEST, rows=2)
    return Frame({name: np.concatenate([each[name] for each in blocks]) for name in blocks[0].columns}, {})


def sessions(url: str, timezone: str = "UTC", **arguments):
    known = arguments.pop("known", NOTHING_KNOWN)
    through = arguments.pop("through", SOON)
    return read(url, lambda c: source.read_sessions(c, "app", known, through=through, **arguments), timezone)


class TestWhatHistoriesNeed:
    @pytest.mark.parametrize("many", [1, 10**6], ids=["their range", "in chunks"])
    def test_the_keys_of_the_sessions_asked_for_are_read_however_many(
        self, app: str, many: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(source, "_MANY_IDS", many)
        monkeypatch.setattr(source, "_IDS_AT_ONCE", 2)
        ask(app, "INSERT INTO app.study_sessions (id, student_id) SELECT g, g * 10 FROM generate_series(1, 20) AS g")
        wanted = np.array([-4, 3, 5, 7, 11, 12, 99])
        found = read(app, lambda c: source.read_session_keys(c, "app", wanted))
        assert found["id"].tolist() == [3, 5, 7, 11, 12]
        assert found["student_id"].tolist() == [30, 50, 70, 110, 120]
        assert found["topic_id"].tolist() == [NULL_INTEGER] * 5

    def test_nobodys_keys_are_no_rows(self, app: str) -> None:
        assert len(read(app, lambda c: source.read_session_keys(c, "app", np.zeros(0, np.int64)))) == 0

    @pytest.mark.parametrize("types", [OURS, DJANGO, SPREADSHEET], ids=["ours", "django", "spreadsheet"])
    def test_a_subject_has_one_key_however_its_column_is_typed(self, shared_url: str, types: dict[str, str]) -> None:
        make_tables(shared_url, types)
        ask(shared_url, "INSERT INTO app.topics (id, subject) VALUES (1, 'Física'), (2, ''), (3, NULL), (4, 'Física')")
        found = read(shared_url, lambda c: source.read_topics(c, "app", NOTHING_KNOWN))
        key = int.from_bytes(hashlib.sha256("Física".encode()).digest()[:8], "big", signed=True)
        assert found["subject_key"].tolist() == [key, 0, 0, key]


class TestWhatMayBeInTheRows:
    def test_every_column_but_the_key_may_be_null(self, app: str) -> None:
        ask(app, "INSERT INTO app.students (id) VALUES (1)")
        ask(app, "INSERT INTO app.topics (id) VALUES (1)")
        ask(app, "INSERT INTO app.study_sessions (id, session_date) VALUES (1, '2026-02-01')")
        students = read(app, lambda c: source.read_students(c, "app", NOTHING_KNOWN))
        topics = read(app, lambda c: source.read_topics(c, "app", NOTHING_KNOWN))
        found = sessions(app)
        assert np.isnan(students["age"][0])
        assert students["education_level"].tolist() == [MISSING]
        assert np.isnan(topics["estimated_base_time"][0])
        assert found["student_id"].tolist() == [NULL_INTEGER]
        assert found["environment"].tolist() == [MISSING]
        assert np.isnan(found["energy_level"][0])

    def test_an_empty_text_is_missing_and_an_unknown_one_is_unseen(self, app: str) -> None:
        texts = ("", "home", "moon", 'it\'s "odd" \\ {a,b}')
        for number, text in enumerate(texts):
            ask(
                app,
                "INSERT INTO app.study_sessions (id, session_date, environment) VALUES (%s, '2026-02-01', %s)",
                number,
                text,
            )
        known = NOTHING_KNOWN | {"environment": ("cafe", "home", texts[3])}
        assert sessions(app, known=known)["environment"].tolist() == [MISSING, 1, UNSEEN, 2]

    def test_ids_may_be_huge_negative_and_far_apart(self, app: str) -> None:
        ids = [-(2**63) + 1, -5, 0, 7, 2**62, 2**63 - 1]
        for number in reversed(ids):
            ask(
                app,
                "INSERT INTO app.study_sessions (id, student_id, session_date) VALUES (%s, %s, '2026-02-01')",
                number,
                number,
            )
        found = sessions(app)
        assert found["id"].tolist() == found["student_id"].tolist() == ids
        assert sessions(app, ids=(7, 2**62))["id"].tolist() == [7, 2**62]

    @FAST
    @given(values=st.lists(st.none() | st.floats(), min_size=1, max_size=20))
    def test_numbers_arrive_as_they_are_null_as_nan_and_nan_as_infinite(
        self, app: str, values: list[float | None]
    ) -> None:
        ask(app, "TRUNCATE app.study_sessions")
        ask(
            app,
            "INSERT INTO app.study_sessions (id, session_date, actual_duration) SELECT n, '2026-02-01', x"
            " FROM unnest(%s::float8[]) WITH ORDINALITY AS t (x, n)",
            values,
        )
        found = read(app, read_labels)
        expected = [np.nan if value is None else np.inf if value != value else value for value in values]
        np.testing.assert_array_equal(found["actual_duration"], np.array(expected))

    def test_times_that_no_day_can_be_added_to_are_missing(self, app: str) -> None:
        times = ("-infinity", "0044-03-15 BC", "1899-12-31", "1900-01-01")
        insert_sessions(app, [(number, None, time, None) for number, time in enumerate(times)])
        insert_sessions(app, [(8, None, "infinity", None), (9, None, None, None)])
        found = read(app, read_labels)
        assert found["id"].tolist() == [0, 1, 2, 3, 9]
        assert [date == NULL_INTEGER for date in found["session_date"]] == [True, True, True, False, True]
        assert sessions(app, through=LATEST, after=SOON)["id"].tolist() == []

    @FAST
    @given(moment=st.datetimes(datetime(1900, 1, 2), datetime(2026, 2, 1)))  # noqa: DTZ001
    def test_times_are_exact_to_the_microsecond(self, app: str, moment: datetime) -> None:
        ask(app, "TRUNCATE app.study_sessions")
        aware = moment.replace(tzinfo=UTC)
        ask(app, "INSERT INTO app.study_sessions (id, session_date) VALUES (1, %s)", aware)
        assert to_datetime(sessions(app)["session_date"][0]) == aware


class TestWindows:
    def test_a_window_is_open_below_and_closed_above(self, app: str) -> None:
        dates = [SOON, SOON + timedelta(microseconds=1), SOON + timedelta(days=1)]
        insert_sessions(app, [(number, None, date, None) for number, date in enumerate(dates)])
        found = sessions(app, after=SOON, through=SOON + timedelta(days=1))
        assert found["id"].tolist() == [1, 2]
        counted = read(app, lambda c: source.count_dated(c, "app", after=SOON, through=SOON + timedelta(days=1)))
        assert counted == 2

    def test_neither_label_nor_breaks_are_read_for_scoring(self, app: str) -> None:
        assert {"actual_duration", "breaks_taken"}.isdisjoint(sessions(app).columns)

    def test_no_personal_column_is_ever_selected(self, app: str) -> None:
        ask(app, "ALTER TABLE app.students DROP COLUMN name, DROP COLUMN email")
        assert len(read(app, lambda c: source.read_students(c, "app", NOTHING_KNOWN))) == 0


@pytest.mark.parametrize("types", [OURS, DJANGO, SPREADSHEET], ids=["ours", "django", "spreadsheet"])
def test_the_apps_own_column_types_do_not_matter(shared_url: str, types: dict[str, str]) -> None:
    make_tables(shared_url, types)
    ask(shared_url, "INSERT INTO app.students VALUES (3, 'Ada', 'a@b.c', 20, 'graduate', 'visual', 45.5, '2026-01-01')")
    ask(shared_url, "INSERT INTO app.topics VALUES (4, 'Sets', 'Mathematics', 7, 2.5, 1, 'text')")
    ask(
        shared_url,
        "INSERT INTO app.study_sessions VALUES (5, 3, 4, '2026-02-01', 2, 1.25, 'morning', 1, 2, 4, 'reading', 'home')",
    )
    known = read(shared_url, lambda c: vocabularies.read_vocabularies(c, "app"), "Asia/Seoul")
    students = read(shared_url, lambda c: source.read_students(c, "app", known), "Asia/Seoul")
    topics = read(shared_url, lambda c: source.read_topics(c, "app", known), "Asia/Seoul")
    labelled = read(shared_url, read_labels, "Asia/Seoul")
    found = sessions(shared_url, "Asia/Seoul", known=known)
    assert (students["id"][0], students["age"][0], students["avg_focus_duration"][0]) == (3, 20, 45.5)
    assert (topics["estimated_base_time"][0], topics["difficulty_level"][0]) == (2.5, 7)
    assert (found["student_id"][0], found["topic_id"][0], found["energy_level"][0]) == (3, 4, 4)
    assert labelled["actual_duration"].tolist() == [1.25]
    assert [known[name][0] for name in ("environment", "subject")] == ["home", "Mathematics"]
    assert found["environment"].tolist() == [0]
    # The server of the insertion speaks UTC; only a time without a zone is Seoul's.
    midnight = datetime(2026, 2, 1, tzinfo=UTC)
    offset = timedelta(hours=0 if types["time"] == "timestamptz" else 9)
    assert found["session_date"].tolist() == [to_microseconds(midnight - offset)]


class TestVocabularies:
    def test_the_most_frequent_levels_come_first_and_blanks_are_none(self, app: str) -> None:
        levels = ["b", "a", "c", "c", "", None]
        for number, level in enumerate(levels):
            ask(app, "INSERT INTO app.topics (id, subject) VALUES (%s, %s)", number, level)
        assert read(app, lambda c: vocabularies.read_vocabularies(c, "app"))["subject"] == ("c", "a", "b")

    def test_more_levels_than_are_worth_a_column_are_cut(self, app: str) -> None:
        ask(app, "INSERT INTO app.topics (id, subject) SELECT n, 'subject ' || n FROM generate_series(1, 300) n")
        assert (
            len(read(app, lambda c: vocabularies.read_vocabularies(c, "app"))["subject"]) == vocabularies.MAXIMUM_LEVELS
        )

    def test_subjects_may_be_missing(self, app: str) -> None:
        ask(app, "INSERT INTO app.topics (id, subject) VALUES (1, 'Physics'), (2, NULL)")
        assert read(app, lambda c: source.read_subjects(c, "app")) == [(1, "Physics"), (2, None)]


class TestWhatIsRefused:
    @pytest.mark.parametrize("table", ["students", "topics", "study_sessions"])
    def test_a_missing_table_is_named_with_the_cure(self, app: str, table: str) -> None:
        ask(app, f"DROP TABLE app.{table}")
        with pytest.raises(SourceError, match=rf"no table app.{table}: set STUDYML_SOURCE_URL .* 'studyml load'"):
            read(app, lambda c: source.require_source(c, "app"))

    def test_a_missing_column_is_named_with_its_table(self, app: str) -> None:
        ask(app, "ALTER TABLE app.study_sessions DROP COLUMN energy_level")
        with pytest.raises(SourceError, match=r'app.study_sessions is not .*"energy_level" does not exist'):
            sessions(app)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ("ALTER COLUMN id TYPE uuid USING gen_random_uuid()", "uuid"),
            ("ALTER COLUMN energy_level TYPE text USING 'high'", 'double precision: "…"'),
            ("ALTER COLUMN energy_level TYPE text USING E'high\\nborn 1990'", 'double precision: "…"'),
            ("ALTER COLUMN session_date TYPE jsonb USING '{}'", "jsonb"),
        ],
    )
    def test_a_column_that_cannot_be_read_is_a_sentence(self, app: str, change: str, words: str) -> None:
        ask(app, "INSERT INTO app.study_sessions (id, session_date, energy_level) VALUES (1, '2026-01-01', 3)")
        ask(app, f"ALTER TABLE app.study_sessions {change}")
        with pytest.raises(StudymlError, match=words) as caught:
            sessions(app)
        assert "app.study_sessions" in str(caught.value)
        assert "high" not in str(caught.value)

    def test_a_user_without_the_right_is_told_to_ask_for_it(self, app: str) -> None:
        def work(connection: Connection) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SET ROLE studyml_analyst")
            source.read_students(connection, "app", NOTHING_KNOWN)

        with pytest.raises(DatabaseError, match=r"may not do this .*permission denied"):
            read(app, work)


class TestOneReading:
    def test_it_sees_one_moment_however_long_it_takes(self, app: str) -> None:
        def work(connection: Connection) -> tuple[int, int]:
            before = len(source.read_students(connection, "app", NOTHING_KNOWN))
            ask(app, "INSERT INTO app.students (id) VALUES (1)")
            return before, len(source.read_students(connection, "app", NOTHING_KNOWN))

        assert read(app, work) == (0, 0)

    def test_it_cannot_write(self, app: str) -> None:
        def work(connection: Connection) -> None:
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO app.students (id) VALUES (1)")

        with pytest.raises(DatabaseError, match="read-only transaction"):
            read(app, work)

    def test_it_starts_again_where_a_replica_cancels_it(self, app: str, quick_pauses: list[float]) -> None:
        tries = iter([True, True, False])

        def work(connection: Connection) -> str:
            if next(tries):
                raise_conflict(connection)
            return "read"

        assert read(app, work) == "read"
        assert quick_pauses == [1, 2]

    def test_it_gives_up_after_three_tries(self, app: str, quick_pauses: list[float]) -> None:
        with pytest.raises(DatabaseError, match="conflict with recovery"):
            read(app, raise_conflict)
        assert len(quick_pauses) == 2

    def test_an_error_that_will_not_go_away_is_not_tried_again(self, app: str, quick_pauses: list[float]) -> None:
        def work(connection: Connection) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")

        with pytest.raises(DatabaseError, match="division by zero"):
            read(app, work)
        assert quick_pauses == []


@pytest.fixture
def quick_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries, noted instead of waited for."""
    pauses: list[float] = []
    monkeypatch.setattr(source.time, "sleep", pauses.append)
    return pauses


def raise_conflict(connection: Connection) -> None:
    """What a replica does to a long query: the same SQLSTATE, from a real server."""
    with connection.cursor() as cursor, pytest.raises(psycopg2.errors.SerializationFailure) as caught:
        cursor.execute(
            "DO $$ BEGIN RAISE EXCEPTION 'canceling statement due to conflict with recovery'"
            " USING ERRCODE = '40001'; END $$"
        )
    raise caught.value
