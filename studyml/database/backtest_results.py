"""What the nights of a backtest left in their database, as a report needs it."""

from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg2.extensions import connection as Connection

Rows = list[dict[str, Any]]


def nights(connection: Connection) -> Rows:
    """The verdict on the served predictions of every night, oldest first; hours."""
    return _rows(
        connection,
        "SELECT as_of, verdict, n, rolling_mae, rolling_rmse, baseline_mae, threshold, expected_mae, coverage,"
        " interval_80_coverage, interval_90_coverage, rolling_mae_lower, rolling_mae_upper, error_ratio,"
        " error_ratio_limit, error_ratio_n, reason FROM studyml.monitoring_runs WHERE scope = 'served' ORDER BY as_of",
    )


def rulings(connection: Connection) -> Rows:
    """The figures that decided about the incident in every night, oldest first; hours.

    The champion's own outcomes count where they sufficed: the guide's rule has to hold for them and for all that was
    served, so the smaller error decides (steps/follow_up).
    """
    return _rows(
        connection,
        "SELECT s.as_of, s.n, least(s.rolling_mae, own.rolling_mae) AS rolling_mae, s.baseline_mae,"
        " coalesce(own.error_ratio, s.error_ratio) AS error_ratio,"
        " coalesce(own.error_ratio_limit, s.error_ratio_limit) AS error_ratio_limit"
        " FROM studyml.monitoring_runs s LEFT JOIN studyml.monitoring_runs own ON own.as_of = s.as_of"
        " AND own.verdict NOT IN ('insufficient_data', 'error') AND own.scope ="
        " (SELECT to_version FROM studyml.deployments d WHERE d.as_of < s.as_of"
        " AND d.action IN ('promote', 'rollback') ORDER BY d.id DESC LIMIT 1)"
        " WHERE s.scope = 'served' ORDER BY s.as_of",
    )


def incidents(connection: Connection) -> Rows:
    """Every incident, with its events, oldest first; ``subject`` is that of an event's message, sent or held back."""
    found = _rows(
        connection,
        "SELECT id, kind, severity, status, title, model_version, opened_as_of, resolved_as_of, times_reopened"
        " FROM studyml.incidents ORDER BY id",
    )
    events = _rows(
        connection,
        "SELECT e.incident_id, e.event, e.as_of, coalesce(e.severity, i.severity) AS severity, e.note,"
        " e.message_subject AS subject, e.message_subject IS NOT NULL AND NOT e.held_back AS has_message"
        " FROM studyml.incident_events e JOIN studyml.incidents i ON i.id = e.incident_id ORDER BY e.id",
    )
    for each in found:
        each["events"] = [
            {name: value for name, value in event.items() if name != "incident_id"}
            for event in events
            if event["incident_id"] == each["id"]
        ]
    return found


def retrainings(connection: Connection) -> Rows:
    """Every retraining that was due, oldest first, with what its version measured on its holdout.

    One without a decision, or abandoned, is what a killed backtest left before it lived that night again.
    """
    return _rows(
        connection,
        "SELECT r.as_of, r.reason, r.new_labels, r.decision, r.reasons, r.version, v.architecture, v.recipe,"
        " v.training_rows, v.holdout_rows, (v.metrics ->> 'mae')::float8 AS holdout_mae,"
        " (v.metrics ->> 'median_mae')::float8 AS holdout_median_mae,"
        " (v.metrics ->> 'estimate_mae')::float8 AS holdout_estimate_mae"
        " FROM studyml.retraining_runs r LEFT JOIN studyml.model_versions v USING (version)"
        " WHERE r.decision NOT IN ('skipped', 'abandoned') ORDER BY r.id",
    )


def deployments(connection: Connection) -> Rows:
    """Every change of the version that serves, oldest first."""
    return _rows(
        connection,
        "SELECT d.as_of, d.action, d.from_version, d.to_version, d.reason, v.is_fallback, v.architecture, v.recipe"
        " FROM studyml.deployments d LEFT JOIN studyml.model_versions v ON v.version = d.to_version ORDER BY d.id",
    )


def events_of(connection: Connection, as_of: datetime) -> list[tuple[str, str]]:
    """What happened to incidents in a night: each event, and the subject of its message or the incident's title."""
    found = _rows(
        connection,
        "SELECT e.event, coalesce(e.message_subject, i.title) AS subject FROM studyml.incident_events e"
        " JOIN studyml.incidents i ON i.id = e.incident_id WHERE e.as_of = %s ORDER BY e.id",
        as_of,
    )
    return [(each["event"], each["subject"]) for each in found]


def served(connection: Connection) -> dict[str, NDArray[Any]]:
    """Every outcome with the prediction that was served for it, ordered by session id; hours, NaN where unknown.

    ``predicted_at`` and ``observed_at``, the nights of either, and ``session_date`` are microseconds since 2000.
    """
    return _arrays(
        connection,
        "SELECT o.session_id, "
        + ", ".join(_microseconds(f"o.{name}") for name in ("session_date", "observed_at"))
        + ", "
        + _microseconds("o.as_of")
        + ", o.actual_hours, o.predicted_hours, o.lower_hours, o.upper_hours,"
        " o.lower_hours_90, o.upper_hours_90, o.model_version FROM studyml.outcome_predictions o"
        " WHERE o.served AND o.actual_hours IS NOT NULL AND NOT EXISTS (SELECT FROM studyml.outcomes later"
        " WHERE later.session_id = o.session_id AND later.revision > o.revision) ORDER BY o.session_id",
        {
            **dict.fromkeys(("session_id", "session_date", "observed_at", "predicted_at"), np.int64),
            **dict.fromkeys(("actual", "predicted", "lower_80", "upper_80", "lower_90", "upper_90"), np.float64),
            "version": np.object_,
        },
    )


def outcomes(connection: Connection) -> dict[str, NDArray[Any]]:
    """Every outcome in the order of observation: ``observed_at`` in microseconds since 2000, ``actual`` in hours."""
    return _arrays(
        connection,
        "SELECT " + _microseconds("o.observed_at") + ", o.actual_hours FROM studyml.outcomes o"
        " WHERE o.actual_hours IS NOT NULL AND o.revision = 1 ORDER BY o.outcome_id",
        {"observed_at": np.int64, "actual": np.float64},
    )


def _microseconds(name: str) -> str:
    return f"(extract(epoch FROM {name}) * 1000000)::bigint - 946684800000000"


def _rows(connection: Connection, statement: str, *parameters: object) -> Rows:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _arrays(connection: Connection, statement: str, types: dict[str, Any]) -> dict[str, NDArray[Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall()
    columns = zip(*rows, strict=True) if rows else ([] for _ in types)
    return {name: np.array(values, kind) for (name, kind), values in zip(types.items(), columns, strict=True)}
