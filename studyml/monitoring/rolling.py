"""Rolling error of the served predictions and of each version, from the ledger.

The window holds outcomes of sessions dated in (as_of - window, as_of], each by its highest revision observed by
as_of, with the prediction that was served for it: never a model's own training rows, never hindsight.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg2.extensions import connection as Connection

SERVED = "served"
#: Two-sided 95 % of a normal distribution.
_NORMAL_95 = 1.96


@dataclass(frozen=True)
class Rolling:
    """Errors of one scope over the window: n outcomes, MAE, RMSE and bias in hours (None where n is 0).

    A bias above 0 means that sessions took longer than predicted.
    The coverages are the shares of outcomes inside the 80 % and the 90 % interval that their prediction carried,
    among those whose prediction carried one.
    """

    scope: str
    n: int
    mae: float | None
    rmse: float | None
    bias: float | None = None
    interval_80_coverage: float | None = None
    interval_90_coverage: float | None = None

    @property
    def mae_bounds(self) -> tuple[float, float] | tuple[None, None]:
        """The 95 % confidence interval of the MAE, hours: MAE +- 1.96 s / sqrt(n), s that of the absolute errors.

        >>> Rolling("served", 101, 1.0, 1.25).mae_bounds
        (0.853, 1.147)
        """
        if self.mae is None or self.rmse is None or self.n < 2:
            return None, None
        half = _NORMAL_95 * math.sqrt(max(self.rmse**2 - self.mae**2, 0.0) / (self.n - 1))
        return round(max(self.mae - half, 0.0), 6), round(self.mae + half, 6)


def rolling_errors(connection: Connection, *, as_of: datetime, window_days: int) -> list[Rolling]:
    """The served predictions first, then all of each version that predicted in the window, served or not."""
    with connection.cursor() as cursor:
        cursor.execute(_ROLLING, {"start": as_of - timedelta(days=window_days), "as_of": as_of, "served": SERVED})
        found = [
            Rolling(str(scope), int(n), *(_finite(each) for each in figures))
            for scope, n, *figures in cursor.fetchall()
        ]
    served = [each for each in found if each.scope == SERVED] or [Rolling(SERVED, 0, None, None)]
    return served + sorted((each for each in found if each.scope != SERVED), key=lambda each: each.scope)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


# The revision that counts is chosen before the window: a correction may have moved a session out of it. Ordered,
# since a sum of floating-point numbers depends on it in its last digit, and a night run again must say the same.
_ROLLING = """
WITH current AS MATERIALIZED (
    SELECT session_id, model_version, served, error_hours,
        (actual_hours BETWEEN lower_hours AND upper_hours)::integer::float8 AS inside_80,
        (actual_hours BETWEEN lower_hours_90 AND upper_hours_90)::integer::float8 AS inside_90
    FROM studyml.outcome_predictions o
    WHERE session_date > %(start)s AND session_date <= %(as_of)s AND observed_at <= %(as_of)s
      AND actual_hours IS NOT NULL
      AND NOT EXISTS (SELECT FROM studyml.outcomes later WHERE later.session_id = o.session_id
          AND later.revision > o.revision AND later.observed_at <= %(as_of)s
          AND later.revision > 1 AND later.observed_at > %(start)s)
), scoped AS (
    SELECT %(served)s AS scope, session_id, error_hours, inside_80, inside_90 FROM current WHERE served
    UNION ALL
    SELECT model_version, session_id, error_hours, inside_80, inside_90 FROM current
)
SELECT scope, count(*), avg(abs(error_hours) ORDER BY session_id, error_hours),
    sqrt(avg(error_hours ^ 2 ORDER BY session_id, error_hours)), avg(error_hours ORDER BY session_id, error_hours),
    avg(inside_80), avg(inside_90)
FROM scoped GROUP BY scope
"""


def coverage(outcomes: int, sessions: int) -> float | None:
    """Share of the window's ``sessions`` that have an outcome; None where there are no sessions.

    >>> coverage(1, 4)
    0.25
    """
    return min(1.0, outcomes / sessions) if sessions else None
