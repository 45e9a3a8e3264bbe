"""Load or simulate study logs into the source database: all or nothing, every refused row kept with its reason."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from studyml.contract import TABLES
from studyml.database.connection import Connection, advisory_lock, connect
from studyml.database.csv_files import CsvFile, open_csv
from studyml.database.importing import ImportedFile, import_file, open_refusals
from studyml.database.quarantine import record_refused
from studyml.database.source_tables import count_sessions, ensure_references, ensure_source_tables
from studyml.errors import InputError
from studyml.settings import Settings
from studyml.simulation import Simulation, simulate, write_csv
from studyml.steps.opening import own_database

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Loaded:
    """What a load did, file by file."""

    files: tuple[ImportedFile, ...]


def load(settings: Settings, directory: Path, *, now: datetime, progress: Progress) -> Loaded:
    """Load students.csv, topics.csv and study_sessions.csv of ``directory``; known ids are updated.

    Raises InputError naming file, line and value for what cannot be read, SourceError for a schema that is not
    ours; nothing is stored then. Impossible rows are quarantined.
    """
    if not directory.is_dir():
        raise InputError(f"{directory} is not a folder: name the folder that holds the three CSV files.")
    opened = {table: open_csv(directory, table) for table in TABLES}
    with own_database(settings) as own, _source(settings, own) as source, advisory_lock(own, "load"):
        files = _import(source, settings, opened, now, progress)
        refused = sum(file.quarantined for file in files)
        if refused:
            progress(f"keeping {refused} refused rows with their reasons")
            record_refused(source, own, now)
        if source is not own:
            # Ours last: where only the source's commit took place, the next load records the same refusals.
            source.commit()
        own.commit()
        _analyze(source, settings.source_schema)
    return Loaded(tuple(files))


@contextlib.contextmanager
def _source(settings: Settings, own: Connection) -> Iterator[Connection]:
    if settings.source == settings.database:
        with own.cursor() as cursor:
            cursor.execute("SELECT set_config('TimeZone', %s, false)", (settings.source_timezone,))
        own.commit()
        yield own
        return
    with connect(
        settings.source,
        timezone=settings.source_timezone,
        statement_timeout_seconds=settings.statement_timeout_seconds,
    ) as connection:
        yield connection


def _import(
    source: Connection, settings: Settings, opened: dict[str, CsvFile], now: datetime, progress: Progress
) -> list[ImportedFile]:
    schema = settings.source_schema
    ensure_source_tables(source, schema)
    open_refusals(source)
    files = []
    for table, file in opened.items():
        progress(f"loading {file.path.name}")
        files.append(
            import_file(
                source,
                schema,
                table,
                file,
                now=now,
                progress=lambda name, share: progress(f"reading {name}: {share:.0%}"),
            )
        )
    ensure_references(source, schema)
    return files


def _analyze(source: Connection, schema: str) -> None:
    from psycopg2 import sql

    with source.cursor() as cursor:
        for table in TABLES:
            cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(schema, table)))
    source.commit()


def simulate_into_database(
    settings: Settings, plan: Simulation, *, end: datetime, now: datetime, progress: Progress
) -> Loaded:
    """Fill an empty database with simulated logs up to ``end`` and planned sessions for the week after.

    Raises InputError where there are sessions already: simulated ids would overwrite them.
    """
    with own_database(settings) as own, _source(settings, own) as source:
        ensure_source_tables(source, settings.source_schema)
        present = count_sessions(source, settings.source_schema)
        source.rollback()
    if present:
        raise InputError(
            f"{settings.source_schema}.study_sessions already holds {present} sessions: simulate into an empty"
            " database, or write files with --out DIR."
        )
    with tempfile.TemporaryDirectory() as folder:
        progress(
            f"simulating {plan.sessions} sessions of {plan.students} students over {plan.days} days, seed {plan.seed}"
        )
        write_csv(simulate(plan, end), Path(folder))
        return load(settings, Path(folder), now=now, progress=progress)
