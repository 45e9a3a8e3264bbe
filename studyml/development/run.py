"""Behind ``make run``, ``make up`` and ``make down``: PostgreSQL, schema, data, Airflow, nights, and a summary."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from rich.console import Console

from studyml.database import migrate
from studyml.database.connection import connect
from studyml.database.nights import newest_finished
from studyml.development import airflow as airflow_module
from studyml.development import data_sources, nights, postgres
from studyml.development.airflow import Airflow
from studyml.development.airflow_environment import (
    ADMIN,
    AirflowSettings,
    admin_password,
    ignored_settings,
    studyml_environment,
)
from studyml.development.data_sources import DataSource
from studyml.development.progress import Progress, tolerate_any_encoding
from studyml.development.state import DevelopmentError, default_state_dir, exclusive, make_private_folder, project_root
from studyml.errors import StudymlError
from studyml.reporting.summary import print_summary
from studyml.settings import Settings, load_settings

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BUSY = "Another make run or make up is working in this checkout: wait until it ends, or stop it with Ctrl-C."


class Session:
    """One ``make run`` or ``make up``, from its arguments to its summary."""

    def __init__(self, state_dir: Path, source: DataSource, *, keep: bool, with_schedule: bool) -> None:
        self.state_dir = state_dir
        self.source = source
        self.keep = keep
        self.with_schedule = with_schedule
        self.progress = Progress()
        self.artifact_root = state_dir / "artifacts" / source.database
        self.database_url = ""

    def prepare_database(self) -> postgres.Server:
        """Start PostgreSQL, create and migrate the source's databases."""
        with self.progress.stage("PostgreSQL") as notes:
            server = postgres.start(self.state_dir)
            for name in (self.source.database, self.source.airflow_database):
                postgres.create_database(server, name)
            self.database_url = server.url(self.source.database)
            notes.append(f"on {server.host}:{server.port}, database {self.source.database}")
        with self.progress.stage("Schema"):
            for notice in migrate.upgrade(self.database_url):
                self.progress.say(f"  {notice}")
        return server

    def fill(self) -> None:
        """Load or simulate the data."""
        with self.progress.stage("Data") as notes:
            environment = studyml_environment(self.state_dir, self.database_url, self.artifact_root)
            notes.append(data_sources.fill(self.source, self.database_url, environment, self.progress.say))

    def settings(self, airflow_url: str | None = None) -> Settings:
        """Studyml's settings as the tasks have them."""
        return load_settings(
            database_url=self.database_url,
            source_url=self.database_url,
            source_schema="public",
            artifact_root=self.artifact_root,
            airflow_url=airflow_url,
        )

    def find_kept(self) -> Airflow | None:
        """The Airflow that ``make up`` left for this data; stops what a killed command left.

        Raises DevelopmentError when ``make up`` left one for other data and this is not ``make up`` itself.
        """
        left = airflow_module.kept(self.state_dir)
        if (
            left is not None
            and left.database == self.source.database
            and (not self.keep or left.with_schedule == self.with_schedule)
        ):
            return left
        if left is not None and not self.keep:
            raise DevelopmentError(f"Airflow is up for the database {left.database}: stop it first with make down.")
        if airflow_module.stop(self.state_dir) and left is None:
            self.progress.say("What an interrupted command had left running was stopped")
        return None

    def start_airflow(self, server: postgres.Server) -> Airflow:
        """Start the four components."""
        root = project_root()
        settings = AirflowSettings(
            state_dir=self.state_dir,
            metadata_url=server.url(self.source.airflow_database),
            studyml_url=self.database_url,
            artifact_root=self.artifact_root,
            dags_folder=root / "dags",
            plugins_folder=root / "plugins",
            with_schedule=self.with_schedule,
        )
        with self.progress.stage("Airflow") as notes:
            airflow = airflow_module.start(settings)
            notes.append(f"at {airflow.base_url}")
        return airflow

    def choose_nights(self, wanted: datetime | None) -> list[datetime]:
        """The nights to live, ``wanted`` alone if given; says so when some were lived before."""
        settings, now = self.settings(), datetime.now(UTC)
        newest = data_sources.end_of_newest_labelled_day(self.database_url, now, settings.source_timezone)
        with connect(self.database_url) as connection:
            lived = newest_finished(connection)
        chosen = nights.choose_nights(newest, lived, wanted, now)
        if wanted is None and newest is None:
            self.progress.say("No session has a label: one night, at the last midnight")
        elif wanted is None and lived is not None and len(chosen) == 1:
            self.progress.say(
                f"The nights up to {lived:%Y-%m-%d %H:%M} UTC were lived before: only the newest is lived again"
            )
        return chosen

    def live(self, airflow: Airflow, chosen: list[datetime]) -> None:
        """Live the nights and print the summary; raises NightFailedError at the first night that fails."""
        with airflow.client() as client:
            nights.wait_for_dags(airflow, client)
            if client.fail_active_runs():
                self.progress.say("Runs that an interrupted command had left were marked as failed")
            client.unpause(nights.NIGHTLY)
            lived: list[datetime] = []
            for as_of in chosen:
                lived.append(as_of)
                try:
                    with self.progress.stage(f"Night {as_of:%Y-%m-%d %H:%M} UTC"):
                        nights.live_night(airflow, client, as_of, self.progress.say)
                except nights.NightFailedError:
                    # What did succeed (a night scores even when its retraining fails) is worth seeing.
                    with suppress(StudymlError):
                        self.summarise(lived, airflow)
                    raise
            if self.keep:
                for dag_id in client.dag_ids():
                    # On its schedule the search would cost hours of processor time, for nobody who asked for it.
                    if not (self.with_schedule and dag_id == "studyml_tune"):
                        client.unpause(dag_id)
        self.summarise(lived, airflow)

    def summarise(self, chosen: list[datetime], airflow: Airflow) -> None:
        """Print what happened in the nights that were lived."""
        from studyml.steps.report import report

        settings = self.settings(airflow.base_url)
        reports: list[dict[str, Any]] = [report(settings, as_of=as_of) for as_of in chosen]
        where = {
            "versions": str(self.artifact_root),
            "logs": str(self.state_dir / "logs"),
            "predictions": f"analytics.study_time_predictions in the database {self.source.database}",
            "its address": (
                ".venv/bin/studyml dev postgres start;"
                f" .venv/bin/studyml dev postgres url --database {self.source.database}"
            ),
        }
        # In a log or a pipe there is no terminal whose width counts.
        console = Console() if sys.stdout.isatty() or "COLUMNS" in os.environ else Console(width=110)
        print_summary(console, data_sources.count_rows(self.database_url), reports, where)


