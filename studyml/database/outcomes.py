"""The rows of the ledger of outcomes: read as far as they are to be compared, appended, never changed.

All through binary COPY. Single sessions are looked up by the primary key, each by itself: written as a join, the
server's planner may read the whole ledger instead. Nothing here commits.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from studyml.database.binary import array_literal, copy_in, copy_out
from studyml.frame import Frame, to_datetime, to_microseconds

Integers = NDArray[np.int64]

_RECORDED = {"session_id": ">i8", "revision": ">i8", "session_date": ">i8", "hours": ">f8"}
_SELECTED = sql.SQL("o.session_id, o.revision::bigint, o.session_date, coalesce(o.actual_hours, 'NaN')")
_IDS_AT_ONCE = 20_000
#: How far before a session's date a night can lie that predicted it, beyond the horizon.
_SLACK = timedelta(days=1)
_WEEK = timedelta(days=7) // timedelta(microseconds=1)


def read_recorded_between(connection: Connection, *, after: int, through: int | None) -> Frame:
    """The newest revision of each session with an id in (``after``, ``through``], by id.

    Columns: session_id, revision, session_date (microseconds), hours (NaN where the label was removed).
    """
    where = [sql.SQL("o.session_id > {}::bigint").format(sql.Literal(str(after)))]
    if through is not None:
        where.append(sql.SQL("o.session_id <= {}::bigint").format(sql.Literal(str(through))))
    query = sql.SQL("SELECT {} FROM studyml.outcomes o WHERE {} ORDER BY o.session_id, o.revision").format(
        _SELECTED, sql.SQL(" AND ").join(where)
    )
    return _newest(copy_out(connection, query, _RECORDED))


def read_recorded_since(connection: Connection, after: datetime) -> Frame:
    """The newest revision of each session that is dated after ``after`` by it; as ``read_recorded_between``.

    Nothing is observed before its date, so only a correction observed after ``after`` can be newer.
    """
    query = sql.SQL(
        "SELECT {selected} FROM studyml.outcomes o WHERE o.session_date > {after} AND NOT EXISTS (SELECT"
        " FROM studyml.outcomes later WHERE later.revision > 1 AND later.observed_at > {after}"
        " AND later.session_id = o.session_id AND later.revision > o.revision) ORDER BY o.session_id"
    ).format(selected=_SELECTED, after=sql.Literal(after))
    return Frame(copy_out(connection, query, _RECORDED), {})


def read_recorded_of(connection: Connection, session_ids: Integers) -> Frame:
    """The newest revision of each of these sessions (ids ascending) that has one; as ``read_recorded_between``."""
    parts = []
    for at in range(0, max(len(session_ids), 1), _IDS_AT_ONCE):
        query = sql.SQL(
            "SELECT {} FROM unnest({}::bigint[]) AS wanted (session_id) CROSS JOIN LATERAL (SELECT *"
            " FROM studyml.outcomes each WHERE each.session_id = wanted.session_id ORDER BY each.revision DESC LIMIT 1)"
            " AS o ORDER BY o.session_id"
        ).format(_SELECTED, array_literal(session_ids[at : at + _IDS_AT_ONCE]))
        parts.append(copy_out(connection, query, _RECORDED))
    return Frame({name: np.concatenate([part[name] for part in parts]) for name in _RECORDED}, {})


def _newest(rows: Mapping[str, NDArray[np.generic]]) -> Frame:
    ids = rows["session_id"]
    last = np.append(ids[1:] != ids[:-1], np.ones(min(len(ids), 1), bool))
    return Frame({name: values[last] for name, values in rows.items()}, {})


def append_outcomes(connection: Connection, changes: Frame, *, as_of: datetime, now: datetime) -> int:
    """Append revisions in their order of arrival, removed ones (hours NaN) last.

    Returns the newest outcome_id of before: what is above it has been appended.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(outcome_id), 0) FROM studyml.outcomes")
        (before,) = cursor.fetchone() or (0,)
    removed = np.isnan(changes["hours"].astype(np.float64))
    for rows, hours in ((~removed, changes["hours"]), (removed, None)):
        chosen = changes.take(rows)
        columns = {
            "session_id": chosen["session_id"],
            "revision": chosen["revision"].astype(np.int32),
            "session_date": chosen["session_date"],
            "actual_hours": None if hours is None else hours[rows],
            "observed_at": np.full(len(chosen), to_microseconds(as_of)),
            "recorded_at": np.full(len(chosen), to_microseconds(now)),
        }
        copy_in(connection, "outcomes", columns, len(chosen))
    return int(before)


