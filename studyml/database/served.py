"""What was predicted for given sessions, and what came of the predictions that were served."""

from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from studyml.database.binary import copy_out

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def newest_predictions(connection: Connection, *, as_of: datetime, version: str, ids: Integers) -> Floats:
    """Hours [n] that ``version`` predicted for these sessions in the newest complete night before ``as_of``.

    A night that is run again has predictions of its own by then, and has to see what it saw before them. NaN where the
    version did not predict. Also what was not served counts, since another version was tried on the student.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT as_of FROM studyml.scoring_runs WHERE status = 'complete' AND as_of < %s"
            " ORDER BY as_of DESC LIMIT 1",
            (as_of,),
        )
        row = cursor.fetchone()
    hours = np.full(len(ids), np.nan)
    if row is None or len(ids) == 0:
        return hours
    query = sql.SQL(
        "SELECT place, predicted_hours FROM unnest({}::bigint[]) WITH ORDINALITY AS wanted (session_id, place)"
        " JOIN studyml.predictions p USING (session_id) WHERE p.as_of = {} AND p.model_version = {}"
    ).format(sql.Literal("{" + ",".join(map(str, ids.tolist())) + "}"), sql.Literal(row[0]), sql.Literal(version))
    found = copy_out(connection, query, {"place": ">i8", "predicted_hours": ">f8"})
    hours[found["place"].astype(np.int64) - 1] = found["predicted_hours"]
    return hours


def served_outcomes(
    connection: Connection, *, version: str | None, after: datetime, as_of: datetime, most: int
) -> dict[str, NDArray[np.generic]]:
    """The newest outcomes [n] of sessions dated in (``after``, ``as_of``], as they counted at ``as_of``.

    Of all that was served, or of all that a ``version`` predicted, served or not, as ``rolling_errors`` counts them.
    session_id ascending, night and observed_at (microseconds), predicted and actual (hours).
    """
    query = sql.SQL(
        "SELECT session_id, as_of, observed_at, predicted_hours, actual_hours FROM (SELECT * FROM"
        " studyml.outcome_predictions o WHERE {scope} AND session_date > {after} AND session_date <= {as_of}"
        " AND observed_at <= {as_of} AND actual_hours IS NOT NULL AND NOT EXISTS (SELECT FROM"
        " studyml.outcomes later WHERE later.session_id = o.session_id AND later.revision > o.revision"
        " AND later.observed_at <= {as_of}) ORDER BY session_date DESC, session_id LIMIT {most}) AS newest"
        " ORDER BY session_id"
    ).format(
        after=sql.Literal(after),
        as_of=sql.Literal(as_of),
        scope=sql.SQL("served" if version is None else "model_version = {}").format(sql.Literal(version)),
        most=sql.Literal(most),
    )
    types = dict.fromkeys(("session_id", "night", "observed_at"), ">i8") | dict.fromkeys(("predicted", "actual"), ">f8")
    return copy_out(connection, query, types)


def served_at(connection: Connection, *, session_id: int, moment: datetime) -> dict[str, Any] | None:
    """What was readable for a session at ``moment``: of the newest night up to then, published by then; hours.

    Keys: as_of, model_version, predicted_hours, the ends of both intervals, scored_at, visible_from and replaced_at.
    """
    names = (
        *("as_of", "model_version", "predicted_hours", "lower_hours", "upper_hours", "lower_hours_90"),
        *("upper_hours_90", "scored_at", "visible_from", "replaced_at"),
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(names)} FROM analytics.served_predictions WHERE session_id = %s AND as_of < %s"
            " AND visible_from <= %s AND (replaced_at IS NULL OR replaced_at > %s) ORDER BY as_of DESC LIMIT 1",
            (session_id, moment, moment, moment),
        )
        row = cursor.fetchone()
    return None if row is None else dict(zip(names, row, strict=True))
