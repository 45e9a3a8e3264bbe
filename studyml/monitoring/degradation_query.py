"""The relative errors of each version's predictions, per window, as ``degradation.weigh`` takes them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from psycopg2.extensions import connection as Connection


def relative_errors(
    connection: Connection, *, as_of: datetime, caps: Mapping[str, float], days: Sequence[int]
) -> dict[str, dict[int, tuple[int, float]]]:
    """(n, mean of |actual - predicted| / predicted) by version and by window of ``days`` up to ``as_of``.

    ``caps`` holds the versions to look at and how much one outcome counts at most. Of champion and challenger each is
    judged by all it predicted, also where the other one was served. A session counts by its highest revision observed
    by ``as_of`` and dated in (as_of - days, as_of]. Versions and windows without outcomes are left out.
    """
    if not caps:
        return {}
    found: dict[str, dict[int, tuple[int, float]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            _RELATIVE_ERRORS,
            {
                "as_of": as_of,
                "longest": as_of - timedelta(days=max(days)),
                "days": list(days),
                "starts": [as_of - timedelta(days=each) for each in days],
                "versions": list(caps),
                "caps": list(caps.values()),
            },
        )
        for version, window, n, mean in cursor.fetchall():
            found.setdefault(str(version), {})[int(window)] = (int(n), float(mean))
    return found


# As in rolling.py: the revision that counts is chosen before the window, and the sum has an order, so that a night
# run again says the same in the last digit. What is not a number, or has no prediction to divide by, counts as the cap:
# least() takes NaN for the largest number and passes over NULL.
_RELATIVE_ERRORS = """
WITH current AS MATERIALIZED (
    SELECT o.session_id, o.model_version, o.session_date,
        least(abs(o.error_hours) / nullif(o.predicted_hours, 0), versions.cap) AS relative_error
    FROM studyml.outcome_predictions o
    JOIN unnest(%(versions)s::text[], %(caps)s::float8[]) AS versions (version, cap)
        ON versions.version = o.model_version
    WHERE o.session_date > %(longest)s AND o.session_date <= %(as_of)s AND o.observed_at <= %(as_of)s
      AND o.actual_hours IS NOT NULL
      AND NOT EXISTS (SELECT FROM studyml.outcomes later WHERE later.session_id = o.session_id
          AND later.revision > o.revision AND later.observed_at <= %(as_of)s)
)
SELECT c.model_version, windows.days, count(*), avg(c.relative_error ORDER BY c.session_id, c.relative_error)
FROM current c
JOIN unnest(%(days)s::integer[], %(starts)s::timestamptz[]) AS windows (days, start) ON c.session_date > windows.start
GROUP BY c.model_version, windows.days
"""
