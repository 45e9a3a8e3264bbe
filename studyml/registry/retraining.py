"""Retrainings from the count of new labels to the decision (table ``retraining_runs``)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg2
from psycopg2.extensions import connection as Connection

from studyml.errors import RegistryError, StudymlError

#: Decisions that use up the labels they were made on: the same data is not tried again every night.
CONSUMING = ("promoted", "fallback", "rejected", "challenger", "awaiting_approval")
#: Decisions that brought a version: it serves, is tried beside the champion, or waits for a person.
BROUGHT = ("promoted", "fallback", "challenger", "awaiting_approval")
#: Those whose version serves nobody yet, or few, and may still be rejected.
OPEN_ENDED = ("challenger", "awaiting_approval")
#: Decisions that brought nothing and used up nothing: the same data would be tried again.
FAILED = ("failed", "abandoned")

_COLUMNS = (
    "id, as_of, reason, new_labels, labels_needed, consumed_through, decision, reasons, note, version, incident_id,"
    " dag_run_id, started_at"
)


@dataclass(frozen=True)
class RetrainingRun:
    """One row of ``retraining_runs``; ``consumed_through`` is the newest outcome_id it may learn from."""

    id: int
    as_of: datetime
    reason: str | None
    new_labels: int
    labels_needed: int
    consumed_through: int | None
    decision: str | None
    reasons: list[str]
    note: str | None
    version: str | None
    incident_id: int | None
    dag_run_id: str | None
    started_at: datetime


def consumed_through(connection: Connection) -> int:
    """The newest outcome_id that a decided retraining has used; 0 before the first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(max(consumed_through), 0) FROM studyml.retraining_runs WHERE decision = ANY(%s)",
            (list(CONSUMING),),
        )
        return int((cursor.fetchone() or (0,))[0])


def open_run(
    connection: Connection,
    *,
    as_of: datetime,
    now: datetime,
    reason: str | None,
    new_labels: int,
    labels_needed: int,
    newest_outcome_id: int,
    incident_id: int | None,
    note: str,
    dag_run_id: str | None,
) -> int:
    """Record a retraining that starts, or (``reason`` None) that it is skipped; return its id. The caller commits."""
    decision = None if reason else "skipped"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO studyml.retraining_runs (as_of, reason, new_labels, labels_needed, consumed_through, decision,"
            " reasons, note, incident_id, dag_run_id, started_at, decided_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (
                as_of,
                reason,
                new_labels,
                labels_needed,
                newest_outcome_id if reason else None,
                decision,
                [] if reason else [note],
                note,
                incident_id,
                dag_run_id,
                now,
                None if reason else now,
            ),
        )
        return int((cursor.fetchone() or (0,))[0])


def find_run(connection: Connection, run_id: int) -> RetrainingRun:
    """The run; raises RegistryError where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM studyml.retraining_runs WHERE id = %s", (run_id,))
        row = cursor.fetchone()
    if row is None:
        raise RegistryError(f"there is no retraining run {run_id}: start the retraining again.")
    return RetrainingRun(*row)


def latest_run(connection: Connection, as_of: datetime) -> RetrainingRun | None:
    """The run that says most about a night: the last that trained, else the last that was skipped."""
    return _first(connection, "as_of = %s ORDER BY (decision IS DISTINCT FROM 'skipped') DESC, id DESC", as_of)


def newest_in_a_row(connection: Connection) -> list[RetrainingRun]:
    """The runs since the last one that brought a version, newest first; skipped and undecided ones left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM studyml.retraining_runs WHERE decision IN ('rejected', 'failed', 'abandoned')"
            " AND id > coalesce((SELECT max(id) FROM studyml.retraining_runs WHERE decision = ANY(%s)), 0)"
            " ORDER BY id DESC",
            (list(BROUGHT),),
        )
        return [RetrainingRun(*row) for row in cursor.fetchall()]


def newest_tried(connection: Connection) -> RetrainingRun | None:
    """The newest run that was decided and not skipped."""
    return _first(connection, "decision IS NOT NULL AND decision <> 'skipped' ORDER BY id DESC")


def breaker_open(tries: Sequence[RetrainingRun], failures: int) -> bool:
    """Whether the newest ``failures`` of ``tries`` (newest_in_a_row) all failed: the same data are not tried again."""
    return len(tries) >= failures and all(run.decision in FAILED for run in tries[:failures])


def undecided_run(connection: Connection, *, as_of: datetime, dag_run_id: str | None) -> RetrainingRun | None:
    """The undecided run that a DAG run, or a command, opened for a night: tried again it goes on with that one."""
    condition = "as_of = %s AND dag_run_id IS NOT DISTINCT FROM %s AND decision IS NULL ORDER BY id DESC"
    return _first(connection, condition, as_of, dag_run_id)


def newest_undecided(connection: Connection) -> RetrainingRun | None:
    """The newest run that is not decided: it is under way, or its process was killed."""
    return _first(connection, "decision IS NULL ORDER BY id DESC")


def decided_for(connection: Connection, incident_id: int) -> RetrainingRun | None:
    """The newest decided run that an incident made due."""
    return _first(connection, "incident_id = %s AND decision IS NOT NULL ORDER BY id DESC", incident_id)


def _first(connection: Connection, condition: str, *values: object) -> RetrainingRun | None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM studyml.retraining_runs WHERE {condition} LIMIT 1", values)
        row = cursor.fetchone()
    return None if row is None else RetrainingRun(*row)


def set_version(connection: Connection, run_id: int, version: str) -> None:
    """Remember which version a run builds. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE studyml.retraining_runs SET version = %s WHERE id = %s", (version, run_id))


def decide(connection: Connection, run_id: int, decision: str, reasons: list[str], now: datetime | None) -> None:
    """Record a run's decision with its reasons, ``now`` (None: by the database's clock). The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.retraining_runs SET decision = %s, reasons = %s,"
            " decided_at = coalesce(%s, clock_timestamp()) WHERE id = %s",
            (decision, reasons, now, run_id),
        )


@contextmanager
def failure_recorded(connection: Connection, run_id: int, now: datetime | None) -> Iterator[None]:
    """Where the work raises an error for a person, or PostgreSQL one, the run is ``failed`` with it; committed here.

    A failed run uses up no labels, and a retry may still bring it to a decision.
    """
    try:
        yield
    except StudymlError as error:
        connection.rollback()
        decide(connection, run_id, "failed", [str(error)], now)
        connection.commit()
        raise
    except psycopg2.Error as error:
        if not connection.closed:
            connection.rollback()
            # What PostgreSQL says of a value quotes it.
            words = None if isinstance(error, psycopg2.DataError) else error.diag.message_primary
            reason = f"PostgreSQL refused a statement: {words or type(error).__name__}"
            decide(connection, run_id, "failed", [reason], now)
            connection.commit()
        raise


def abandon_undecided(connection: Connection, *, now: datetime, started_before: datetime) -> list[str]:
    """Close runs that a killed process left without a decision; return the candidates that nobody will judge any more.

    Those of failed runs are among them: by then no retry brings them to a decision.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.retraining_runs SET decision = 'abandoned', decided_at = %s,"
            " reasons = ARRAY['the process ended before a decision'] WHERE decision IS NULL AND started_at < %s",
            (now, started_before),
        )
        cursor.execute(
            "SELECT r.version FROM studyml.retraining_runs r JOIN studyml.model_versions v USING (version)"
            " WHERE v.status = 'candidate' AND r.decision IN ('abandoned', 'failed') AND r.started_at < %s",
            (started_before,),
        )
        return [str(version) for (version,) in cursor.fetchall() if version]