def run(data: Path | None = None, as_of: str | None = None, seed: int | None = None) -> None:
    """``make run``: live the nights, print the summary, stop what was started. Raises StudymlError."""
    _session(data, as_of, seed, keep=False, with_schedule=False)


def up(
    data: Path | None = None, as_of: str | None = None, seed: int | None = None, *, with_schedule: bool = False
) -> None:
    """``make up``: as ``run``, but PostgreSQL and Airflow stay up; prints address and login."""
    _session(data, as_of, seed, keep=True, with_schedule=with_schedule)


def down(state_dir: Path | None = None) -> list[str]:
    """``make down``: stop Airflow and PostgreSQL; returns the names of what was running."""
    state_dir = state_dir or default_state_dir()
    with _working(state_dir):
        stopped = ["Airflow"] if airflow_module.stop(state_dir) else []
        return stopped + (["PostgreSQL"] if postgres.stop(state_dir) else [])


def remove(state_dir: Path | None = None) -> None:
    """``make clean``: stop everything and delete PostgreSQL's data, wherever it is."""
    state_dir = state_dir or default_state_dir()
    down(state_dir)
    postgres.remove(state_dir)


def _session(data: Path | None, as_of: str | None, seed: int | None, *, keep: bool, with_schedule: bool) -> None:
    tolerate_any_encoding()
    wanted = None if as_of is None else nights.parse_as_of(as_of, datetime.now(UTC))
    state_dir = make_private_folder(default_state_dir())
    started = time.monotonic()
    with _stoppable(), _working(state_dir), ExitStack() as cleanup:
        session = Session(
            state_dir, data_sources.choose_source(state_dir, data, seed), keep=keep, with_schedule=with_schedule
        )
        for name in ignored_settings():
            session.progress.say(f"{name} is not used here: make run brings its own database and artifact folder")
        airflow = session.find_kept()
        if airflow is None:
            cleanup.callback(_stop, session)
        server = session.prepare_database()
        session.fill()
        if airflow is None:
            airflow = session.start_airflow(server)
        else:
            address = airflow.base_url
            session.progress.say(
                f"Airflow is up already at {address}, with the settings of its start (make down first)"
            )
        session.live(airflow, session.choose_nights(wanted))
        if keep:
            cleanup.pop_all()
            airflow.keep_for(kept=True)
            _tell_login(session.progress, airflow)
    session.progress.say(f"Done in {time.monotonic() - started:.0f} s")


def _stop(session: Session) -> None:
    _ignore_signals()
    with session.progress.stage("Stopping"):
        airflow_module.stop(session.state_dir)
        if not postgres.is_kept(session.state_dir):
            postgres.stop(session.state_dir)


def _tell_login(progress: Progress, airflow: Airflow) -> None:
    progress.say(
        f"\nAirflow stays up at {airflow.base_url} (user {ADMIN}, password {admin_password(airflow.state_dir)})"
    )
    progress.say(
        "  DAGs start by themselves: nights on schedule, studyml_score and studyml_approve when they have to"
        if airflow.with_schedule
        else "  DAGs run when triggered, studyml_score and studyml_approve too (make up SCHEDULE=1: by themselves)"
    )
    progress.say("  make down stops it")


def _working(state_dir: Path) -> AbstractContextManager[None]:
    # An interrupted run needs some seconds to stop what it had started.
    return exclusive(make_private_folder(state_dir) / "run.lock", wait_seconds=45, busy=_BUSY)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM, SIGHUP and the death of make into one orderly end: what was started is stopped."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        _ignore_signals()  # a second one must not leave half of it running
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in _ENDING}
    if os.environ.get("STUDYML_STOP_WITH_PARENT"):
        threading.Thread(target=_watch_parent, args=(os.getppid(),), daemon=True).start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
