"""Outcomes that champion and challenger had both predicted in the same night."""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from studyml.database.binary import copy_out

_TYPES = dict.fromkeys(("session_id", "student_id", "session_date"), ">i8") | dict.fromkeys(
    ("actual", "champion", "challenger"), ">f8"
)

# The student is looked up by the night's primary key, each by itself: written as a join, the server's planner may read
# whole nights instead.
_PAIRS = """
SELECT c.session_id, p.student_id, c.session_date, c.actual_hours, c.predicted_hours, t.predicted_hours
FROM studyml.outcome_predictions t
JOIN studyml.outcome_predictions c ON c.session_id = t.session_id AND c.revision = t.revision AND c.role = 'champion'
    AND c.as_of = t.as_of
CROSS JOIN LATERAL (SELECT each.student_id FROM studyml.predictions each WHERE each.as_of = t.as_of
    AND each.session_id = t.session_id AND each.role = 'challenger' LIMIT 1) AS p
WHERE t.role = 'challenger' AND t.model_version = {challenger} AND c.model_version = {champion}
    AND t.as_of >= {since} AND t.session_date > {oldest} AND t.observed_at <= {as_of} AND t.actual_hours IS NOT NULL
    AND NOT EXISTS (SELECT FROM studyml.outcomes later WHERE later.session_id = t.session_id
        AND later.revision > t.revision AND later.observed_at <= {as_of})
ORDER BY t.session_id
"""


def paired_outcomes(
    connection: Connection, *, challenger: str, champion: str, since: datetime, oldest: datetime, as_of: datetime
) -> dict[str, NDArray[np.generic]]:
    """The paired outcomes [n] as they counted at ``as_of``, of nights from ``since`` on.

    session_id ascending, student_id, session_date (microseconds), actual, champion and challenger (hours).
    ``oldest``: no session that these nights predicted is dated up to it.
    """
    names = {"challenger": challenger, "champion": champion, "since": since, "oldest": oldest, "as_of": as_of}
    query = sql.SQL(_PAIRS).format(**{name: sql.Literal(value) for name, value in names.items()})
    return copy_out(connection, query, _TYPES)
