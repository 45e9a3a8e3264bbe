"""Predictions of a night: COPY into an unattached table, then swapped in as the night's partition.

Readers see all of the old rows or all of the new ones. A build table belongs to one scoring run, so two runs of
the same night never touch each other's rows.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import psycopg2
import psycopg2.errors
from numpy.typing import NDArray
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values

from studyml.database.binary import CopyStream, copy_out, encode
from studyml.database.replaced import keep_replaced
from studyml.errors import LockBusyError, RegistryError

COLUMNS = (
    "as_of",
    "session_id",
    "student_id",
    "topic_id",
    "session_date",
    "role",
    "model_version",
    "served",
    "predicted_hours",
    "lower_hours",
    "upper_hours",
    "lower_hours_90",
    "upper_hours_90",
    "input_warnings",
    "scored_at",
)
_SWAP_TRIES = 6
_KEEP_SUBJECTS = (
    "INSERT INTO studyml.topic_subjects AS t (topic_id, subject) VALUES %s ON CONFLICT (topic_id) DO UPDATE SET"
    " subject = excluded.subject WHERE t.subject IS DISTINCT FROM excluded.subject"
)
# A partition's statistics from 3,000 rows: enough for its plain queries, a tenth of the default's time.
_STATISTICS_TARGET = 10


@dataclass(frozen=True)
class ScoringRun:
    """One scoring of one night, as ``scoring_runs`` holds it."""

    id: int
    as_of: datetime
    versions: tuple[str, ...]
    planned: int
    status: str
    started_at: datetime


def open_scoring_run(
    connection: Connection,
    *,
    as_of: datetime,
    versions: Sequence[str],
    planned: int,
    now: datetime,
    dag_run_id: str | None,
) -> int:
    """Record a scoring run and create its empty build table; return the run's id. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO studyml.scoring_runs (as_of, versions, planned, status, dag_run_id, started_at)"
            " VALUES (%s, %s, %s, 'running', %s, %s) RETURNING id",
            (as_of, list(versions), planned, dag_run_id, now),
        )
        run_id = int((cursor.fetchone() or (0,))[0])
        cursor.execute(
            sql.SQL("CREATE TABLE {} (LIKE studyml.predictions INCLUDING DEFAULTS INCLUDING CONSTRAINTS)").format(
                build_table(run_id)
            )
        )
        # Unlogged: lost in a crash of the server, it is found to be incomplete, and the scoring starts again.
        cursor.execute(
            sql.SQL("CREATE UNLOGGED TABLE {} (session_id bigint, reason text)").format(refused_table(run_id))
        )
    return run_id


def build_table(run_id: int) -> sql.Identifier:
    """The unattached table of a scoring run."""
    return sql.Identifier("studyml", f"predictions_build_{run_id}")


def refused_table(run_id: int) -> sql.Identifier:
    """The planned sessions (no reason) and the refused ones (with the reason) of a run, until it is published."""
    return sql.Identifier("studyml", f"refused_build_{run_id}")


def record_planned(connection: Connection, run_id: int, ids: NDArray[np.int64]) -> None:
    """Keep which sessions are planned: the source may change until their range is scored. The caller commits."""
    copy = sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(refused_table(run_id))
    with connection.cursor() as cursor:
        cursor.copy_expert(copy, CopyStream(iter([encode({"session_id": ids, "reason": None}, len(ids))])))


def planned_ids(connection: Connection, run_id: int, ids: tuple[int, int]) -> NDArray[np.int64]:
    """Ids, ascending, of the run's planned sessions in the closed range ``ids``."""
    query = sql.SQL("SELECT session_id FROM {} WHERE reason IS NULL AND session_id BETWEEN {} AND {}").format(
        refused_table(run_id), sql.Literal(ids[0]), sql.Literal(ids[1])
    )
    return np.sort(copy_out(connection, query, {"session_id": ">i8"})["session_id"].astype(np.int64))


