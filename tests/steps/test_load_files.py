"""``load`` and its files: one sentence for a file that cannot be read, and what is read of one that can."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from studyml.settings import Settings
from tests.logs import session, student, topic, write_logs
from tests.steps.loading import database_url, load_folder, refusal, stored

__all__ = ["database_url"]

FAST = hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


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
