"""Connections and locks: every failure is a sentence, none shows a password."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg2
import pytest

from studyml.database.connection import Connection, advisory_lock, connect, describe
from studyml.development.postgres import Server
from studyml.errors import DatabaseError, LockBusyError, SchemaError, SourceError, StudymlError
from tests.logs import ask


@pytest.fixture
def open_connection(shared_url: str) -> Iterator[Callable[[], Connection]]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(connect(shared_url))


def sentence(url: str, statement: str = "SELECT 1", **arguments: int) -> StudymlError:
    with pytest.raises(StudymlError) as caught, connect(url, **arguments) as connection:
        connection.cursor().execute(statement)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return caught.value


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://ann:secret@db.example.org:6000/study", "db.example.org:6000/study"),
        ("postgresql://db/study", "db:5432/study"),
        ("postgresql:///study?host=/tmp", "/tmp:5432/study"),
        ("postgresql://[::1]/study", "::1:5432/study"),
        ("postgresql://one:1,two:2/study", "one,two:1,2/study"),
        ("postgresql://ann:se%zzcret@db/study", "an address that cannot be parsed"),
    ],
)
def test_an_address_is_described_without_user_and_password(url: str, words: str) -> None:
    assert describe(url) == words


class TestWhatCannotBeReached:
    def test_a_port_where_nobody_listens(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        error = sentence(f"postgresql://ann:topsecret@127.0.0.1:{port}/study")
        assert isinstance(error, DatabaseError)
        assert error.retryable
        assert f"PostgreSQL at 127.0.0.1:{port}/study cannot be reached" in str(error)
        assert "topsecret" not in str(error)

    def test_a_wrong_password(self, postgres_server: Server) -> None:
        url = f"postgresql://{postgres_server.user}:topsecret@{postgres_server.host}:{postgres_server.port}/studyml"
        message = str(sentence(url))
        assert "password authentication failed" in message
        assert "user and password are right" in message
        assert "topsecret" not in message

    def test_a_database_that_does_not_exist(self, postgres_server: Server) -> None:
        assert 'database "nowhere" does not exist' in str(sentence(postgres_server.url("nowhere")))

    def test_an_address_that_libpq_cannot_parse(self) -> None:
        assert "topsecret" not in str(sentence("postgresql://ann:topsecret%zz@host/study"))


class TestStatementsThatFail:
    def test_our_own_missing_table_names_the_cure(self, shared_url: str) -> None:
        error = sentence(shared_url, "SELECT * FROM studyml.no_such_table")
        assert isinstance(error, SchemaError)
        assert "run 'studyml db upgrade'" in str(error)

    def test_another_missing_table_or_column_is_the_sources(self, shared_url: str) -> None:
        for statement in ("SELECT * FROM app_table", "SELECT no_such_column"):
            assert isinstance(sentence(shared_url, statement), SourceError)

    def test_one_that_takes_too_long_names_the_setting(self, shared_url: str) -> None:
        error = sentence(shared_url, "SELECT pg_sleep(5)", statement_timeout_seconds=1)
        assert "STUDYML_STATEMENT_TIMEOUT_SECONDS" in str(error)

    def test_one_that_may_not_be_done_asks_for_the_grant(self, shared_url: str) -> None:
        error = sentence(shared_url, "SET ROLE studyml_analyst; SELECT * FROM studyml.nights")
        assert "may not do this" in str(error)

    def test_a_locked_table_can_be_tried_again(
        self, shared_url: str, open_connection: Callable[[], Connection]
    ) -> None:
        open_connection().cursor().execute("LOCK TABLE studyml.nights")
        error = sentence(shared_url, "SET lock_timeout = '50ms'; SELECT * FROM studyml.nights")
        assert isinstance(error, LockBusyError)
        assert error.retryable

    def test_a_connection_that_is_cut_can_be_tried_again(self, shared_url: str) -> None:
        def cut_off() -> None:
            with connect(shared_url) as opened:
                ask(shared_url, f"SELECT pg_terminate_backend({opened.info.backend_pid})")
                opened.cursor().execute("SELECT 1")

        with pytest.raises(DatabaseError, match="refused or lost a statement") as caught:
            cut_off()
        assert caught.value.retryable

    def test_several_lines_of_the_server_become_one(self, shared_url: str) -> None:
        message = str(sentence(shared_url, "DO $$ BEGIN RAISE 'first\nsecond'; END $$"))
        assert "first" in message

    def test_the_failure_of_a_connection_inside_another_names_its_own_database(
        self, shared_url: str, empty_database_url: str
    ) -> None:
        inner, outer = (url.rsplit("/", 1)[1] for url in (empty_database_url, shared_url))
        for failing, name in (("outer", outer), ("inner", inner)):
            with pytest.raises(DatabaseError) as caught, connect(shared_url) as one, connect(empty_database_url) as two:
                (one if failing == "outer" else two).cursor().execute("SELECT 1 / 0")
            assert name in str(caught.value)

    def test_the_servers_own_error_stays_attached(self, shared_url: str) -> None:
        assert isinstance(sentence(shared_url, "SELECT 1 / 0").__cause__, psycopg2.errors.DivisionByZero)


class TestTransactions:
    def test_what_was_not_committed_is_taken_back(self, shared_url: str) -> None:
        with connect(shared_url) as connection:
            connection.cursor().execute("INSERT INTO studyml.topic_subjects VALUES (1, 'x')")
        assert ask(shared_url, "SELECT count(*) FROM studyml.topic_subjects") == [(0,)]

    def test_the_time_zone_and_encoding_are_ours_whatever_the_server_says(self, shared_url: str) -> None:
        name = shared_url.rsplit("/", 1)[1]
        ask(shared_url, f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'")
        ask(shared_url, f"ALTER DATABASE {name} SET client_encoding = 'LATIN1'")
        with connect(shared_url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('TimeZone'), '€'")
            assert cursor.fetchone() == ("UTC", "€")
        with connect(shared_url, timezone="Europe/Berlin") as connection, connection.cursor() as cursor:
            cursor.execute("SHOW TimeZone")
            assert cursor.fetchone() == ("Europe/Berlin",)


class TestLocks:
    def test_only_one_holds_a_lock(self, open_connection: Callable[[], Connection]) -> None:
        first, second = open_connection(), open_connection()
        with (
            advisory_lock(first, "observe"),
            pytest.raises(LockBusyError, match="holds the lock 'observe': wait until it ends"),
            advisory_lock(second, "observe", wait_seconds=0),
        ):
            pass

    def test_locks_of_other_names_and_other_databases_do_not_disturb(
        self, open_connection: Callable[[], Connection], empty_database_url: str
    ) -> None:
        with (
            connect(empty_database_url) as elsewhere,
            advisory_lock(open_connection(), "observe"),
            advisory_lock(open_connection(), "monitor", wait_seconds=0),
            advisory_lock(elsewhere, "observe", wait_seconds=0),
        ):
            pass

    def test_it_is_let_go_of_at_the_end_and_after_a_failure(self, open_connection: Callable[[], Connection]) -> None:
        first, second = open_connection(), open_connection()
        with advisory_lock(first, "observe"):
            pass
        with pytest.raises(psycopg2.errors.DivisionByZero), advisory_lock(first, "observe"):
            first.cursor().execute("SELECT 1 / 0")
        with advisory_lock(second, "observe", wait_seconds=0):
            pass

    def test_a_waiting_one_gets_it_when_it_is_free(self, open_connection: Callable[[], Connection]) -> None:
        first, second = open_connection(), open_connection()
        first.cursor().execute("SELECT 1")
        lock = advisory_lock(first, "observe")
        lock.__enter__()
        first.close()  # as when its process dies
        started = time.monotonic()
        with advisory_lock(second, "observe", wait_seconds=10):
            assert time.monotonic() - started < 5
        lock.__exit__(None, None, None)

    def test_a_killed_process_never_leaves_one_behind(
        self, shared_url: str, open_connection: Callable[[], Connection]
    ) -> None:
        script = (
            "import sys, time\nfrom studyml.database.connection import advisory_lock, connect\n"
            f"with connect({shared_url!r}) as c, advisory_lock(c, 'observe'):\n"
            "    print('held', flush=True)\n    time.sleep(60)\n"
        )
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            process.kill()
        with advisory_lock(open_connection(), "observe", wait_seconds=10):
            pass
