"""The ledger of outcomes: what of it counts, as of any night.

A correction is a new revision, a removed label a revision without hours; nothing is ever changed, so any past
night can be computed again from the revisions observed by then.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from psycopg2.extensions import connection as Connection

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Holds of the revision ``o``, dated after ``after``, that counts at as_of: no later one was observed by then. Nothing
#: is observed before its date, so only corrections observed after ``after`` can be later: an index holds just these.
_IS_CURRENT = """NOT EXISTS (SELECT FROM studyml.outcomes later WHERE later.revision > 1
    AND later.observed_at > %(after)s AND later.observed_at <= %(as_of)s
    AND later.session_id = o.session_id AND later.revision > o.revision)"""


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
            "SELECT (SELECT count(*) FROM studyml.outcomes WHERE outcome_id > %(consumed)s AND revision = 1"
            " AND actual_hours IS NOT NULL AND observed_at <= %(as_of)s), coalesce((SELECT outcome_id"
            " FROM studyml.outcomes WHERE observed_at <= %(as_of)s ORDER BY outcome_id DESC LIMIT 1), 0)",
            {"consumed": consumed_through, "as_of": as_of},
        )
        count, newest = cursor.fetchone() or (0, 0)
    return int(count), int(newest)


def label_counts(connection: Connection, *, nights: Sequence[datetime], after: datetime, as_of: datetime) -> list[int]:
    """What ``count_outcomes`` counts, by the newest of the ``nights`` (ascending) before each session's date.

    [k + 1] for k nights: first the sessions dated before the first night, then those that each night stood for.
    """
    counts = [0] * (len(nights) + 1)
    with connection.cursor() as cursor:
        # width_bucket counts the thresholds up to a date; a night stands for what is dated after it.
        cursor.execute(
            "SELECT width_bucket(o.session_date, %(nights)s::timestamptz[]), count(*) FROM studyml.outcomes o"
            " WHERE o.actual_hours IS NOT NULL AND o.session_date > %(after)s AND o.session_date <= %(as_of)s"
            f" AND o.observed_at <= %(as_of)s AND {_IS_CURRENT} GROUP BY 1",
            {"nights": [night + timedelta(microseconds=1) for night in nights], "after": after, "as_of": as_of},
        )
        for bucket, count in cursor.fetchall():
            counts[bucket] = count
    return counts


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
