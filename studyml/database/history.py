"""The histories' tables: observations, the states that the newest night left, and the yardstick of each night.

All through binary COPY; keys are looked up by the primary key, or in one pass where that is cheaper (the server's
planner decides). Nothing here commits. NULL has no place: a removed label and a missing input are NaN.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from studyml.database.binary import array_literal, copy_in, copy_out
from studyml.frame import to_datetime, to_microseconds

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Columns = Mapping[str, NDArray[np.generic]]

#: Kinds of keys by their number in ``history_states``.
KINDS = ("student", "student_subject", "student_topic", "topic")
STATE_COLUMNS = (
    "outcomes",
    "position",
    "sum_ratio",
    "sum_residual",
    "recent_weight",
    "recent_ratio",
    "recent_residual",
)
_INTEGERS = ("outcome_id", "session_id", "revision", "student_id", "topic_id", "subject_key")
_INPUTS = ("log_estimate", "log_focus", "log_difficulty")
_POSITIONS = tuple(f"{kind}_position" for kind in KINDS)
#: What each observation is stored with, and its type.
_OBSERVATION = (
    dict.fromkeys(_INTEGERS, ">i8")
    | {"as_of": ">i8", "ratio": ">f8", "expected": ">f8"}
    | dict.fromkeys(_INPUTS, ">f8")
    | dict.fromkeys(_POSITIONS, ">i8")
)
#: Rows of one UPDATE.
_BLOCK_ROWS = 20_000


@dataclass(frozen=True)
class Progress:
    """How far the histories have come: the newest night (microseconds), the outcomes read, the ridge's sums."""

    as_of: int
    through_outcome_id: int
    matrix: Floats
    vector: Floats


def read_progress(connection: Connection) -> list[Progress]:
    """The newest two nights, newest first; empty before the first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT as_of, through_outcome_id, matrix, vector FROM studyml.history_expectations"
            " ORDER BY as_of DESC LIMIT 2"
        )
        rows = cursor.fetchall()
    return [Progress(to_microseconds(row[0]), int(row[1]), np.array(row[2]), np.array(row[3])) for row in rows]


def read_new_outcomes(connection: Connection, *, after: int) -> Columns:
    """Outcomes with an id above ``after``, by id: session_date, hours (NaN: removed), observed_at, and ``back_fill``.

    ``back_fill`` is 1 for what the ledger's very first observation saw.
    """
    query = sql.SQL(
        "SELECT outcome_id, session_id, revision::bigint AS revision, session_date, coalesce(actual_hours, 'NaN'),"
        " observed_at, (observed_at = first_at AND recorded_at = first_recorded)::int::bigint"
        " FROM studyml.outcomes, (SELECT observed_at AS first_at, recorded_at AS first_recorded FROM studyml.outcomes"
        " ORDER BY outcome_id LIMIT 1) AS first WHERE outcome_id > {} ORDER BY outcome_id"
    ).format(sql.Literal(after))
    types = dict.fromkeys(("outcome_id", "session_id", "revision", "session_date"), ">i8")
    return copy_out(connection, query, types | {"hours": ">f8", "observed_at": ">i8", "back_fill": ">i8"})


def read_newest_revisions(connection: Connection, session_ids: Integers) -> Columns:
    """The newest observation of each of these sessions that has one, by session id."""
    query = sql.SQL(
        "SELECT DISTINCT ON (session_id) {} FROM unnest({}::bigint[]) AS wanted (session_id)"
        " JOIN studyml.history_observations USING (session_id) ORDER BY session_id, revision DESC"
    ).format(_selected(_OBSERVATION), array_literal(session_ids))
    return copy_out(connection, query, _OBSERVATION)


def read_observations(
    connection: Connection, *, through_outcome_id: int | None = None, as_of: datetime | None = None
) -> Columns:
    """What histories are folded from: every observation up to an outcome and a night, in their order."""
    conditions: list[sql.Composable] = [sql.SQL("true")]
    if through_outcome_id is not None:
        conditions.append(sql.SQL("outcome_id <= {}").format(sql.Literal(through_outcome_id)))
    if as_of is not None:
        conditions.append(sql.SQL("as_of <= {}").format(sql.Literal(as_of)))
    names = ("session_id", "student_id", "topic_id", "subject_key", "as_of", "ratio", "expected")
    types = {name: _OBSERVATION[name] for name in names}
    query = sql.SQL("SELECT {} FROM studyml.history_observations WHERE {} ORDER BY as_of, outcome_id").format(
        _selected(types), sql.SQL(" AND ").join(conditions)
    )
    return copy_out(connection, query, types)


def read_states(connection: Connection, kind: str, first: Integers, second: Integers) -> tuple[Floats, Integers]:
    """The states [k, 7] of these keys and the night that changed each last; zeros and 0 where there is none."""
    query = sql.SQL(
        "SELECT place, {} FROM unnest({}::bigint[], {}::bigint[]) WITH ORDINALITY AS wanted (first_key, second_key,"
        " place) JOIN studyml.history_states s USING (first_key, second_key) WHERE kind = {}"
    ).format(
        sql.SQL(", ").join(map(sql.Identifier, ("as_of", *STATE_COLUMNS))),
        array_literal(first),
        array_literal(second),
        sql.Literal(KINDS.index(kind)),
    )
    found = copy_out(connection, query, {"place": ">i8", "as_of": ">i8"} | dict.fromkeys(STATE_COLUMNS, ">f8"))
    states, nights = np.zeros((len(first), len(STATE_COLUMNS))), np.zeros(len(first), np.int64)
    rows = found["place"].astype(np.int64) - 1
    nights[rows] = found["as_of"]
    for column, name in enumerate(STATE_COLUMNS):
        states[rows, column] = found[name]
    return states, nights


def read_last_observations(
    connection: Connection, students: Integers, *, as_of: datetime, length: int
) -> tuple[Floats, Floats]:
    """Ratio and residual [students, length] of each student's last observed labels up to a night, newest first."""
    query = sql.SQL(
        "SELECT place, number, ratio, expected FROM unnest({}::bigint[]) WITH ORDINALITY AS wanted (student_id, place)"
        " CROSS JOIN LATERAL (SELECT ratio, expected,"
        " row_number() OVER (ORDER BY as_of DESC, outcome_id DESC) AS number"
        " FROM studyml.history_observations o WHERE o.student_id = wanted.student_id AND o.as_of <= {}"
        " AND o.ratio <> 'NaN' ORDER BY as_of DESC, outcome_id DESC LIMIT {}) AS newest"
    ).format(array_literal(students), sql.Literal(as_of), sql.Literal(length))
    found = copy_out(connection, query, {"place": ">i8", "number": ">i8", "ratio": ">f8", "expected": ">f8"})
    ratio = np.full((len(students), length), np.nan)
    residual = ratio.copy()
    where = (found["place"].astype(np.int64) - 1, found["number"].astype(np.int64) - 1)
    ratio[where] = found["ratio"]
    residual[where] = found["ratio"].astype(np.float64) - found["expected"].astype(np.float64)
    return ratio, residual


