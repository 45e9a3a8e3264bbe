"""Data for ``make run``: simulated or from CSV files, each source in databases of its own, so that none mix."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg2

from studyml.development.state import DevelopmentError, read_json, write_json

_TABLES = ("students", "topics", "study_sessions")


@dataclass(frozen=True)
class DataSource:
    """Where the sessions come from: a folder of CSV files, or the simulation with a seed (None: its default)."""

    database: str
    airflow_database: str
    folder: Path | None = None
    seed: int | None = None

    def describe(self) -> str:
        """A few words for a person."""
        if self.folder is not None:
            return f"CSV files of {self.folder}"
        return "simulated from the guide's distribution" + ("" if self.seed is None else f", seed {self.seed}")


def choose_source(state_dir: Path, folder: Path | None, seed: int | None) -> DataSource:
    """The source that was asked for, with the database names it has kept since its first use.

    Raises DevelopmentError when ``folder`` does not exist, or when both are given.
    """
    if folder is not None and seed is not None:
        raise DevelopmentError("DATA and SEED exclude each other: SEED is for simulated data.")
    if folder is not None and not folder.is_dir():
        raise DevelopmentError(
            f"DATA={folder} is not a folder: name one with students.csv, topics.csv, study_sessions.csv."
        )
    folder = None if folder is None else folder.resolve()
    description = f"folder {folder}" if folder is not None else f"simulated {seed}"
    known = read_json(state_dir / "sources.json")
    suffix = _suffix(folder, seed)
    if known.get(suffix, description) != description:
        suffix += "_" + hashlib.sha256(description.encode()).hexdigest()[:6]  # two folders of the same name
    if suffix not in known:
        write_json(state_dir / "sources.json", known | {suffix: description})
    return DataSource(f"studyml{suffix}", f"airflow{suffix}", folder, seed)


def _suffix(folder: Path | None, seed: int | None) -> str:
    if folder is not None:
        name = re.sub(r"[^a-z0-9]+", "_", folder.name.lower()).strip("_")[:40]
        return f"_{name or 'data'}"
    return "" if seed is None else f"_seed_{seed}"


def count_rows(database_url: str) -> dict[str, int]:
    """Rows of the three source tables; 0 for a table that does not exist yet."""
    counts = {}
    with closing(psycopg2.connect(database_url, connect_timeout=10)) as connection, connection.cursor() as cursor:
        for table in _TABLES:
            cursor.execute("SELECT to_regclass(%s)", (f"public.{table}",))
            (exists,) = cursor.fetchone() or (None,)
            if exists is None:
                counts[table] = 0
                continue
            cursor.execute(f"SELECT count(*) FROM public.{table}")
            (counts[table],) = cursor.fetchone() or (0,)
    return counts


def end_of_newest_labelled_day(database_url: str, now: datetime, timezone: str) -> datetime | None:
    """Midnight UTC after the newest labelled session, ``now`` where that day is not over; None without any label."""
    with closing(psycopg2.connect(database_url, connect_timeout=10)) as connection, connection.cursor() as cursor:
        # Naive times of the source are read in the source's time zone, here as everywhere.
        cursor.execute("SELECT set_config('TimeZone', %s, false)", (timezone,))
        cursor.execute(
            "SELECT max(session_date) FROM public.study_sessions"
            " WHERE actual_duration IS NOT NULL AND session_date <= %s",
            (now,),
        )
        (newest,) = cursor.fetchone() or (None,)
    if newest is None:
        return None
    return min(end_of_day(newest, timezone), now)


def end_of_day(moment: date | datetime, timezone: str) -> datetime:
    """Midnight UTC that ends the UTC day of ``moment`` (a plain date stands for that day)."""
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo(timezone))
        moment = aware.astimezone(UTC).date()
    return datetime.combine(moment + timedelta(days=1), time(), tzinfo=UTC)


def fill(source: DataSource, database_url: str, environment: Mapping[str, str], say: Callable[[str], None]) -> str:
    """Bring the data into the database by the commands a user would use; returns what was done, for a person.

    CSV files are loaded every time, which changes nothing when they are the same; a simulation is kept.
    Raises DevelopmentError with the command's own sentence when it fails.
    """
    if source.folder is not None:
        _command(["load", str(source.folder)], environment, say)
        return f"loaded from {source.folder}"
    sessions = count_rows(database_url)["study_sessions"]
    if sessions:
        return f"{sessions:,} sessions are there already"
    _command(["simulate", *(["--seed", str(source.seed)] if source.seed is not None else [])], environment, say)
    return source.describe()


def _command(arguments: list[str], environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Run ``studyml`` with ``arguments``, showing its lines as they come."""
    command = [sys.executable, "-c", "from studyml.cli import main; main()", *arguments]
    last = ""
    with subprocess.Popen(
        command,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or []:
                last = line.strip() or last
                # The sentence of a failure is told once, at the end.
                if line.strip() and not last.startswith("error: "):
                    say(f"  {last}")
        except BaseException:
            process.kill()  # the database takes it back: loading is all or nothing
            raise
    if process.returncode != 0:
        raise DevelopmentError(last.removeprefix("error: ") or f"studyml {arguments[0]} failed without a word.")
