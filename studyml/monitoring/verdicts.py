"""The verdicts of every night (table ``monitoring_runs``)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extras import Json

from studyml.monitoring.degradation import Evidence
from studyml.monitoring.rolling import SERVED, Rolling
from studyml.monitoring.verdict import ERROR, HEALTHY, INSUFFICIENT_DATA, Rule, Verdict

_JSON = ("drift", "coverage_by_date", "worst_slices")


@dataclass(frozen=True)
class Judged:
    """One scope's verdict with all that it rests on; shares from 0 to 1, errors in hours.

    ``coverage`` is the share of the window's sessions that have an outcome, ``coverage_by_date`` the same by the night
    whose prediction stood for them.
    """

    rolling: Rolling
    verdict: Verdict
    rule: Rule
    evidence: Evidence | None = None
    expected_mae: float | None = None
    coverage: float | None = None
    coverage_by_date: list[dict[str, Any]] | None = None
    drift: dict[str, Any] | None = None
    estimated_mae: float | None = None
    worst_slices: list[dict[str, Any]] | None = None

    def columns(self, window_days: int) -> dict[str, Any]:
        """The columns of ``monitoring_runs`` that do not depend on the night."""
        lower, upper = self.rolling.mae_bounds
        mae = self.rolling.mae
        return {
            "scope": self.rolling.scope,
            "verdict": self.verdict.verdict,
            "n": self.rolling.n,
            "rolling_mae": mae,
            "rolling_mae_lower": lower,
            "rolling_mae_upper": upper,
            "rolling_rmse": self.rolling.rmse,
            "rolling_bias": self.rolling.bias,
            "baseline_mae": self.rule.baseline_mae,
            "threshold": self.rule.threshold,
            "ratio": None if mae is None else mae / self.rule.baseline_mae,
            "error_ratio": None if self.evidence is None else self.evidence.error_ratio,
            "error_ratio_limit": None if self.evidence is None else self.evidence.limit,
            "error_ratio_n": None if self.evidence is None else self.evidence.n,
            "error_ratio_days": None if self.evidence is None else self.evidence.days,
            "expected_mae": self.expected_mae,
            "estimated_mae": self.estimated_mae,
            "coverage": self.coverage,
            "coverage_by_date": self.coverage_by_date,
            "interval_80_coverage": self.rolling.interval_80_coverage,
            "interval_90_coverage": self.rolling.interval_90_coverage,
            "window_days": window_days,
            "worst_slices": self.worst_slices,
            "drift": self.drift,
            "reason": self.verdict.reason,
        }


#: In the order in which ``studyml monitor --json`` prints them.
COLUMNS = tuple(Judged(Rolling(SERVED, 0, None, None), Verdict(HEALTHY, ""), Rule(1.0, 1.2, 1)).columns(window_days=1))


def store_verdicts(
    connection: Connection, judged: list[Judged], *, as_of: datetime, now: datetime, window_days: int
) -> None:
    """Store a night's verdicts in place of those of an earlier run of it. The caller commits."""
    names = ", ".join(("as_of", *COLUMNS, "recorded_at"))
    places = ", ".join(["%s"] * (len(COLUMNS) + 2))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM studyml.monitoring_runs WHERE as_of = %s", (as_of,))
        for each in judged:
            values = each.columns(window_days)
            stored = [Json(value) if name in _JSON and value is not None else value for name, value in values.items()]
            cursor.execute(f"INSERT INTO studyml.monitoring_runs ({names}) VALUES ({places})", (as_of, *stored, now))


def stored_verdict(connection: Connection, as_of: datetime, scope: str = SERVED) -> dict[str, Any] | None:
    """The verdict of a night as its columns, or None where the night was not judged."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(COLUMNS)} FROM studyml.monitoring_runs WHERE as_of = %s AND scope = %s", (as_of, scope)
        )
        row = cursor.fetchone()
    return None if row is None else dict(zip(COLUMNS, row, strict=True))


def last_healthy(connection: Connection, before: datetime) -> tuple[datetime, float] | None:
    """(as_of, MAE in hours) of the newest night before ``before`` that judged the served predictions healthy."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT as_of, rolling_mae FROM studyml.monitoring_runs WHERE scope = %s AND verdict = 'healthy'"
            " AND as_of < %s ORDER BY as_of DESC LIMIT 1",
            (SERVED, before),
        )
        return cursor.fetchone()


def was_judged(connection: Connection, before: datetime) -> bool:
    """Whether any night before ``before`` had the outcomes to judge the served predictions by."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM studyml.monitoring_runs WHERE scope = %s AND as_of < %s"
            " AND verdict NOT IN (%s, %s))",
            (SERVED, before, INSUFFICIENT_DATA, ERROR),
        )
        return bool((cursor.fetchone() or (False,))[0])


def healthy_nights(connection: Connection, as_of: datetime, scope: str, *, nights: int) -> bool:
    """Whether the newest ``nights`` that judged a scope by enough outcomes, up to ``as_of``, all found it healthy."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT verdict FROM studyml.monitoring_runs WHERE scope = %s AND as_of <= %s"
            " AND verdict <> 'insufficient_data' ORDER BY as_of DESC LIMIT %s",
            (scope, as_of, nights),
        )
        found = [verdict for (verdict,) in cursor.fetchall()]
    return found == [HEALTHY] * nights
