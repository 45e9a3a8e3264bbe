"""Airflow on this machine: four components as processes, started together, watched, and stopped with all children.

Not ``airflow standalone``: that one opens log servers to the network and leaves its children behind.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psycopg2

from studyml.development import processes
from studyml.development.airflow_environment import (
    ADMIN,
    AirflowSettings,
    admin_password,
    airflow_environment,
    choose_port,
)
from studyml.development.processes import ProcessId
from studyml.development.rest_client import AirflowClient
from studyml.development.state import LOOPBACK, DevelopmentError, make_private_folder, read_json, tail, write_json

COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
_HEALTH_SECONDS = 180
_STOP_SECONDS = 10


class Airflow:
    """The running components of one state folder."""

    def __init__(
        self, state_dir: Path, port: int, components: list[ProcessId], database: str, *, with_schedule: bool
    ) -> None:
        self.state_dir = state_dir
        self.port = port
        self.components = components
        self.database = database
        self.with_schedule = with_schedule

    @property
    def base_url(self) -> str:
        """Address of the UI and of the REST API."""
        return f"http://{LOOPBACK}:{self.port}"

    def client(self) -> AirflowClient:
        """A client of the REST API, logged in as admin."""
        return AirflowClient(self.base_url, ADMIN, admin_password(self.state_dir))

    def check_alive(self) -> None:
        """Raise DevelopmentError with the end of its log when a component has ended."""
        for component in self.components:
            if not component.is_running():
                log = log_file(self.state_dir, component.name)
                raise DevelopmentError(f"Airflow's {component.name} has ended: {tail(log, 3)} (all of it: {log}).")

    def is_whole(self) -> bool:
        """Whether all four components run."""
        return len(self.components) == len(COMPONENTS) and all(c.is_running() for c in self.components)

    def keep_for(self, *, kept: bool) -> None:
        """Write down what runs; ``kept`` tells ``make up``'s Airflow from one that a killed command left."""
        value = {
            "port": self.port,
            "database": self.database,
            "with_schedule": self.with_schedule,
            "kept": kept,
            "components": [component.to_json() for component in self.components],
        }
        write_json(_state_file(self.state_dir), value)


def log_file(state_dir: Path, component: str) -> Path:
    """Where a component's output goes."""
    return state_dir / "logs" / f"{component}.log"


def migrate(settings: AirflowSettings) -> bool:
    """Bring Airflow's own tables up to date; False when they were already. Raises DevelopmentError."""
    marker = settings.home / "migrated.json"
    database = settings.metadata_url.rpartition("/")[2]
    release = version("apache-airflow-core")
    known = read_json(marker)
    # The command takes seconds even when it has nothing to do, so what it left is remembered, per database.
    revision = _revision(settings.metadata_url)
    if revision is not None and known.get(database) == [release, revision]:
        return False
    log = log_file(settings.state_dir, "db-migrate")
    with _opened(log) as output:
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        environment = airflow_environment(settings, choose_port(settings.state_dir))
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    if done.returncode != 0:
        raise DevelopmentError(f"airflow db migrate failed ({tail(log, 1)}): see {log}.")
    write_json(marker, known | {database: [release, _revision(settings.metadata_url)]})
    return True


def start(settings: AirflowSettings) -> Airflow:
    """Migrate and start the four components and wait until all are healthy.

    Whatever a killed command left running for this state folder is stopped first. Raises DevelopmentError.
    """
    stop(settings.state_dir)
    migrate(settings)
    port = choose_port(settings.state_dir)
    environment = airflow_environment(settings, port)
    database = settings.studyml_url.rpartition("/")[2]
    airflow = Airflow(settings.state_dir, port, [], database, with_schedule=settings.with_schedule)
    started = datetime.now(UTC)
    try:
        for name, arguments in COMPONENTS.items():
            airflow.components.append(_launch(settings.state_dir, name, arguments, environment))
            airflow.keep_for(kept=False)
        _wait_until_healthy(airflow, started)
    except BaseException:
        stop(settings.state_dir)
        raise
    return airflow


def stop(state_dir: Path) -> bool:
    """Stop every component and task of ``state_dir``; False when nothing was running."""
    state_file = _state_file(state_dir)
    components = [ProcessId.from_json(value) for value in read_json(state_file).get("components", [])]
    # Children are listed before their parents die; the marker finds those whose parents died earlier.
    found = {process.pid: process for process in [*processes.families(components), *processes.marked(state_dir)]}
    processes.stop(list(found.values()), patience_seconds=_STOP_SECONDS)
    processes.stop(processes.marked(state_dir), patience_seconds=0)
    state_file.unlink(missing_ok=True)
    return bool(found)


def kept(state_dir: Path) -> Airflow | None:
    """The Airflow that ``make up`` left running and that still is whole, else None."""
    value = read_json(_state_file(state_dir))
    if not value.get("kept"):
        return None
    components = [ProcessId.from_json(component) for component in value["components"]]
    schedule = bool(value["with_schedule"])
    airflow = Airflow(state_dir, int(value["port"]), components, str(value["database"]), with_schedule=schedule)
    return airflow if airflow.is_whole() else None


@contextmanager
def running_airflow(settings: AirflowSettings) -> Iterator[Airflow]:
    """Airflow for the length of a ``with`` block; stopped with all its tasks however the block ends."""
    airflow = start(settings)
    try:
        yield airflow
    finally:
        stop(settings.state_dir)


def _launch(state_dir: Path, name: str, arguments: list[str], environment: dict[str, str]) -> ProcessId:
    with _opened(log_file(state_dir, name)) as output:
        # A session of its own: Ctrl-C reaches the command, and the command stops its components in order.
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    started = ProcessId.of(name, process.pid)
    # It may outlive this command and is known by its pid from here on: Popen shall not warn that it still runs.
    process.returncode = 0
    return started


@contextmanager
def _opened(log: Path) -> Iterator[int]:
    make_private_folder(log.parent)
    with log.open("wb") as file:
        yield file.fileno()


def _wait_until_healthy(airflow: Airflow, started: datetime) -> None:
    deadline = time.monotonic() + _HEALTH_SECONDS
    with airflow.client() as client:
        while missing := client.unhealthy(since=started):
            airflow.check_alive()
            if time.monotonic() > deadline:
                logs = airflow.state_dir / "logs"
                raise DevelopmentError(f"Airflow's {', '.join(missing)} did not become healthy: see {logs}.")
            time.sleep(0.5)


def _revision(metadata_url: str) -> str | None:
    """Revision of Airflow's tables, None when there are none."""
    connection = psycopg2.connect(metadata_url, connect_timeout=10)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('alembic_version')")
            (table,) = cursor.fetchone() or (None,)
            if table is None:
                return None
            cursor.execute("SELECT version_num FROM alembic_version")
            row = cursor.fetchone()
            return None if row is None else str(row[0])
    finally:
        connection.close()


def _state_file(state_dir: Path) -> Path:
    return state_dir / "airflow.json"
