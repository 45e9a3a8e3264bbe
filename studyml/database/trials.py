"""Trials of a hyperparameter search (table ``tuning_trials``): planned once, claimed, and kept with what they measured.

A trial is ``planned``, ``running`` while a worker has it (or was killed with it), and ends ``done`` or ``failed``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extras import Json

from studyml.errors import RegistryError


@dataclass(frozen=True)
class Search:
    """What all trials of a search share: the night, and what is searched how."""

    id: str
    as_of: datetime
    architecture: str
    recipe: str
    strategy: str
    seed: int


@dataclass(frozen=True)
class Trial:
    """One row of ``tuning_trials``; errors in hours, ``seconds`` of its last attempt.

    Number 0 is the configured setting as it is: its ``parameters`` are empty.
    """

    id: int
    search: Search
    number: int
    parameters: dict[str, Any]
    status: str
    attempts: int
    validation_mae: float | None
    validation_rmse: float | None
    fold_maes: tuple[float, ...]
    epochs: int | None
    seconds: float | None
    error: str | None

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.status in ("done", "failed")


def plan_rows(connection: Connection, search: Search, configurations: Mapping[int, dict[str, Any]]) -> list[int]:
    """Insert the trials, by number, that the search does not have yet; the ids of all of them, in order of number.

    The caller commits.
    """
    with connection.cursor() as cursor:
        for number, parameters in configurations.items():
            cursor.execute(
                "INSERT INTO studyml.tuning_trials (search_id, trial, as_of, architecture, recipe, strategy, seed,"
                " parameters, status) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'planned')"
                " ON CONFLICT (search_id, trial) DO NOTHING",
                (
                    *(search.id, number, search.as_of, search.architecture, search.recipe, search.strategy),
                    *(search.seed, Json(parameters)),
                ),
            )
        cursor.execute(
            "SELECT id FROM studyml.tuning_trials WHERE search_id = %s AND trial = ANY(%s) ORDER BY trial",
            (search.id, list(configurations)),
        )
        return [int(row[0]) for row in cursor.fetchall()]


def find_trial(connection: Connection, trial_id: int) -> Trial:
    """The trial; raises RegistryError where there is none."""
    found = _query(connection, "id = %s", trial_id)
    if not found:
        raise RegistryError(f"there is no trial {trial_id}: plan the search again.")
    return found[0]


def list_trials(connection: Connection, search_id: str) -> list[Trial]:
    """The trials of a search, in order of number."""
    return _query(connection, "search_id = %s", search_id)


def _query(connection: Connection, condition: str, value: int | str) -> list[Trial]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT search_id, as_of, coalesce(architecture, ''), coalesce(recipe, ''), coalesce(strategy, 'grid'),"
            " seed, id, trial, parameters, status, attempts, validation_mae, validation_rmse,"
            " coalesce(fold_maes, '{}'), epochs, seconds, error"
            f" FROM studyml.tuning_trials WHERE {condition} ORDER BY trial",
            (value,),
        )
        return [_trial(row) for row in cursor.fetchall()]


def _trial(row: Sequence[Any]) -> Trial:
    number, parameters, status, attempts, mae, rmse, fold_maes, epochs, seconds, error = row[7:]
    search = Search(*row[:6])
    return Trial(
        row[6], search, number, parameters, status, attempts, mae, rmse, tuple(fold_maes), epochs, seconds, error
    )


def start_trial(connection: Connection, trial_id: int) -> None:
    """Record that a worker has taken the trial up, once more. The caller commits, and holds the trial's lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.tuning_trials SET status = 'running', attempts = attempts + 1 WHERE id = %s", (trial_id,)
        )


def put_back(connection: Connection, trial_id: int) -> None:
    """Undo ``start_trial`` for one that a person stopped: that is no attempt. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.tuning_trials SET status = 'planned', attempts = attempts - 1 WHERE id = %s", (trial_id,)
        )


def record_done(
    connection: Connection,
    trial_id: int,
    *,
    mae: float,
    rmse: float,
    fold_maes: Sequence[float],
    epochs: int,
    seconds: float,
) -> None:
    """Store what a trial measured, hours. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.tuning_trials SET status = 'done', validation_mae = %s, validation_rmse = %s,"
            " fold_maes = %s, epochs = %s, seconds = %s, error = NULL WHERE id = %s",
            (mae, rmse, list(fold_maes), epochs, seconds, trial_id),
        )


def record_failed(connection: Connection, trial_id: int, error: str, *, seconds: float | None) -> None:
    """Store why a trial has no figures. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.tuning_trials SET status = 'failed', error = %s, seconds = %s WHERE id = %s",
            (error, seconds, trial_id),
        )
