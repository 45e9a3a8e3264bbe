"""The version that is tried beside the champion, and the state of its trial (table ``challenger_trials``).

Beginning and end of a trial are in the log of deployments, so that a replay knows which version was on trial at its
time.
"""

from dataclasses import asdict, dataclass
from datetime import datetime

from psycopg2.extensions import connection as Connection

from studyml.registry.versions import Version, select

CONTINUED, PROMOTED, RETIRED = "continued", "promoted", "retired"


@dataclass(frozen=True)
class Trial:
    """The version on trial, the champion that it is tried against, and since which night."""

    challenger: Version
    champion: str
    since: datetime


@dataclass(frozen=True)
class TrialNight:
    """One row of ``challenger_trials``; the MAEs in hours, ratio and its bounds as in ``evaluation.paired``."""

    challenger: str
    champion: str
    decision: str
    look: int
    outcomes: int
    students: int
    challenger_mae: float | None
    champion_mae: float | None
    ratio: float | None
    lower_bound: float | None
    upper_bound: float | None
    reason: str


_NIGHT = (
    "challenger, champion, decision, look, outcomes, students, challenger_mae, champion_mae, ratio, lower_bound,"
    " upper_bound, reason"
)


def challenger(connection: Connection) -> Version | None:
    """The version that is on trial now."""
    found = select(connection, "WHERE status = 'challenger'", ())
    return found[0] if found else None


def challenger_at(connection: Connection, as_of: datetime) -> Version | None:
    """The version that was on trial at ``as_of`` by the log of deployments."""
    found = select(
        connection,
        "WHERE version = (SELECT d.to_version FROM studyml.deployments d WHERE d.action = 'challenge'"
        " AND d.as_of <= %(as_of)s AND NOT EXISTS (SELECT FROM studyml.deployments later WHERE later.id > d.id"
        " AND later.as_of <= %(as_of)s AND ((later.action = 'retire' AND later.from_version = d.to_version)"
        " OR (later.action IN ('promote', 'rollback') AND later.to_version = d.to_version)))"
        " ORDER BY d.id DESC LIMIT 1)",
        {"as_of": as_of},
    )
    return found[0] if found else None


def present_trial(connection: Connection) -> Trial | None:
    """The trial that runs now."""
    found = challenger(connection)
    if found is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT from_version, as_of FROM studyml.deployments WHERE action = 'challenge' AND to_version = %s"
            " ORDER BY id DESC LIMIT 1",
            (found.version,),
        )
        champion, since = cursor.fetchone() or ("", found.as_of)
    return Trial(found, str(champion), since)


def begin_trial(
    connection: Connection, version: str, *, beside: str, as_of: datetime, now: datetime, actor: str, reason: str
) -> None:
    """Try a published candidate beside the champion, and log it. The caller ends a trial before, and commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.model_versions SET status = 'challenger' WHERE version = %s AND status = 'candidate'",
            (version,),
        )
    _log(connection, "challenge", beside, version, as_of=as_of, now=now, actor=actor, reason=reason)


def end_trial(connection: Connection, version: str, *, as_of: datetime, now: datetime, actor: str, reason: str) -> None:
    """Retire the version on trial, and log it. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE studyml.model_versions SET status = 'retired' WHERE version = %s AND status = 'challenger'",
            (version,),
        )
    _log(connection, "retire", version, None, as_of=as_of, now=now, actor=actor, reason=reason)


def _log(
    connection: Connection,
    action: str,
    from_version: str,
    to_version: str | None,
    *,
    as_of: datetime,
    now: datetime,
    actor: str,
    reason: str,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO studyml.deployments (action, as_of, recorded_at, actor, from_version, to_version, reason)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (action, as_of, now, actor, from_version, to_version, reason),
        )


def record_night(connection: Connection, found: TrialNight, *, as_of: datetime, now: datetime) -> None:
    """Store the state of the trial after a night, in place of what the same night stored before. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM studyml.challenger_trials WHERE as_of = %s AND challenger = %s", (as_of, found.challenger)
        )
        values = asdict(found)
        cursor.execute(
            f"INSERT INTO studyml.challenger_trials ({_NIGHT}, as_of, recorded_at)"
            f" VALUES ({', '.join(['%s'] * (len(values) + 2))})",
            (*values.values(), as_of, now),
        )


def trial_night(connection: Connection, as_of: datetime) -> TrialNight | None:
    """The state of the trial that ``as_of`` looked at; None where none ran."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_NIGHT} FROM studyml.challenger_trials WHERE as_of = %s ORDER BY recorded_at DESC LIMIT 1",
            (as_of,),
        )
        row = cursor.fetchone()
    return None if row is None else TrialNight(*row)


def looks_before(connection: Connection, version: str, as_of: datetime) -> int:
    """How many of the planned looks the nights before ``as_of`` have taken at the trial of ``version``."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(max(look), 0) FROM studyml.challenger_trials WHERE challenger = %s AND as_of < %s",
            (version, as_of),
        )
        return int((cursor.fetchone() or (0,))[0])
