"""``load``: all or nothing, changed rows and removed labels, every impossible row kept with its reason."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from studyml.contract import EARLIEST, LATEST
from studyml.database.connection import advisory_lock, connect
from studyml.development.postgres import Server
from studyml.errors import InputError, LockBusyError, SourceError, StudymlError
from studyml.settings import Settings
from studyml.simulation import Simulation, simulate, write_csv
from studyml.steps import load as load_module
from studyml.steps.load import load, simulate_into_database
from tests.conftest import END, NOW, silent
from tests.logs import ask, session, student, write_logs
from tests.steps.loading import database_url, load_folder, quarantined, stored

__all__ = ["database_url"]

FAST = hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


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
