"""Which versions there are and which one serves (tables ``model_versions`` and ``deployments``)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extras import Json

from studyml.errors import ChampionChangedError, RegistryError

_COLUMNS = (
    "version, status, architecture, recipe, is_fallback, trained_at, as_of, training_from, training_through,"
    " training_rows, holdout_rows, metrics, gates, manifest_sha256, artifact_uri, lineage"
)


@dataclass(frozen=True)
class Version:
    """One row of ``model_versions``; metrics in hours."""

    version: str
    status: str
    architecture: str
    recipe: str | None
    is_fallback: bool
    trained_at: datetime
    as_of: datetime
    training_from: datetime | None
    training_through: datetime | None
    training_rows: int | None
    holdout_rows: int | None
    metrics: dict[str, Any]
    gates: list[dict[str, Any]]
    manifest_sha256: str | None
    artifact_uri: str | None
    lineage: dict[str, Any]


def reserve(
    connection: Connection,
    *,
    architecture: str,
    recipe: str,
    is_fallback: bool,
    as_of: datetime,
    now: datetime,
    dag_run_id: str | None,
    is_taken: Callable[[str], bool],
) -> str:
    """Insert a candidate under the first free name from ``now`` on; return it. The caller commits.

    Free means: no row has it, and ``is_taken`` says that no files have; files without a row are what a crash, or
    another database, left.
    """
    moment = now
    with connection.cursor() as cursor:
        while True:
            version = f"v_{moment:%Y%m%d_%H%M%S}"
            moment += timedelta(seconds=1)
            if is_taken(version):
                continue
            cursor.execute(
                "INSERT INTO studyml.model_versions (version, status, architecture, recipe, is_fallback, trained_at,"
                " as_of, dag_run_id) VALUES (%s, 'candidate', %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (version, architecture, recipe, is_fallback, now, as_of, dag_run_id),
            )
            if cursor.rowcount:
                return version


def find(connection: Connection, version: str) -> Version:
    """The version; raises RegistryError where there is none."""
    found = select(connection, "WHERE version = %s", (version,))
    if not found:
        raise RegistryError(f"there is no version {version}: 'studyml versions list' shows those that exist.")
    return found[0]


def list_versions(connection: Connection) -> list[Version]:
    """All versions, newest first."""
    return select(connection, "ORDER BY version DESC", ())


def champion(connection: Connection) -> Version | None:
    """The version that serves now."""
    found = select(connection, "WHERE status = 'champion'", ())
    return found[0] if found else None


def champion_at(connection: Connection, as_of: datetime) -> Version | None:
    """The version that was live at ``as_of`` by the log of deployments."""
    found = select(
        connection,
        "WHERE version = (SELECT to_version FROM studyml.deployments WHERE as_of <= %s"
        " AND action IN ('promote', 'rollback') ORDER BY id DESC LIMIT 1)",
        (as_of,),
    )
    return found[0] if found else None


def select(connection: Connection, condition: str, parameters: tuple[Any, ...] | dict[str, Any]) -> list[Version]:
    """The versions that an SQL ``condition`` (with its WHERE or ORDER BY) picks."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM studyml.model_versions {condition}", parameters)
        return [Version(*row) for row in cursor.fetchall()]


def record_training(
    connection: Connection,
    version: str,
    *,
    training_from: datetime | None,
    training_through: datetime | None,
    training_rows: int,
    holdout_rows: int,
    metrics: dict[str, Any],
    architecture: str | None = None,
    recipe: str | None = None,
) -> None:
    """Store what a candidate was trained on and how it measured. The caller commits.

    ``architecture`` and ``recipe``: those that were chosen, where several were trained.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.model_versions SET training_from = %s, training_through = %s, training_rows = %s,"
            " holdout_rows = %s, metrics = %s, architecture = coalesce(%s, architecture),"
            " recipe = coalesce(%s, recipe) WHERE version = %s",
            (
                training_from,
                training_through,
                training_rows,
                holdout_rows,
                Json(metrics),
                architecture,
                recipe,
                version,
            ),
        )


def record_lineage(connection: Connection, version: str, lineage: dict[str, Any]) -> None:
    """Store what a version was made of: snapshot, code, settings, seed, libraries, DAG run. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE studyml.model_versions SET lineage = %s WHERE version = %s", (Json(lineage), version))


def record_gates(connection: Connection, version: str, gates: list[dict[str, Any]]) -> None:
    """Store the result of every gate, whichever way it went. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE studyml.model_versions SET gates = %s WHERE version = %s", (Json(gates), version))


def commit_artifact(connection: Connection, version: str, *, manifest_sha256: str, artifact_uri: str) -> None:
    """Store the manifest's hash: from the caller's commit on, the version exists. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.model_versions SET manifest_sha256 = %s, artifact_uri = %s WHERE version = %s",
            (manifest_sha256, artifact_uri, version),
        )


def forget_artifacts(connection: Connection, versions: list[str]) -> None:
    """Note that these versions' files are removed by policy; their rows and hashes stay. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE studyml.model_versions SET artifact_uri = NULL WHERE version = ANY(%s)", (versions,))


def reject(connection: Connection, version: str) -> None:
    """Mark a candidate, or one that waits for approval, rejected. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.model_versions SET status = 'rejected' WHERE version = %s"
            " AND status IN ('candidate', 'awaiting_approval')",
            (version,),
        )


def lock_champion(connection: Connection) -> None:
    """From here to the caller's commit nobody else changes which version serves, or which artifacts are kept.

    Held for milliseconds, and never while files are read: so a rollback waits for no training and no upkeep.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('studyml.champion', 0))")


def promote(
    connection: Connection,
    version: str,
    *,
    replacing: str | None,
    as_of: datetime,
    now: datetime,
    actor: str,
    reason: str,
    statuses: tuple[str, ...] = ("candidate",),
    action: str = "promote",
    replaced_becomes: str = "retired",
) -> None:
    """Make a published version of one of these ``statuses`` champion in place of ``replacing``, and log it.

    The caller commits. Raises ChampionChangedError where the champion is another than the one that was to be replaced,
    RegistryError where the version is of another status or its files were removed by policy.
    """
    lock_champion(connection)
    with connection.cursor() as cursor:
        cursor.execute("SELECT version FROM studyml.model_versions WHERE status = 'champion' FOR UPDATE")
        row = cursor.fetchone()
        present = None if row is None else str(row[0])
        if present != replacing:
            raise ChampionChangedError(
                f"the champion changed from {replacing or 'none'} to {present or 'none'} while {version} was judged:"
                " judge it again."
            )
        cursor.execute("UPDATE studyml.model_versions SET status = %s WHERE version = %s", (replaced_becomes, present))
        cursor.execute(
            "UPDATE studyml.model_versions SET status = 'champion' WHERE version = %s AND status = ANY(%s)"
            " AND manifest_sha256 IS NOT NULL AND artifact_uri IS NOT NULL",
            (version, list(statuses)),
        )
        if cursor.rowcount != 1:
            named = " or ".join(statuses)
            raise RegistryError(f"{version} is not a published {named} version: only such a one can become champion.")
        cursor.execute(
            "INSERT INTO studyml.deployments (action, as_of, recorded_at, actor, from_version, to_version, reason)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (action, as_of, now, actor, present, version, reason),
        )
