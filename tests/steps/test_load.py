"""``load``: all or nothing, one sentence for a file that cannot be read, every impossible row kept with its reason."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from studyml.contract import EARLIEST, LATEST
from studyml.database.connection import advisory_lock, connect
from studyml.development import postgres
from studyml.development.postgres import Server
from studyml.errors import InputError, LockBusyError, SourceError, StudymlError
from studyml.settings import Settings
from studyml.simulation import Simulation, simulate, write_csv
from studyml.steps import load as load_module
from studyml.steps.load import Loaded, load, simulate_into_database
from tests.conftest import END, NOW, silent
from tests.logs import ask, session, student, topic, write_logs

FAST = hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(scope="module")
def _one_database(postgres_server: Server, migrated_template: str) -> Iterator[str]:
    name = f"load_{os.getpid()}"
    postgres.drop_database(postgres_server, name)
    postgres.create_database(postgres_server, name, template=migrated_template)
    yield postgres_server.url(name)
    postgres.drop_database(postgres_server, name)


@pytest.fixture
def database_url(_one_database: str) -> str:
    """The same database for all tests of this file, empty for each."""
    ask(_one_database, "DROP TABLE IF EXISTS study_sessions, students, topics")
    ask(_one_database, "TRUNCATE studyml.quarantined_rows")
    return _one_database


def load_folder(settings: Settings, folder: Path) -> Loaded:
    return load(settings, folder, now=NOW, progress=silent)


def refusal(settings: Settings, folder: Path) -> str:
    """The sentence with which a load is refused; it must be one, and nothing may be stored."""
    with pytest.raises(StudymlError) as caught:
        load_folder(settings, folder)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert ". " not in message.rstrip(".").replace("…. ", "")
    assert ask(settings.source, "SELECT to_regclass('public.students')") == [(None,)]
    assert ask(settings.database, "SELECT count(*) FROM studyml.quarantined_rows") == [(0,)]
    return message


def quarantined(settings: Settings) -> list[tuple[str, str, str, str]]:
    """(source, row, column, reason) of all quarantined rows."""
    query = "SELECT source, row_id, column_name, reason FROM studyml.quarantined_rows ORDER BY source, row_id::bigint"
    return [(str(a), str(b), str(c), str(d)) for a, b, c, d in ask(settings.database, query)]


def stored(settings: Settings, columns: str, table: str = "study_sessions") -> list[tuple[object, ...]]:
    return ask(settings.source, f"SELECT {columns} FROM public.{table} ORDER BY id")


class TestFilesThatCannotBeRead:
    def test_a_folder_that_does_not_exist_is_named(self, settings: Settings, tmp_path: Path) -> None:
        assert refusal(settings, tmp_path / "nowhere").startswith(f"{tmp_path / 'nowhere'} is not a folder")

    def test_a_file_in_place_of_the_folder_is_named(self, settings: Settings, tmp_path: Path) -> None:
        (tmp_path / "students.csv").touch()
        assert "students.csv is not a folder" in refusal(settings, tmp_path / "students.csv")

    @pytest.mark.parametrize("name", ["students", "topics", "study_sessions"])
    def test_a_missing_file_is_named(self, settings: Settings, tmp_path: Path, name: str) -> None:
        (write_logs(tmp_path) / f"{name}.csv").unlink()
        assert f"{name}.csv does not exist" in refusal(settings, tmp_path)

    def test_a_folder_in_place_of_a_file_is_named(self, settings: Settings, tmp_path: Path) -> None:
        (write_logs(tmp_path) / "topics.csv").unlink()
        (tmp_path / "topics.csv").mkdir()
        assert "topics.csv cannot be read (Is a directory)" in refusal(settings, tmp_path)

    def test_a_file_of_zero_bytes_is_empty(self, settings: Settings, tmp_path: Path) -> None:
        (write_logs(tmp_path) / "topics.csv").write_bytes(b"")
        assert refusal(settings, tmp_path) == "topics.csv is empty: its first line must name the columns."

    @pytest.mark.parametrize(
        ("name", "header"), [("students", "student_id"), ("topics", "subject"), ("study_sessions", "environment")]
    )
    def test_a_missing_column_is_named(self, settings: Settings, tmp_path: Path, name: str, header: str) -> None:
        path = write_logs(tmp_path) / f"{name}.csv"
        path.write_text(path.read_text().replace(header, "other"))
        assert refusal(settings, tmp_path).startswith(f"{name}.csv has no column {header}: add it")

    def test_a_column_that_stands_twice_is_named(self, settings: Settings, tmp_path: Path) -> None:
        path = write_logs(tmp_path) / "students.csv"
        path.write_text(path.read_text().replace("learning_style", "learning_style,age").replace("visual", "visual,3"))
        assert refusal(settings, tmp_path) == "students.csv has the column age twice: keep one of them."

    def test_semicolons_are_recognised(self, settings: Settings, tmp_path: Path) -> None:
        path = write_logs(tmp_path) / "students.csv"
        path.write_text(path.read_text().replace(",", ";"))
        assert "separate the columns by commas" in refusal(settings, tmp_path)

    @pytest.mark.parametrize("text", ["a,b\rc,d\r", "student_id,age\r1,2\r", '"unclosed\n1,2\n'])
    def test_a_header_that_is_no_csv_is_refused(self, settings: Settings, tmp_path: Path, text: str) -> None:
        (write_logs(tmp_path) / "students.csv").write_bytes(text.encode())
        assert refusal(settings, tmp_path).startswith("students.csv has no ")

    def test_latin_1_in_the_header_and_in_a_row_is_refused_with_the_line(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        path = write_logs(tmp_path, topics=[topic(1), topic(2, name="Café")]) / "topics.csv"
        text = path.read_text()
        path.write_bytes(text.encode("latin-1"))
        assert refusal(settings, tmp_path) == "topics.csv line 3 is not UTF-8 text: save the file as CSV in UTF-8."
        path.write_bytes(text.replace("content_type", "Größe").encode("latin-1"))
        assert refusal(settings, tmp_path) == "topics.csv line 1 is not UTF-8 text: save the file as CSV in UTF-8."

    def test_utf_16_is_refused(self, settings: Settings, tmp_path: Path) -> None:
        path = write_logs(tmp_path) / "students.csv"
        path.write_bytes(path.read_text().encode("utf-16"))
        assert "is not UTF-8 text" in refusal(settings, tmp_path)

    @pytest.mark.parametrize(
        ("row", "complaint"),
        [
            ("2,21,x,y,45,extra", "there are more values than the 5 columns"),
            ("2,21,x", "there are fewer values than the 5 columns"),
            ("", "the line is empty"),
            ('2,21,"x,y,45', "unterminated CSV quoted field"),
            ("2,21,x\0,y,45", "is not UTF-8 text"),
        ],
    )
    def test_a_broken_row_is_refused_with_its_line(
        self, settings: Settings, tmp_path: Path, row: str, complaint: str
    ) -> None:
        path = write_logs(tmp_path) / "students.csv"
        path.write_text(path.read_text() + row + "\n")
        message = refusal(settings, tmp_path)
        assert re.match(r"students.csv line [34]:? ", message)
        assert complaint in message

    @pytest.mark.parametrize(
        ("column", "value", "words"),
        [
            ("session_id", "abc", "a whole number"),
            ("session_id", "1.5", "a whole number"),
            ("session_id", "99999999999999999999", "a whole number"),
            ("student_id", "one", "a whole number"),
            ("actual_duration", "two hours", "a number"),
            ("actual_duration", "1,5", "a number"),
            ("actual_duration", "1e999", "a number"),
            ("actual_duration", " ", "a number"),
            ("energy_level", "high", "a number"),
            ("session_date", "soon", "a date and time"),
            ("session_date", "2026-02-30", "a date and time"),
            ("session_date", "2026-02-01T25:00", "a date and time"),
            ("session_date", "01/02/2026", "a date and time"),
            ("session_date", "2026-02-01 09:00 Middle/Earth", "a date and time"),
        ],
    )
    def test_an_unreadable_value_is_refused_with_line_column_value_and_cure(
        self, settings: Settings, tmp_path: Path, column: str, value: str, words: str
    ) -> None:
        write_logs(tmp_path, sessions=[session(1), session(2) | {column: value}])
        message = refusal(settings, tmp_path)
        assert message.startswith(f"study_sessions.csv line 3: {column} '{value.strip()}' is not {words}")
        assert message.endswith("correct it and load again.")

    def test_a_long_unreadable_value_is_shown_in_part_and_on_one_line(self, settings: Settings, tmp_path: Path) -> None:
        write_logs(tmp_path, sessions=[session(energy_level="far\ntoo\n" * 50)])
        assert len(refusal(settings, tmp_path)) < 200

    def test_lines_are_counted_as_an_editor_counts_them(self, settings: Settings, tmp_path: Path) -> None:
        topics = [topic(1, name='two\n"lines"'), topic(2, name="three\r\nwhole\nlines"), topic(3, difficulty_level="x")]
        write_logs(tmp_path, topics=topics)
        assert refusal(settings, tmp_path).startswith("topics.csv line 7: difficulty_level 'x'")
        write_logs(tmp_path, topics=[*topics[:2], topic(3), topic(3)])
        assert "topic_id 3 stands on line 7 and again on line 8" in refusal(settings, tmp_path)

    @pytest.mark.parametrize("name", ["students", "topics", "study_sessions"])
    def test_an_empty_id_is_refused_with_its_line(self, settings: Settings, tmp_path: Path, name: str) -> None:
        rows = {"students": student, "topics": topic, "study_sessions": session}[name]
        empty = {next(iter(rows())): ""}
        key = "sessions" if name == "study_sessions" else name
        write_logs(tmp_path, **{key: [rows(1), rows(2) | empty]})
        assert refusal(settings, tmp_path) == (f"{name}.csv line 3: {next(iter(empty))} is empty: every row needs one.")

    def test_an_id_that_stands_twice_is_refused_with_both_lines(self, settings: Settings, tmp_path: Path) -> None:
        write_logs(tmp_path, sessions=[session(7), session(8), session(7)])
        assert refusal(settings, tmp_path) == (
            "study_sessions.csv: session_id 7 stands on line 2 and again on line 4: keep one row."
        )

    def test_a_late_error_takes_back_what_was_read_before_it(self, settings: Settings, tmp_path: Path) -> None:
        sessions = [session(n) for n in range(1, 500)] + [session(500, actual_duration=-1), session(501, topic_id="x")]
        write_logs(tmp_path, sessions=sessions)
        assert "line 502: topic_id 'x'" in refusal(settings, tmp_path)


class TestFilesThatCanBeRead:
    def test_every_column_arrives_in_its_own(self, settings: Settings, tmp_path: Path) -> None:
        loaded = load_folder(settings, write_logs(tmp_path, sessions=[session(9, planned_duration=2)]))
        assert [(each.name, each.read, each.kept, each.quarantined) for each in loaded.files] == [
            ("students.csv", 1, 1, 0),
            ("topics.csv", 1, 1, 0),
            ("study_sessions.csv", 1, 1, 0),
        ]
        assert stored(settings, "id, age, education_level, learning_style, avg_focus_duration, name", "students") == [
            (1, 21, "undergraduate", "visual", 45, None)
        ]
        assert stored(settings, "id, name, subject, difficulty_level, estimated_base_time, content_type", "topics") == [
            (1, "Algebra 1", "Mathematics", 5, 2.5, "video")
        ]
        assert stored(
            settings, "id, student_id, topic_id, session_date, actual_duration, breaks_taken, planned_duration"
        ) == [(9, 1, 1, datetime(2026, 2, 1, 9, 30, tzinfo=UTC), 1.5, 1, 2)]

    @pytest.mark.parametrize("newline", ["\n", "\r\n"])
    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    def test_the_line_ends_and_byte_order_marks_of_other_systems_are_fine(
        self, settings: Settings, tmp_path: Path, newline: str, mark: str
    ) -> None:
        for path in write_logs(tmp_path).iterdir():
            path.write_bytes((mark + newline.join(path.read_text().splitlines()) + newline).encode())
        load_folder(settings, tmp_path)
        assert stored(settings, "id, environment") == [(1, "home")]

    def test_a_last_line_without_an_end_is_read(self, settings: Settings, tmp_path: Path) -> None:
        path = write_logs(tmp_path) / "study_sessions.csv"
        path.write_text(path.read_text().rstrip())
        load_folder(settings, tmp_path)
        assert stored(settings, "breaks_taken") == [(1,)]

    def test_blank_and_quoted_blank_are_both_missing(self, settings: Settings, tmp_path: Path) -> None:
        path = write_logs(tmp_path, sessions=[session(1, environment="@", actual_duration="@")]) / "study_sessions.csv"
        text = path.read_text()
        for blank in ("", '""'):
            path.write_text(text.replace("@", blank))
            load_folder(settings, tmp_path)
            assert stored(settings, "environment, actual_duration") == [(None, None)]

    def test_header_only_files_are_no_rows(self, settings: Settings, tmp_path: Path) -> None:
        loaded = load_folder(settings, write_logs(tmp_path, students=[], topics=[], sessions=[]))
        assert [each.read for each in loaded.files] == [0, 0, 0]
        assert stored(settings, "id") == []

    def test_unknown_columns_are_ignored_and_named(self, settings: Settings, tmp_path: Path) -> None:
        long = "é" * 70
        row = student(1) | {"Phone": "1", "": "2", long + "a": "3", long + "b": "4", 'it\'s "odd"': "5"}
        loaded = load_folder(settings, write_logs(tmp_path, students=[row]))
        assert loaded.files[0].ignored_columns == ("Phone", long + "a", long + "b", 'it\'s "odd"')
        assert stored(settings, "age", "students") == [(21,)]

    def test_columns_may_come_in_any_order(self, settings: Settings, tmp_path: Path) -> None:
        load_folder(settings, write_logs(tmp_path, sessions=[dict(reversed(session(3).items()))]))
        assert stored(settings, "id, environment, energy_level") == [(3, "home", 3)]

    def test_unusual_values_are_kept_and_counted(self, settings: Settings, tmp_path: Path) -> None:
        sessions = [session(1, actual_duration=13), session(2, actual_duration=24, energy_level=9)]
        loaded = load_folder(settings, write_logs(tmp_path, students=[student(age=70)], sessions=sessions))
        assert loaded.files[0].unusual == {"age": 1}
        assert loaded.files[2].unusual == {"actual_duration": 2, "energy_level": 1}
        assert stored(settings, "actual_duration, energy_level") == [(13, 3), (24, 9)]

    def test_naive_times_are_read_in_the_sources_time_zone(
        self, make_settings: Callable[..., Settings], tmp_path: Path
    ) -> None:
        settings = make_settings(source_timezone="Asia/Seoul")
        dates = ["2026-02-01T09:00", "2026-02-01T09:00:00+00:00", "2026-02-01"]
        load_folder(settings, write_logs(tmp_path, sessions=[session(n, session_date=d) for n, d in enumerate(dates)]))
        assert stored(settings, "(session_date AT TIME ZONE 'UTC')::text") == [
            ("2026-02-01 00:00:00",),
            ("2026-02-01 09:00:00",),
            ("2026-01-31 15:00:00",),
        ]

    @FAST
    @given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
    def test_any_text_arrives_unchanged(self, settings: Settings, tmp_path: Path, text: str) -> None:
        load_folder(settings, write_logs(tmp_path, topics=[topic(name=text, subject=text)]))
        assert stored(settings, "name, subject", "topics") == [(text or None, text or None)]


class TestLoadingAgain:
    def test_changes_nothing_when_nothing_changed(self, settings: Settings, tmp_path: Path) -> None:
        write_logs(tmp_path, sessions=[session(1), session(2, actual_duration=-1)])
        first = load_folder(settings, tmp_path)
        rows = stored(settings, "ctid::text, *"), quarantined(settings)
        assert load_folder(settings, tmp_path) == first
        assert (stored(settings, "ctid::text, *"), quarantined(settings)) == rows

    def test_takes_corrections_new_rows_and_removed_labels(self, settings: Settings, tmp_path: Path) -> None:
        load_folder(settings, write_logs(tmp_path, sessions=[session(1), session(2), session(3)]))
        changed = [session(1, actual_duration=4), session(3, actual_duration=""), session(4)]
        load_folder(settings, write_logs(tmp_path, sessions=changed))
        assert stored(settings, "id, actual_duration") == [(1, 4), (2, 1.5), (3, None), (4, 1.5)]

    def test_a_column_that_the_file_lacks_keeps_its_values(self, settings: Settings, tmp_path: Path) -> None:
        load_folder(settings, write_logs(tmp_path, sessions=[session(1, planned_duration=2)]))
        load_folder(settings, write_logs(tmp_path, sessions=[session(1)]))
        assert stored(settings, "planned_duration") == [(2,)]

    def test_sessions_may_refer_to_students_of_an_earlier_load(self, settings: Settings, tmp_path: Path) -> None:
        load_folder(settings, write_logs(tmp_path))
        load_folder(settings, write_logs(tmp_path, students=[], topics=[], sessions=[session(2)]))
        assert stored(settings, "id") == [(1,), (2,)]

    def test_a_refusal_is_kept_once_with_its_first_and_last_time(self, settings: Settings, tmp_path: Path) -> None:
        write_logs(tmp_path, sessions=[session(1, actual_duration=-3)])
        for days in (0, 2, 1):
            load(settings, tmp_path, now=NOW + timedelta(days=days), progress=silent)
        assert ask(settings.database, "SELECT first_as_of, last_as_of FROM studyml.quarantined_rows") == [
            (NOW, NOW + timedelta(days=2))
        ]


class TestQuarantine:
    @pytest.mark.parametrize(
        ("change", "column", "reason"),
        [
            ({"actual_duration": 0}, "actual_duration", "actual_duration is 0 hours, not above 0"),
            ({"actual_duration": -3}, "actual_duration", "actual_duration is -3 hours, not above 0"),
            ({"actual_duration": 24.001}, "actual_duration", "actual_duration is 24.001 hours, more than 24"),
            ({"actual_duration": "NaN"}, "actual_duration", "actual_duration is not a finite number"),
            ({"actual_duration": "inf"}, "actual_duration", "actual_duration is not a finite number"),
            ({"actual_duration": "-inf"}, "actual_duration", "actual_duration is not a finite number"),
            ({"energy_level": "NaN"}, "energy_level", "energy_level is not a finite number"),
            ({"session_date": ""}, "session_date", "session_date is missing"),
            ({"session_date": "infinity"}, "session_date", "session_date is infinity, not between"),
            ({"session_date": "0044-03-15 BC"}, "session_date", "session_date is 0044-03-15 00:00:00+00 BC, not"),
            ({"session_date": "2026-03-02T02:00Z"}, "actual_duration", "actual_duration is given for a session more"),
            ({"student_id": 77}, "student_id", "student_id 77 has no row in students that could be used"),
            ({"student_id": ""}, "student_id", "student_id is missing"),
            ({"topic_id": -1}, "topic_id", "topic_id -1 has no row in topics that could be used"),
        ],
    )
    def test_an_impossible_session_is_kept_apart_with_its_reason(
        self, settings: Settings, tmp_path: Path, change: dict[str, object], column: str, reason: str
    ) -> None:
        loaded = load_folder(settings, write_logs(tmp_path, sessions=[session(1), session(2) | change]))
        assert (loaded.files[2].read, loaded.files[2].kept, loaded.files[2].quarantined) == (2, 1, 1)
        assert stored(settings, "id") == [(1,)]
        [(source, row, at, why)] = quarantined(settings)
        assert (source, row, at) == ("study_sessions.csv", "2", column)
        assert why.startswith(reason)
        assert loaded.files[2].examples == (f"row 2 quarantined: {why}",)

    def test_a_planned_session_far_ahead_is_fine(self, settings: Settings, tmp_path: Path) -> None:
        planned = session(1, session_date="2027-01-01", actual_duration="")
        load_folder(settings, write_logs(tmp_path, sessions=[planned]))
        assert stored(settings, "id") == [(1,)]

    def test_the_sessions_of_a_quarantined_student_are_quarantined_too(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        write_logs(
            tmp_path, students=[student(1), student(2, avg_focus_duration=0)], sessions=[session(5, student_id=2)]
        )
        load_folder(settings, tmp_path)
        assert quarantined(settings) == [
            ("students.csv", "2", "avg_focus_duration", "avg_focus_duration is 0 minutes, not above 0"),
            ("study_sessions.csv", "5", "student_id", "student_id 2 has no row in students that could be used"),
        ]

    def test_a_row_with_several_faults_is_kept_once(self, settings: Settings, tmp_path: Path) -> None:
        bad = session(5, student_id=9, topic_id=9, actual_duration="NaN", energy_level="inf")
        load_folder(settings, write_logs(tmp_path, sessions=[bad]))
        assert len(quarantined(settings)) == 1

    def test_its_values_are_kept_but_nothing_personal_and_nothing_unknown(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        private = {"name": "Ada Lovelace", "email": "ada@example.org", "E-Mail": "ada@example.org", "Full Name": "Ada"}
        load_folder(settings, write_logs(tmp_path, students=[student(1, avg_focus_duration=-1) | private]))
        [(values,)] = ask(
            settings.database, "SELECT row_values FROM studyml.quarantined_rows WHERE source ~ 'students'"
        )
        assert values == {
            "id": 1,
            "age": 21,
            "education_level": "undergraduate",
            "learning_style": "visual",
            "avg_focus_duration": -1,
        }

    def test_more_refusals_than_are_told_are_all_kept(self, settings: Settings, tmp_path: Path) -> None:
        loaded = load_folder(settings, write_logs(tmp_path, sessions=[session(n, topic_id=5) for n in range(1, 2001)]))
        assert loaded.files[2].quarantined == 2000
        assert len(loaded.files[2].examples) == 5
        assert len(quarantined(settings)) == 2000

    @FAST
    @given(
        rows=st.lists(
            st.tuples(
                st.none() | st.floats(),
                st.none()
                | st.datetimes(EARLIEST.replace(tzinfo=None, year=1800), LATEST.replace(tzinfo=None, year=2300)),
                st.sampled_from([1, 2, 3]),
            ),
            max_size=30,
        )
    )
    def test_a_row_is_stored_exactly_if_the_contract_calls_it_possible(
        self, settings: Settings, tmp_path: Path, rows: list[tuple[float | None, datetime | None, int]]
    ) -> None:
        ask(settings.database, "TRUNCATE studyml.quarantined_rows")
        ask(settings.database, "DROP TABLE IF EXISTS study_sessions, students, topics")
        write_logs(
            tmp_path,
            students=[student(1), student(2, avg_focus_duration=-1)],
            sessions=[
                session(n, student_id=who, actual_duration=repr(hours) if hours is not None else "")
                | {"session_date": "" if date is None else date.isoformat()}
                for n, (hours, date, who) in enumerate(rows)
            ],
        )
        loaded = load_folder(settings, tmp_path).files[2]

        def possible(hours: float | None, date: datetime | None, who: int) -> bool:
            aware = None if date is None else date.replace(tzinfo=UTC)
            dated = aware is not None and EARLIEST <= aware < LATEST
            label = hours is None or (0 < hours <= 24 and aware is not None and aware <= NOW + timedelta(hours=24))
            return dated and label and who == 1

        expected = [n for n, row in enumerate(rows) if possible(*row)]
        assert [row for (row,) in stored(settings, "id")] == expected
        assert {int(row) for source, row, _, _ in quarantined(settings) if source == "study_sessions.csv"} == (
            set(range(len(rows))) - set(expected)
        )
        assert (loaded.read, loaded.kept) == (len(rows), len(expected))


class TestWhereItLoads:
    def test_a_source_on_another_database_gets_the_rows_and_ours_the_refusals(
        self, make_settings: Callable[..., Settings], empty_database_url: str, tmp_path: Path
    ) -> None:
        settings = make_settings(source_url=empty_database_url, source_schema="study_App", source_timezone="Asia/Seoul")
        sessions = [session(1, session_date="2026-02-01T09:00"), session(2, actual_duration=99)]
        load_folder(settings, write_logs(tmp_path, sessions=sessions))
        assert ask(empty_database_url, 'SELECT id, session_date FROM "study_App".study_sessions') == [
            (1, datetime(2026, 2, 1, tzinfo=UTC))
        ]
        assert ask(settings.database, "SELECT to_regclass('public.study_sessions')") == [(None,)]
        assert [row[1] for row in quarantined(settings)] == ["2"]

    def test_sessions_refer_to_rows_that_exist_by_constraint(self, settings: Settings, tmp_path: Path) -> None:
        for _ in range(2):
            load_folder(settings, write_logs(tmp_path))
        assert ask(
            settings.source,
            "SELECT conname, convalidated FROM pg_constraint WHERE contype = 'f'"
            " AND conrelid = 'study_sessions'::regclass ORDER BY 1",
        ) == [("study_sessions_student_id_fkey", True), ("study_sessions_topic_id_fkey", True)]

    def test_tables_that_studyml_did_not_create_are_refused_and_stay_as_they_are(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        ask(settings.source, "CREATE TABLE students (id bigint PRIMARY KEY, name text)")
        with pytest.raises(SourceError, match=r"public.students was not created by studyml .* STUDYML_SOURCE_SCHEMA"):
            load_folder(settings, write_logs(tmp_path))
        assert ask(settings.source, "SELECT count(*) FROM students") == [(0,)]
        assert ask(settings.source, "SELECT to_regclass('topics')") == [(None,)]

    def test_a_failure_of_the_other_server_names_that_server(
        self, make_settings: Callable[..., Settings], postgres_server: Server, tmp_path: Path
    ) -> None:
        settings = make_settings(source_url=postgres_server.url("no_such_database"))
        assert "no_such_database cannot be reached" in refusal_of_other(settings, write_logs(tmp_path))

    def test_a_failure_of_our_own_server_names_ours(
        self, make_settings: Callable[..., Settings], empty_database_url: str, tmp_path: Path
    ) -> None:
        settings = make_settings(source_url=empty_database_url)
        ask(settings.database, "ALTER TABLE studyml.quarantined_rows RENAME TO gone")
        try:
            message = refusal_of_other(settings, write_logs(tmp_path, sessions=[session(actual_duration=-1)]))
        finally:
            ask(settings.database, "ALTER TABLE studyml.gone RENAME TO quarantined_rows")
        assert settings.database.rsplit("/", 1)[1] in message
        assert ask(empty_database_url, "SELECT to_regclass('study_sessions')") == [(None,)]

    def test_a_user_who_may_not_write_gets_one_sentence(
        self, make_settings: Callable[..., Settings], postgres_server: Server, tmp_path: Path
    ) -> None:
        settings = make_settings()
        name = settings.database.rsplit("/", 1)[1]
        reader = f"reader_{name}"
        ask(settings.database, f"CREATE ROLE {reader} LOGIN PASSWORD 'secret'")
        try:
            url = postgres_server.url(name).replace(f"{postgres_server.user}:", f"{reader}:").split("@")
            limited = make_settings(source_url=f"postgresql://{reader}:secret@{url[1]}")
            message = refusal_of_other(limited, write_logs(tmp_path))
            assert "may not do this" in message
            assert "secret" not in message
        finally:
            ask(settings.database, f"DROP ROLE {reader}")


def refusal_of_other(settings: Settings, folder: Path) -> str:
    with pytest.raises(StudymlError) as caught:
        load_folder(settings, folder)
    return str(caught.value)


class TestInterruption:
    def test_a_load_that_is_killed_leaves_nothing(self, settings: Settings, tmp_path: Path) -> None:
        write_csv(simulate(Simulation(sessions=300_000, students=100), END), tmp_path)
        environment = os.environ | {"STUDYML_DATABASE_URL": settings.database}
        command = [sys.executable, "-c", "from studyml.cli import main; main()", "load", str(tmp_path)]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
            assert process.stderr is not None
            while b"study_sessions" not in process.stderr.readline():
                pass
            process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 30
        busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        while ask(settings.database, busy) != [(0,)] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert ask(settings.source, "SELECT to_regclass('public.students')") == [(None,)]
        write_logs(tmp_path)
        assert load_folder(settings, tmp_path).files[2].kept == 1

    def test_two_loads_at_once_wait_for_each_other(self, settings: Settings, tmp_path: Path) -> None:
        write_logs(tmp_path, sessions=[session(n) for n in range(1, 3000)])
        environment = os.environ | {"STUDYML_DATABASE_URL": settings.database}
        command = [sys.executable, "-c", "from studyml.cli import main; main()", "load", str(tmp_path)]
        running = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)]
        assert [process.wait(60) for process in running] == [0, 0]
        assert ask(settings.source, "SELECT count(*) FROM study_sessions") == [(2999,)]

    def test_one_that_finds_another_at_work_waits_for_the_lock(
        self, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = advisory_lock
        monkeypatch.setattr(load_module, "advisory_lock", lambda c, name: original(c, name, wait_seconds=0))
        write_logs(tmp_path)
        with connect(settings.database) as other, original(other, "load"), pytest.raises(LockBusyError):
            load_folder(settings, tmp_path)
        assert ask(settings.source, "SELECT to_regclass('public.students')") == [(None,)]


class TestSimulating:
    def test_fills_an_empty_database_with_labelled_and_planned_sessions(self, settings: Settings) -> None:
        simulate_into_database(settings, Simulation(sessions=100), end=END, now=NOW, progress=silent)
        assert ask(
            settings.source,
            "SELECT count(actual_duration), count(*) FILTER (WHERE session_date >= %s) FROM study_sessions",
            END,
        ) == [(100, 8)]
        assert quarantined(settings) == []

    def test_refuses_a_database_that_holds_sessions(self, settings: Settings, tmp_path: Path) -> None:
        load_folder(settings, write_logs(tmp_path))
        with pytest.raises(InputError, match="already holds 1 sessions: simulate into an empty database"):
            simulate_into_database(settings, Simulation(), end=END, now=NOW, progress=silent)
        assert stored(settings, "id") == [(1,)]


def test_a_real_log_loads_whole(settings: Settings, kaist: Path) -> None:
    loaded = load_folder(settings, kaist)
    with (kaist / "study_sessions.csv").open(newline="") as file:
        rows = sum(1 for _ in csv.reader(file)) - 1
    assert loaded.files[2].read == rows
    assert loaded.files[2].kept + len(quarantined(settings)) == rows


def test_progress_is_told(settings: Settings, tmp_path: Path) -> None:
    lines: list[str] = []
    load(settings, write_logs(tmp_path), now=NOW, progress=lines.append)
    assert lines == ["loading students.csv", "loading topics.csv", "loading study_sessions.csv"]