def scoring_run(connection: Connection, run_id: int) -> ScoringRun:
    """The run; raises RegistryError where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, as_of, versions, planned, status, started_at FROM studyml.scoring_runs WHERE id = %s", (run_id,)
        )
        row = cursor.fetchone()
    if row is None:
        raise RegistryError(f"there is no scoring run {run_id}: start the scoring again from its plan.")
    return ScoringRun(int(row[0]), row[1], tuple(row[2]), int(row[3]), str(row[4]), row[5])


def write_range(
    connection: Connection,
    run_id: int,
    ids: tuple[int, int],
    blocks: Iterator[bytes],
    refused: Mapping[int, str],
) -> int:
    """Write one range of session ids in one transaction, replacing what an earlier try wrote; return the rows.

    An error of ``blocks`` is raised as it is, and nothing is written.
    """
    failures: list[Exception] = []
    with connection.cursor() as cursor:
        for table, rows in ((build_table(run_id), "true"), (refused_table(run_id), "reason IS NOT NULL")):
            delete = sql.SQL("DELETE FROM {} WHERE session_id BETWEEN %s AND %s AND " + rows).format(table)
            cursor.execute(delete, ids)
        names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
        copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(build_table(run_id), names)
        try:
            cursor.copy_expert(copy, CopyStream(_watched(blocks, failures)), size=1 << 18)
        except psycopg2.Error:
            if failures:
                raise failures[0] from None
            raise
        written = cursor.rowcount
        if refused:
            insert = sql.SQL("INSERT INTO {} (session_id, reason) VALUES %s").format(refused_table(run_id))
            execute_values(cursor, insert, list(refused.items()))
    connection.commit()
    return int(written)


def _watched(blocks: Iterator[bytes], failures: list[Exception]) -> Iterator[bytes]:
    # psycopg2 turns what a stream raises into an error of the server.
    try:
        yield from blocks
    except Exception as error:
        failures.append(error)
        raise


def publish(
    connection: Connection,
    run: ScoringRun,
    *,
    subjects: Sequence[tuple[int, str | None]],
    now: datetime,
    lock_timeout_seconds: float,
) -> tuple[int, int]:
    """Key the build table and swap it in as the night's partition; return (written, refused).

    Raises RegistryError where rows are missing or twice, LockBusyError where readers held the table too long.
    """
    try:
        _prepare(connection, run)
    except psycopg2.errors.UniqueViolation:
        raise RegistryError(f"scoring run {run.id} wrote a session twice: start it again from its plan.") from None
    for attempt in range(_SWAP_TRIES):
        if attempt:
            time.sleep(min(0.5 * 2 ** (attempt - 1), 8))
        try:
            return _swap(connection, run, subjects, now, lock_timeout_seconds)
        except psycopg2.errors.LockNotAvailable:
            connection.rollback()
    raise LockBusyError(
        f"readers held studyml.predictions through {_SWAP_TRIES} tries: the night's old rows stay; score it again."
    )


def _prepare(connection: Connection, run: ScoringRun) -> None:
    table = build_table(run.id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", (table.as_string(connection),))
        if (cursor.fetchone() or (None,))[0] is None:
            raise RegistryError(f"the rows of scoring run {run.id} are gone: start the scoring again from its plan.")
        cursor.execute(
            "SELECT count(*) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'p'",
            (table.as_string(connection),),
        )
        if not (cursor.fetchone() or (0,))[0]:
            cursor.execute(
                sql.SQL(
                    "ALTER TABLE {} ADD PRIMARY KEY (as_of, session_id, role),"
                    " ADD CONSTRAINT of_this_night CHECK (as_of = {})"
                ).format(table, sql.Literal(run.as_of))
            )
        counts = "SELECT count(*) FILTER (WHERE served), count(*), (SELECT count(reason) FROM {}) FROM {}"
        cursor.execute(sql.SQL(counts).format(refused_table(run.id), table))
        served, rows, refused = cursor.fetchone() or (0, 0, 0)
        if served + refused != run.planned or rows != served * len(run.versions):
            of = "" if len(run.versions) == 1 else f" in {rows} rows of {len(run.versions)} versions"
            raise RegistryError(
                f"scoring run {run.id} planned {run.planned} sessions but wrote {served}{of} and refused {refused}:"
                " start the scoring again from its plan."
            )
        cursor.execute("SELECT set_config('default_statistics_target', %s, true)", (str(_STATISTICS_TARGET),))
        cursor.execute(sql.SQL("ANALYZE {}").format(table))
    connection.commit()


def _swap(
    connection: Connection,
    run: ScoringRun,
    subjects: Sequence[tuple[int, str | None]],
    now: datetime,
    lock_timeout_seconds: float,
) -> tuple[int, int]:
    name = f"predictions_{run.as_of:%Y%m%dT%H%M%S%f}"
    partition = sql.Identifier("studyml", name)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", (f"{int(lock_timeout_seconds * 1000)}ms",))
        # Two swaps at once wait for each other here; readers are not held up yet.
        cursor.execute("LOCK TABLE studyml.predictions IN SHARE UPDATE EXCLUSIVE MODE")
        cursor.execute("SELECT to_regclass(%s)", (partition.as_string(connection),))
        if (cursor.fetchone() or (None,))[0] is not None:
            keep_replaced(connection, as_of=run.as_of, run_id=run.id, now=now)
            cursor.execute(sql.SQL("ALTER TABLE studyml.predictions DETACH PARTITION {0}").format(partition))
            cursor.execute(sql.SQL("DROP TABLE {}").format(partition))
        cursor.execute(
            sql.SQL("ALTER TABLE studyml.predictions ATTACH PARTITION {} FOR VALUES IN ({})").format(
                build_table(run.id), sql.Literal(run.as_of)
            )
        )
        cursor.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(build_table(run.id), sql.Identifier(name)))
        counts = _record(connection, run, subjects, now)
        cursor.execute(sql.SQL("DROP TABLE {}").format(refused_table(run.id)))
    connection.commit()
    return counts


def _record(
    connection: Connection, run: ScoringRun, subjects: Sequence[tuple[int, str | None]], now: datetime
) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM studyml.refused_sessions WHERE as_of = %s", (run.as_of,))
        cursor.execute(
            sql.SQL(
                "INSERT INTO studyml.refused_sessions (as_of, session_id, reason)"
                " SELECT %s, session_id, reason FROM {} WHERE reason IS NOT NULL"
            ).format(refused_table(run.id)),
            (run.as_of,),
        )
        refused = cursor.rowcount
        if subjects:
            execute_values(cursor, _KEEP_SUBJECTS, subjects)
        written = run.planned - refused
        cursor.execute(
            "UPDATE studyml.scoring_runs SET status = 'complete', written = %s, refused = %s, finished_at = %s"
            " WHERE id = %s",
            (written, refused, now, run.id),
        )
    return written, refused


def published_counts(connection: Connection, run: ScoringRun) -> tuple[int, int] | None:
    """(written, refused) of the night where this run or a newer one of it is published, else None."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT written, refused FROM studyml.scoring_runs WHERE as_of = %s AND status = 'complete' AND id >= %s"
            " ORDER BY id DESC LIMIT 1",
            (run.as_of, run.id),
        )
        return cursor.fetchone()


def newest_scored_night(connection: Connection) -> tuple[datetime, tuple[str, ...]] | None:
    """(as_of, versions) of the newest night with complete predictions."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT as_of, versions FROM studyml.scoring_runs WHERE status = 'complete'"
            " ORDER BY as_of DESC, id DESC LIMIT 1"
        )
        return next(((as_of, tuple(versions)) for as_of, versions in cursor.fetchall()), None)
