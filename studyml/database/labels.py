"""The labels of the study app's sessions: all of them in blocks, the recent ones, and those of given sessions.

Each gives id, session_date and actual_duration (hours, NaN while unknown) of sessions dated up to ``through``; of those
without a usable date (NULL_INTEGER here); and of those that have a label though they are dated after
``impossible_after``, so that such labels are refused and not overlooked.
"""

from collections.abc import Callable
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from studyml.database.binary import array_literal, copy_out_blocks
from studyml.database.source import SESSION_LABELS, as_contract, column_types, read_rows, select_rows
from studyml.frame import NULL_INTEGER, Frame

_TABLE = "study_sessions"
_IDS_AT_ONCE = 5_000


def read_all_labels(
    connection: Connection,
    schema: str,
    consume: Callable[[Frame], None],
    *,
    through: datetime,
    impossible_after: datetime,
    rows: int,
) -> None:
    """Hand over all labels by id, ``rows`` at a time, so that memory does not grow with them."""
    query = select_rows(schema, _TABLE, SESSION_LABELS, {}, _due(through, impossible_after))
    with as_contract(schema, _TABLE):
        copy_out_blocks(
            connection, query, column_types(SESSION_LABELS), lambda block: consume(Frame(block, {})), rows=rows
        )


def read_recent_labels(
    connection: Connection,
    schema: str,
    *,
    after: datetime,
    ids_after: int,
    through: datetime,
    impossible_after: datetime,
) -> Frame:
    """Labels of the sessions dated after ``after``, and of those with an id above ``ids_after``; by id."""
    where = sql.SQL("(session_date::timestamptz > {} OR id > {}::bigint) AND ({})").format(
        sql.Literal(after), sql.Literal(str(ids_after)), _due(through, impossible_after)
    )
    return read_rows(connection, schema, _TABLE, SESSION_LABELS, {}, where)


def read_labels_of(
    connection: Connection,
    schema: str,
    ids: NDArray[np.int64],
    *,
    through: datetime,
    impossible_after: datetime,
    labelled_only: bool = False,
) -> Frame:
    """Labels of the sessions with these ids (ascending), as far as they exist, by id; through the primary key."""
    due = _due(through, impossible_after)
    if labelled_only:
        due = sql.SQL("actual_duration IS NOT NULL AND ({})").format(due)
    parts = []
    for at in range(0, max(len(ids), 1), _IDS_AT_ONCE):
        chosen = array_literal(ids[at : at + _IDS_AT_ONCE])
        where = sql.SQL("id = ANY({}::bigint[]) AND ({})").format(chosen, due)
        parts.append(read_rows(connection, schema, _TABLE, SESSION_LABELS, {}, where))
    return Frame({name: np.concatenate([part[name] for part in parts]) for name in parts[0].columns}, {})


def highest_session_id(connection: Connection, schema: str) -> int:
    """The highest id of all sessions, NULL_INTEGER where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT max(id)::bigint FROM {}").format(sql.Identifier(schema, _TABLE)))
        (highest,) = cursor.fetchone() or (None,)
    return NULL_INTEGER if highest is None else int(highest)


def _due(through: datetime, impossible_after: datetime) -> sql.Composed:
    return sql.SQL(
        "session_date IS NULL OR session_date::timestamptz <= {}"
        " OR (actual_duration IS NOT NULL AND session_date::timestamptz > {}::timestamptz)"
    ).format(sql.Literal(through), sql.Literal(impossible_after))
