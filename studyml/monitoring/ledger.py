"""The ledger of outcomes: what was observed, when, and which predictions stood for it.

A correction is a new revision, a removed label a revision without hours; nothing is ever changed, so any past
night can be computed again from the revisions observed by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values

from studyml.frame import NULL_INTEGER, Frame, to_datetime, to_microseconds

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

#: How far before a session's date a night can lie that predicted it, beyond the horizon.
_SLACK = timedelta(days=1)

#: Holds of the revision ``o`` that counts at as_of: no later one was observed by then.
_IS_CURRENT = """NOT EXISTS (SELECT FROM studyml.outcomes later WHERE later.session_id = o.session_id
    AND later.revision > o.revision AND later.observed_at <= %(as_of)s)"""


@dataclass(frozen=True)
class Recorded:
    """The current revision of every recorded outcome, ordered by session id; hours NaN where removed."""

    session_id: Integers
    revision: Integers
    session_date: Integers
    hours: Floats


@dataclass(frozen=True)
class Change:
    """One new revision: hours None where the label was removed; first where the session had no outcome before."""

    session_id: int
    revision: int
    session_date: datetime
    hours: float | None
    first: bool


def recorded_outcomes(connection: Connection, *, as_of: datetime | None = None) -> Recorded:
    """The ledger as it stood at ``as_of`` (now where None)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT ON (session_id) session_id, revision,"
            " (extract(epoch FROM session_date) * 1000000)::bigint - 946684800000000, coalesce(actual_hours, 'NaN')"
            " FROM studyml.outcomes WHERE %(as_of)s::timestamptz IS NULL OR observed_at <= %(as_of)s"
            " ORDER BY session_id, revision DESC",
            {"as_of": as_of},
        )
        rows = cursor.fetchall()
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    whole = np.array([row[:3] for row in rows], dtype=np.int64).reshape(-1, 3)
    return Recorded(whole[:, 0], whole[:, 1], whole[:, 2], table[:, 3])


def find_changes(labels: Frame, recorded: Recorded, *, correction_from: datetime | None) -> list[Change]:
    """New labels, and labels changed or removed among sessions dated after ``correction_from`` (None: all).

    ``labels`` holds id, session_date and actual_duration of every session dated up to the night; its impossible
    labels are already missing. A label whose session is gone counts as removed.
    """
    ids = labels["id"].astype(np.int64)
    dates, hours = labels["session_date"].astype(np.int64), labels["actual_duration"].astype(np.float64)
    positions = np.minimum(np.searchsorted(recorded.session_id, ids), max(len(recorded.session_id) - 1, 0))
    known = recorded.session_id[positions] == ids if len(recorded.session_id) else np.zeros(len(ids), bool)
    new = ~known & ~np.isnan(hours)
    changes = [
        Change(int(ids[row]), 1, to_datetime(dates[row]), float(hours[row]), True)
        for row in np.flatnonzero(new)[np.argsort(dates[new], kind="stable")]
    ]
    cutoff = NULL_INTEGER if correction_from is None else to_microseconds(correction_from)
    before = np.full(len(ids), np.nan)
    before[known] = recorded.hours[positions[known]]
    differs = known & (dates > cutoff) & ~((before == hours) | (np.isnan(before) & np.isnan(hours)))
    for row in np.flatnonzero(differs):
        revision = int(recorded.revision[positions[row]]) + 1
        value = None if np.isnan(hours[row]) else float(hours[row])
        changes.append(Change(int(ids[row]), revision, to_datetime(dates[row]), value, False))
    return changes + _vanished(ids, recorded, cutoff)


def _vanished(ids: Integers, recorded: Recorded, cutoff: int) -> list[Change]:
    gone = ~np.isin(recorded.session_id, ids) & ~np.isnan(recorded.hours) & (recorded.session_date > cutoff)
    return [
        Change(
            int(recorded.session_id[row]),
            int(recorded.revision[row]) + 1,
            to_datetime(recorded.session_date[row]),
            None,
            False,
        )
        for row in np.flatnonzero(gone)
    ]


def record_changes(
    connection: Connection,
    changes: Sequence[Change],
    *,
    as_of: datetime,
    now: datetime,
    horizon_days: int,
) -> None:
    """Append the revisions in arrival order and copy the predictions that stood for them. The caller commits.

    The prediction of a session is that of the newest night before its outcome was *first* observed: a correction
    keeps the prediction, so that no later model is judged with hindsight.
    """
    if not changes:
        return
    with connection.cursor() as cursor:
        execute_values(
            cursor,
            "INSERT INTO studyml.outcomes (session_id, revision, session_date, actual_hours, observed_at, recorded_at)"
            " VALUES %s",
            [(c.session_id, c.revision, c.session_date, c.hours, as_of, now) for c in changes],
            page_size=5000,
        )
        first = [c.session_id for c in changes if c.first]
        dates = [c.session_date for c in changes if c.first]
        if first:
            cursor.execute(
                _COPY_FIRST,
                {
                    "ids": first,
                    "as_of": as_of,
                    "oldest": min(dates) - timedelta(days=horizon_days) - _SLACK,
                },
            )
        later = [(c.session_id, c.revision) for c in changes if not c.first]
        if later:
            execute_values(cursor, _COPY_LATER, later, page_size=len(later))


