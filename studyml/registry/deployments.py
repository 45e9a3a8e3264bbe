"""The log of deployments: which version was live when, what the champion can go back to, what was taken back."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from psycopg2.extensions import connection as Connection

from studyml.registry.versions import Version, list_versions

#: MAE and RMSE of two trainings on the same rows that are closer than this are those of the same network, hours.
_SAME_HOURS = 1e-9


@dataclass(frozen=True)
class Deployment:
    """One row of ``deployments`` in which the champion changed."""

    id: int
    action: str
    as_of: datetime
    recorded_at: datetime
    actor: str
    from_version: str | None
    to_version: str
    reason: str


def deployments(connection: Connection) -> list[Deployment]:
    """Every change of the champion, oldest first; the beginnings and ends of trials, in the same log, are none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, action, as_of, recorded_at, actor, from_version, to_version, reason FROM studyml.deployments"
            " WHERE action IN ('promote', 'rollback') ORDER BY id"
        )
        return [Deployment(*row) for row in cursor.fetchall()]


def live_at(connection: Connection, moment: datetime) -> Deployment | None:
    """The deployment in force at ``moment``, by the clock on which it was recorded."""
    before = [each for each in deployments(connection) if each.recorded_at <= moment]
    return before[-1] if before else None


def predecessors(connection: Connection) -> list[Version]:
    """What the champion could go back to, the newest first: retired versions that served and still have their files.

    A quarantined version is none of them, whatever it did before.
    """
    known = {each.version: each for each in list_versions(connection)}
    served = dict.fromkeys(each.to_version for each in reversed(deployments(connection)))
    found = [known[version] for version in served if version in known]
    return [each for each in found if each.status == "retired" and each.artifact_uri is not None]


def served_since(connection: Connection, moment: datetime) -> set[str]:
    """The versions that served at ``moment`` or later, as champion or on trial, by the nights of the log."""
    log = deployments(connection)
    champions = {each.to_version for each, then in pairwise(log) if then.as_of > moment}
    champions |= {each.to_version for each in log[-1:]}
    with connection.cursor() as cursor:
        cursor.execute("SELECT from_version FROM studyml.deployments WHERE action = 'retire' AND as_of > %s", (moment,))
        return champions | {str(version) for (version,) in cursor.fetchall()}


def quarantined_twin(connection: Connection, version: str) -> str | None:
    """The quarantined version that a training ended in again: on the same rows, with the same errors."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT q.version FROM studyml.model_versions q JOIN studyml.model_versions c ON c.version = %s"
            " WHERE q.status = 'quarantined' AND q.version <> c.version"
            " AND q.metrics ->> 'snapshot_sha256' = c.metrics ->> 'snapshot_sha256'"
            " AND abs((q.metrics ->> 'mae')::double precision - (c.metrics ->> 'mae')::double precision) < %s"
            " AND abs((q.metrics ->> 'rmse')::double precision - (c.metrics ->> 'rmse')::double precision) < %s"
            " ORDER BY q.version DESC LIMIT 1",
            (version, _SAME_HOURS, _SAME_HOURS),
        )
        row = cursor.fetchone()
    return None if row is None else str(row[0])