def keep_predictions(connection: Connection, changes: Frame, *, as_of: datetime, after: int, horizon_days: int) -> None:
    """Copy the predictions that stood for the outcomes appended ``after`` an outcome_id.

    The predictions of a session, one per role, are those of the newest night before its outcome was *first* observed:
    a correction keeps them, so that no later model is judged with hindsight. A role that this night did not have has
    none, whatever an earlier night predicted: else a version that changed its role would count twice.
    """
    first = changes["revision"].astype(np.int64) == 1
    ids, dates = changes["session_id"][first], changes["session_date"].astype(np.int64)[first]
    with connection.cursor() as cursor:
        for rows in _by_age(dates, to_microseconds(as_of)):
            oldest = to_datetime(int(dates[rows].min())) - timedelta(days=horizon_days) - _SLACK
            cursor.execute(
                sql.SQL(_COPY_FIRST).format(
                    ids=array_literal(ids[rows]), as_of=sql.Literal(as_of), oldest=sql.Literal(oldest)
                )
            )
        if not first.all():
            cursor.execute(_COPY_LATER, (after,))


def _by_age(dates: Integers, as_of: int) -> Iterator[Integers]:
    """Rows of sessions about as old as each other, not too many at once.

    One old session among many recent ones would have all of them looked for in every night that is kept.
    """
    age = np.log2(1 + (as_of - dates) / _WEEK).astype(np.int64)
    for group in np.unique(age):
        rows = np.flatnonzero(age == group)
        for at in range(0, len(rows), _IDS_AT_ONCE):
            yield rows[at : at + _IDS_AT_ONCE]


_COPIED = """
INSERT INTO studyml.outcome_predictions (session_id, revision, role, as_of, model_version, served, session_date,
    observed_at, predicted_hours, lower_hours, upper_hours, lower_hours_90, upper_hours_90, actual_hours)
"""

_COPY_FIRST = (
    _COPIED
    + """
SELECT o.session_id, o.revision, p.role, p.as_of, p.model_version, p.served, o.session_date, o.observed_at,
    p.predicted_hours, p.lower_hours, p.upper_hours, p.lower_hours_90, p.upper_hours_90, o.actual_hours
FROM (
    SELECT each.*, rank() OVER (PARTITION BY each.session_id ORDER BY each.as_of DESC) AS nights_ago
    FROM unnest({ids}::bigint[]) AS wanted (session_id)
    JOIN studyml.predictions each ON each.session_id = wanted.session_id
    WHERE each.as_of < {as_of} AND each.as_of >= {oldest}
) AS p
JOIN studyml.outcomes o ON o.session_id = p.session_id AND o.revision = 1
WHERE p.nights_ago = 1
"""
)

_COPY_LATER = (
    _COPIED
    + """
SELECT o.session_id, o.revision, f.role, f.as_of, f.model_version, f.served, o.session_date, o.observed_at,
    f.predicted_hours, f.lower_hours, f.upper_hours, f.lower_hours_90, f.upper_hours_90, o.actual_hours
FROM studyml.outcomes o
JOIN studyml.outcome_predictions f ON f.session_id = o.session_id AND f.revision = 1
WHERE o.outcome_id > %s AND o.revision > 1
"""
)