_COPY_FIRST = """
INSERT INTO studyml.outcome_predictions (session_id, revision, role, as_of, model_version, served, session_date,
    observed_at, predicted_hours, lower_hours, upper_hours, lower_hours_90, upper_hours_90, actual_hours)
SELECT DISTINCT ON (o.session_id, p.role) o.session_id, o.revision, p.role, p.as_of, p.model_version, p.served,
    o.session_date, o.observed_at, p.predicted_hours, p.lower_hours, p.upper_hours, p.lower_hours_90,
    p.upper_hours_90, o.actual_hours
FROM studyml.outcomes o
JOIN studyml.predictions p ON p.session_id = o.session_id
WHERE o.session_id = ANY(%(ids)s) AND o.revision = 1
  AND p.as_of < %(as_of)s AND p.as_of >= %(oldest)s
ORDER BY o.session_id, p.role, p.as_of DESC
"""

_COPY_LATER = """
INSERT INTO studyml.outcome_predictions (session_id, revision, role, as_of, model_version, served, session_date,
    observed_at, predicted_hours, lower_hours, upper_hours, lower_hours_90, upper_hours_90, actual_hours)
SELECT o.session_id, o.revision, f.role, f.as_of, f.model_version, f.served, o.session_date, o.observed_at,
    f.predicted_hours, f.lower_hours, f.upper_hours, f.lower_hours_90, f.upper_hours_90, o.actual_hours
FROM (VALUES %s) AS later (session_id, revision)
JOIN studyml.outcomes o ON o.session_id = later.session_id AND o.revision = later.revision
JOIN studyml.outcome_predictions f ON f.session_id = o.session_id AND f.revision = 1
"""


def newest_observation(connection: Connection) -> datetime | None:
    """The newest as_of that observed an outcome: the ledger is never continued before it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT observed_at FROM studyml.outcomes ORDER BY outcome_id DESC LIMIT 1")
        row = cursor.fetchone()
    return None if row is None else row[0]


def count_outcomes(connection: Connection, *, after: datetime, as_of: datetime) -> int:
    """Sessions dated in (``after``, ``as_of``] that had an outcome at ``as_of``."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM studyml.outcomes o WHERE o.actual_hours IS NOT NULL AND o.session_date > %(after)s"
            f" AND o.session_date <= %(as_of)s AND o.observed_at <= %(as_of)s AND {_IS_CURRENT}",
            {"as_of": as_of, "after": after},
        )
        return int((cursor.fetchone() or (0,))[0])


def new_labels(connection: Connection, *, consumed_through: int, as_of: datetime) -> tuple[int, int]:
    """(first observations above ``consumed_through``, newest outcome_id) among what was observed by ``as_of``."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE outcome_id > %s AND revision = 1 AND actual_hours IS NOT NULL),"
            " coalesce(max(outcome_id), 0) FROM studyml.outcomes WHERE observed_at <= %s",
            (consumed_through, as_of),
        )
        count, newest = cursor.fetchone() or (0, 0)
    return int(count), int(newest)


def training_labels(connection: Connection, *, through_outcome_id: int) -> tuple[Integers, Floats]:
    """(session ids ascending, hours) of the outcomes that count among the first ``through_outcome_id`` arrivals."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT session_id, actual_hours FROM (SELECT DISTINCT ON (session_id) session_id, actual_hours"
            " FROM studyml.outcomes WHERE outcome_id <= %s ORDER BY session_id, revision DESC) AS current"
            " WHERE actual_hours IS NOT NULL ORDER BY session_id",
            (through_outcome_id,),
        )
        rows = cursor.fetchall()
    return np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.float64)


def sessions_with_outcome(connection: Connection, *, after: datetime, as_of: datetime) -> Integers:
    """Ids, ascending, of sessions dated after ``after`` that had an outcome at ``as_of``."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT o.session_id FROM studyml.outcomes o WHERE o.actual_hours IS NOT NULL"
            " AND o.session_date > %(after)s AND o.observed_at <= %(as_of)s"
            f" AND {_IS_CURRENT} ORDER BY o.session_id",
            {"as_of": as_of, "after": after},
        )
        return np.array([row[0] for row in cursor.fetchall()], np.int64)
