"""The embedded PostgreSQL of ``make run`` and of the tests: on 127.0.0.1 only, no Unix socket, a random password.

A server outlives the command that started it, however that ended: the next ``start`` finds it by its pid file
and goes on with it, or clears away what a crash has left.
"""

import shlex
import shutil
import time
import urllib.parse
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
from psycopg2 import sql

from studyml.development import processes
from studyml.development.postgres_home import Home, find_home
from studyml.development.state import (
    LOOPBACK,
    DevelopmentError,
    exclusive,
    make_private_folder,
    remembered_port,
    remembered_secret,
    tail,
    write_private,
)

USER = "postgres"
DATABASES = ("airflow", "studyml")
_PASSWORD_FILE = "postgres.password"
_PORT_FILE = "postgres.port"
_LOCK_FILE = "postgres.lock"
_KEPT_FILE = "postgres.kept"
_START_ATTEMPTS = 5


@dataclass(frozen=True)
class Server:
    """How to reach a running server. ``repr`` does not show the password; ``url`` does."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)

    def url(self, database: str = "studyml") -> str:
        """postgresql:// address of ``database``, password included."""
        password = urllib.parse.quote(self.password, safe="")
        return f"postgresql://{self.user}:{password}@{self.host}:{self.port}/{database}"


def start(state_dir: Path, *, settings: Mapping[str, str] | None = None) -> Server:
    """Start the server of ``state_dir``, or adopt it when it already runs; its two databases exist afterwards.

    ``settings`` are server settings for tests (such as fsync=off). Raises DevelopmentError when it does not start.
    """
    make_private_folder(state_dir)
    with _locked(state_dir):
        home = find_home(state_dir)
        _initialise(home, state_dir)
        password = remembered_secret(state_dir / _PASSWORD_FILE)
        server = _adopt(home, password)
        if server is None:
            server = Server(LOOPBACK, _launch(home, state_dir, settings or {}), USER, password)
        for database in DATABASES:
            create_database(server, database)
        return server


def running(state_dir: Path) -> Server | None:
    """The server of ``state_dir`` if it runs, else None."""
    password = state_dir / _PASSWORD_FILE
    port = _running_port(find_home(state_dir)) if password.exists() else None
    return None if port is None else Server(LOOPBACK, port, USER, remembered_secret(password))


def url(state_dir: Path, database: str = "studyml") -> str:
    """Address of ``database`` on the running server; raises DevelopmentError when none runs."""
    server = running(state_dir)
    if server is None:
        raise DevelopmentError("The embedded PostgreSQL is not running: start it with studyml dev postgres start.")
    return server.url(database)


def keep(state_dir: Path) -> None:
    """Note that the server was started on its own, so that ``make run`` leaves it running."""
    write_private(state_dir / _KEPT_FILE, "")


def is_kept(state_dir: Path) -> bool:
    """Whether ``keep`` was called since the server was last stopped."""
    return (state_dir / _KEPT_FILE).exists()


def stop(state_dir: Path) -> bool:
    """Stop the server of ``state_dir``; False when none was running. Open connections are cut."""
    if not state_dir.exists():
        return False
    (state_dir / _KEPT_FILE).unlink(missing_ok=True)
    with _locked(state_dir):
        return _stop(find_home(state_dir))


def remove(state_dir: Path) -> None:
    """Stop the server of ``state_dir`` and delete its data, port and password."""
    if not state_dir.exists():
        return
    with _locked(state_dir):
        home = find_home(state_dir)
        _stop(home)
        home.remove()
        for name in (_PASSWORD_FILE, _PORT_FILE):
            (state_dir / name).unlink(missing_ok=True)


