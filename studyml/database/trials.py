"""Trials of a hyperparameter search (table ``tuning_trials``)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extras import Json

from studyml.errors import RegistryError


@dataclass(frozen=True)
class Trial:
    """One row of ``tuning_trials``; errors in hours."""

    id: int
    search_id: str
    as_of: datetime
    parameters: dict[str, Any]
    seed: int
    status: str
    validation_mae: float | None


def plan_rows(
    connection: Connection, search_id: str, grid: list[dict[str, Any]], *, as_of: datetime, seed: int
) -> list[int]:
    """Insert one planned trial per configuration and return their ids. The caller commits."""
    ids = []
    with connection.cursor() as cursor:
        for number, parameters in enumerate(grid, start=1):
            cursor.execute(
                "INSERT INTO studyml.tuning_trials (search_id, trial, as_of, parameters, seed, status)"
                " VALUES (%s, %s, %s, %s, %s, 'planned') RETURNING id",
                (search_id, number, as_of, Json(parameters), seed),
            )
            ids.append(int((cursor.fetchone() or (0,))[0]))
    return ids


def find_trial(connection: Connection, trial_id: int) -> Trial:
    """The trial; raises RegistryError where there is none."""
    found = _query(connection, "id = %s", trial_id)
    if not found:
        raise RegistryError(f"there is no trial {trial_id}: plan the search again.")
    return found[0]


def list_trials(connection: Connection, search_id: str) -> list[Trial]:
    """The trials of a search, in order."""
    return _query(connection, "search_id = %s", search_id)


def _query(connection: Connection, condition: str, value: int | str) -> list[Trial]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, search_id, as_of, parameters, seed, status, validation_mae FROM studyml.tuning_trials"
            f" WHERE {condition} ORDER BY id",
            (value,),
        )
        return [Trial(*row) for row in cursor.fetchall()]


def record_result(
    connection: Connection,
    trial_id: int,
    *,
    mae: float | None = None,
    rmse: float | None = None,
    epochs: int | None = None,
    seconds: float | None = None,
    error: str | None = None,
) -> None:
    """Store how a trial ended. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.tuning_trials SET status = %s, validation_mae = %s, validation_rmse = %s, epochs = %s,"
            " seconds = %s, error = %s WHERE id = %s",
            ("failed" if error else "done", mae, rmse, epochs, seconds, error, trial_id),
        )
