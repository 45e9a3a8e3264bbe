"""Rolling error of the served predictions, and the verdict of the guide's rule.

The window holds outcomes of sessions dated in (as_of - window, as_of], each by its highest revision observed by
as_of, with the prediction that was served for it: never a model's own training rows, never hindsight.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg2.extensions import connection as Connection

SERVED = "served"
#: A MAE so little above the threshold, in hours, is equal to it but for rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Rolling:
    """Errors of one scope over the window: n outcomes, MAE and RMSE in hours (None where n is 0).

    The coverages are the shares of outcomes inside the 80 % and the 90 % interval that their prediction carried,
    among those whose prediction carried one.
    """

    scope: str
    n: int
    mae: float | None
    rmse: float | None
    interval_80_coverage: float | None = None
    interval_90_coverage: float | None = None


@dataclass(frozen=True)
class Rule:
    """The guide's rule: degraded when the MAE exceeds ``ratio`` x ``baseline_mae`` (hours) over enough outcomes."""

    baseline_mae: float
    ratio: float
    minimum_outcomes: int

    @property
    def threshold(self) -> float:
        """The MAE above which a model counts as degraded, hours.

        >>> round(Rule(0.99, 1.2, 10).threshold, 3)
        1.188
        """
        return self.baseline_mae * self.ratio


@dataclass(frozen=True)
class Verdict:
    """What the rule says of one scope, and why in words."""

    verdict: str
    reason: str


def judge(rolling: Rolling, rule: Rule) -> Verdict:
    """Apply the guide's rule (guide.md, Performance Monitoring).

    >>> judge(Rolling("served", 10, 1.19, 1.5), Rule(0.99, 1.2, 10)).verdict
    'degraded'
    >>> judge(Rolling("served", 10, 1.188, 1.5), Rule(0.99, 1.2, 10)).verdict
    'healthy'
    >>> judge(Rolling("served", 9, 5.0, 6.0), Rule(0.99, 1.2, 10)).verdict
    'insufficient_data'
    """
    if rolling.n < rule.minimum_outcomes:
        return Verdict("insufficient_data", f"{rolling.n} outcomes in the window, {rule.minimum_outcomes} needed")
    if rolling.mae is None or not math.isfinite(rolling.mae):
        return Verdict("error", f"the MAE over {rolling.n} outcomes is not a number")
    comparison = f"MAE {rolling.mae:.3f} h over {rolling.n} outcomes against a threshold of {rule.threshold:.3f} h"
    if rolling.mae > rule.threshold + _ROUNDING:
        return Verdict("degraded", f"{comparison} ({rolling.mae / rule.baseline_mae:.2f} x the baseline)")
    return Verdict("healthy", comparison)


def rolling_errors(connection: Connection, *, as_of: datetime, window_days: int) -> list[Rolling]:
    """The served predictions first, then each version that has outcomes in the window."""
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
    sqrt(avg(error_hours ^ 2 ORDER BY session_id, error_hours)), avg(inside_80), avg(inside_90)
FROM scoped GROUP BY scope
"""


def coverage(outcomes: int, sessions: int) -> float | None:
    """Share of the window's ``sessions`` that have an outcome; None where there are no sessions.

    >>> coverage(1, 4)
    0.25
    """
    return min(1.0, outcomes / sessions) if sessions else None


def last_healthy(connection: Connection, before: datetime) -> tuple[datetime, float] | None:
    """(as_of, MAE in hours) of the newest night before ``before`` that judged the served predictions healthy."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT as_of, rolling_mae FROM studyml.monitoring_runs WHERE scope = %s AND verdict = 'healthy'"
            " AND as_of < %s ORDER BY as_of DESC LIMIT 1",
            (SERVED, before),
        )
        return cursor.fetchone()


def record_verdict(
    connection: Connection,
    *,
    as_of: datetime,
    now: datetime,
    rolling: Rolling,
    verdict: Verdict,
    rule: Rule,
    expected_mae: float | None,
    coverage: float | None,
    window_days: int,
) -> None:
    """Store one scope's verdict, replacing that of an earlier run of the night. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO studyml.monitoring_runs (as_of, scope, verdict, n, rolling_mae, rolling_rmse, baseline_mae,"
            " threshold, expected_mae, coverage, interval_80_coverage, interval_90_coverage, window_days, reason,"
            " recorded_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                as_of,
                rolling.scope,
                verdict.verdict,
                rolling.n,
                rolling.mae,
                rolling.rmse,
                rule.baseline_mae,
                rule.threshold,
                expected_mae,
                coverage,
                rolling.interval_80_coverage,
                rolling.interval_90_coverage,
                window_days,
                verdict.reason,
                now,
            ),
        )


def forget_verdicts(connection: Connection, as_of: datetime) -> None:
    """Remove a night's verdicts before they are written again. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM studyml.monitoring_runs WHERE as_of = %s", (as_of,))


def stored_verdict(connection: Connection, as_of: datetime, scope: str = SERVED) -> dict[str, object] | None:
    """The verdict of a night as its columns, or None where the night was not judged."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT verdict, rolling_mae, rolling_rmse, n, baseline_mae, threshold, expected_mae, coverage,"
            " interval_80_coverage, interval_90_coverage, window_days, reason"
            " FROM studyml.monitoring_runs WHERE as_of = %s AND scope = %s",
            (as_of, scope),
        )
        row = cursor.fetchone()
        names = [column.name for column in cursor.description or ()]
    return None if row is None else dict(zip(names, row, strict=True))