def write_observations(connection: Connection, columns: Columns) -> None:
    """Append observations: the columns of the table."""
    narrow = {"revision", *_POSITIONS}
    typed = {name: columns[name].astype(np.int32) if name in narrow else columns[name] for name in _OBSERVATION}
    copy_in(connection, "history_observations", typed, len(typed["session_id"]))


def write_states(
    connection: Connection,
    kind: str,
    keys: tuple[Integers, Integers],
    night: Integers,
    state: Floats,
    stored: NDArray[np.bool_],
) -> None:
    """Insert the states [k, 7] of new keys, and replace those that are ``stored``."""
    values = {name: state[:, column] for column, name in enumerate(STATE_COLUMNS)}
    number = np.full(len(night), KINDS.index(kind), np.int16)
    columns: Columns = {"kind": number, "first_key": keys[0], "second_key": keys[1], "as_of": night, **values}
    added = {name: column[~stored] for name, column in columns.items()}
    copy_in(connection, "history_states", added, int((~stored).sum()))
    replaced = np.flatnonzero(stored)
    for at in range(0, len(replaced), _BLOCK_ROWS):
        rows = replaced[at : at + _BLOCK_ROWS]
        _replace_states(connection, {name: column[rows] for name, column in columns.items()})


def _replace_states(connection: Connection, columns: Columns) -> None:
    types = {"kind": "smallint[]", "first_key": "bigint[]", "second_key": "bigint[]"}
    values = dict(columns)
    nights, at = np.unique(values.pop("as_of"), return_inverse=True)
    moments = sql.Literal([to_datetime(night) for night in nights.tolist()])
    values["night"] = at + 1
    arrays = [
        sql.SQL("{}::{}").format(array_literal(column), sql.SQL(types.get(name, "double precision[]")))
        for name, column in values.items()
    ]
    names = sql.SQL(", ").join(map(sql.Identifier, values))
    changed = [sql.SQL("{0} = new.{0}").format(sql.Identifier(name)) for name in STATE_COLUMNS]
    query = sql.SQL(
        "UPDATE studyml.history_states s SET as_of = ({}::timestamptz[])[new.night::integer], {}"
        " FROM unnest({}) AS new ({})"
        " WHERE s.kind = new.kind AND s.first_key = new.first_key AND s.second_key = new.second_key"
    ).format(moments, sql.SQL(", ").join(changed), sql.SQL(", ").join(arrays), names)
    with connection.cursor() as cursor:
        cursor.execute(query)


def write_progress(connection: Connection, nights: list[Progress]) -> None:
    """Record the sums after each night; a night that is continued replaces its own."""
    with connection.cursor() as cursor:
        for night in nights:
            cursor.execute(
                "INSERT INTO studyml.history_expectations (as_of, through_outcome_id, matrix, vector)"
                " VALUES (%s, %s, %s, %s) ON CONFLICT (as_of) DO UPDATE SET"
                " through_outcome_id = excluded.through_outcome_id, matrix = excluded.matrix, vector = excluded.vector",
                (to_datetime(night.as_of), night.through_outcome_id, night.matrix.tolist(), night.vector.tolist()),
            )


def _selected(types: Mapping[str, str]) -> sql.Composed:
    integers = {"revision", *_POSITIONS}
    return sql.SQL(", ").join(
        sql.SQL("{}::bigint").format(sql.Identifier(name)) if name in integers else sql.Identifier(name)
        for name in types
    )