def create_database(server: Server, name: str, *, template: str | None = None) -> bool:
    """Create ``name`` (a copy of ``template`` if given) unless it exists; True when it was created."""
    with closing(_connect(server)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if cursor.fetchone():
            return False
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        cursor.execute(statement)
        return True


def drop_database(server: Server, name: str) -> None:
    """Drop ``name`` if it exists, cutting connections to it."""
    with closing(_connect(server)) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _connect(server: Server) -> psycopg2.extensions.connection:
    try:
        connection = psycopg2.connect(server.url("postgres"), connect_timeout=10)
    except psycopg2.OperationalError as error:
        raise DevelopmentError(f"The embedded PostgreSQL does not answer: {str(error).strip()}.") from error
    connection.autocommit = True
    return connection


def _locked(state_dir: Path) -> AbstractContextManager[None]:
    busy = f"Another command is starting or stopping the PostgreSQL of {state_dir}: try again when it is done."
    return exclusive(state_dir / _LOCK_FILE, wait_seconds=90, busy=busy)


def _initialise(home: Home, state_dir: Path) -> None:
    """Make the data folder, aside and then renamed, so that a killed start leaves none or a whole one."""
    password = state_dir / _PASSWORD_FILE
    if home.data.exists() and not password.exists():
        _stop(home)
        shutil.rmtree(home.data)  # its checkout was deleted and cloned anew: nobody can open it any more
    if home.data.exists():
        return
    aside = home.folder / "data.new"
    if aside.exists():
        shutil.rmtree(aside)
    secret = home.folder / "initial.password"
    secret.unlink(missing_ok=True)
    try:
        write_private(secret, remembered_secret(password) + "\n")
        home.give(secret)
        home.run(
            "initdb",
            f"--pgdata={aside}",
            f"--username={USER}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        )
    finally:
        secret.unlink(missing_ok=True)
    aside.rename(home.data)


def _adopt(home: Home, password: str) -> Server | None:
    """The server that runs already, once it answers: it may be starting up, or just dying. None when there is none."""
    deadline = time.monotonic() + 60
    while (port := _running_port(home)) is not None:
        server = Server(LOOPBACK, port, USER, password)
        try:
            _connect(server).close()
            return server
        except DevelopmentError as error:
            if time.monotonic() > deadline or "password" in str(error):
                raise
            time.sleep(0.1)
    return None


def _launch(home: Home, state_dir: Path, settings: Mapping[str, str]) -> int:
    """Start the server on a remembered port; returns the port."""
    _forget_reused_pid(home)
    port = remembered_port(state_dir / _PORT_FILE)
    every = {"timezone": "UTC", "log_timezone": "UTC", **settings}
    options = [f"-h {LOOPBACK} -p {port} -k ''", *(f"-c {shlex.quote(f'{k}={v}')}" for k, v in every.items())]
    command = ["-w", "-t", "60", "-D", str(home.data), "-l", str(home.log), "-o", " ".join(options)]
    for attempt in range(_START_ATTEMPTS):
        try:
            home.run("pg_ctl", "start", *command)
            break
        except DevelopmentError as error:
            if attempt + 1 == _START_ATTEMPTS or "shared memory" not in tail(home.log, 10):
                last = tail(home.log, 1) or str(error)
                raise DevelopmentError(f"The embedded PostgreSQL did not start ({last}): see {home.log}.") from error
            time.sleep(1)  # the backends of a killed server need a moment to notice and end
    return port


def _pid_file_lines(home: Home) -> list[str]:
    """Pid, data folder, start time, port, ... of the server that runs or ran last; empty without a pid file."""
    try:
        return (home.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _running_port(home: Home) -> int | None:
    """Port of the server that runs on ``home``'s data, by its pid file; None when there is none."""
    lines = _pid_file_lines(home)
    if len(lines) < 4 or not processes.runs_in(int(lines[0]), home.data):
        return None
    return int(lines[3])


def _forget_reused_pid(home: Home) -> None:
    """Delete the pid file of a crashed server whose pid another program has now: PostgreSQL would not start.

    With a dead pid the file stays: PostgreSQL uses it to see whether old backends still hold the data.
    """
    lines = _pid_file_lines(home)
    if lines and processes.exists(int(lines[0])):
        (home.data / "postmaster.pid").unlink(missing_ok=True)


def _stop(home: Home) -> bool:
    if _running_port(home) is None:
        return False
    try:
        home.run("pg_ctl", "stop", "-w", "-t", "30", "-m", "fast", "-D", str(home.data))
    except DevelopmentError:
        home.run("pg_ctl", "stop", "-w", "-t", "30", "-m", "immediate", "-D", str(home.data))
    return True
