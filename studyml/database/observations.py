"""How far the source was compared with the ledger, and the sessions whose labels may still arrive. Nothing commits."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from studyml.database.binary import array_literal, copy_in, copy_out

Integers = NDArray[np.int64]

#: A row may become visible after one with a higher id, when its transaction took longer: ids are read again from
#: where they had come this long before the night.
_OVERLAP = timedelta(days=1)
_IDS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Observed:
    """The newest comparison up to a night, and the session id above which rows count as new."""

    as_of: datetime
    seen_through: int


def last_observation(connection: Connection, as_of: datetime) -> Observed | None:
    """What was compared by ``as_of``; None where nothing was."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT max(as_of) FROM studyml.observations WHERE as_of <= %(as_of)s), coalesce("
            "(SELECT seen_through FROM studyml.observations WHERE as_of <= %(before)s ORDER BY as_of DESC LIMIT 1),"
            " (SELECT seen_through FROM studyml.observations ORDER BY as_of LIMIT 1))",
            {"as_of": as_of, "before": as_of - _OVERLAP},
        )
        newest, seen_through = cursor.fetchone() or (None, None)
    return None if newest is None else Observed(newest, int(seen_through))


def record_observation(
    connection: Connection, as_of: datetime, *, seen_through: int, compared_all: bool, now: datetime
) -> None:
    """Record a comparison, in place of an earlier one of the same night.

    Those of later nights are forgotten: they have found nothing, else this night could not be observed any more.
    """
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM studyml.observations WHERE as_of > %s", (as_of,))
        cursor.execute(
            "INSERT INTO studyml.observations AS o (as_of, seen_through, compared_all, recorded_at)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT (as_of) DO UPDATE SET seen_through = excluded.seen_through,"
            " compared_all = o.compared_all OR excluded.compared_all, recorded_at = excluded.recorded_at",
            (as_of, seen_through, compared_all, now),
        )


def read_unlabelled(connection: Connection) -> Integers:
    """Ids, ascending, of the sessions whose date was reached, or is missing, without an outcome."""
    query = sql.SQL("SELECT session_id FROM studyml.unlabelled_sessions ORDER BY session_id").format()
    return copy_out(connection, query, {"session_id": ">i8"})["session_id"].astype(np.int64)


def change_unlabelled(connection: Connection, *, added: Integers, removed: Integers) -> None:
    """Add ids that are not in the table, and remove ids."""
    with connection.cursor() as cursor:
        for at in range(0, len(removed), _IDS_AT_ONCE):
            chosen = array_literal(removed[at : at + _IDS_AT_ONCE])
            cursor.execute(
                sql.SQL("DELETE FROM studyml.unlabelled_sessions WHERE session_id = ANY({}::bigint[])").format(chosen)
            )
    copy_in(connection, "unlabelled_sessions", {"session_id": added}, len(added))
