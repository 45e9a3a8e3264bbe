"""What the report of a backtest counts, beside what its database holds."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from studyml.settings import Settings
from studyml.steps.backtest_report import _as_it_was_told, _covered, _summary
from tests.scoring.world import query, scalar
from tests.steps.backtests import log, replay, scratch_of
from tests.steps.test_backtest import naive

__all__ = ["log"]

_MESSAGES = "SELECT count(*) FROM studyml.incident_events WHERE message_body IS NOT NULL AND NOT held_back"
_SERVED = "FROM studyml.outcome_predictions WHERE served AND actual_hours IS NOT NULL"


def test_it_counts_what_the_nights_left(log: Settings, tmp_path: Path) -> None:
    settings = naive(log).model_copy(
        update={"baseline_mae": 0.5, "page_rule": "guide", "degraded_ratio": 1.4, "monitoring_min_outcomes": 15}
    )

    document = replay(settings, tmp_path / "out", first="2026-02-17", last="2026-03-01", keep=True)

    there, summary, served = scratch_of(log), document["summary"], document["served"]
    assert document["kept"] is True
    assert summary["pages"] == scalar(there, f"{_MESSAGES} AND event <> 'resolved' AND severity = 'page'") > 0
    assert summary["recoveries"] == scalar(there, f"{_MESSAGES} AND event = 'resolved'")
    counted, error = query(there, f"SELECT count(*), avg(abs(actual_hours - predicted_hours)) {_SERVED}")[0]
    assert (served["n"], served["mae"]["served"]) == (counted, pytest.approx(error))
    labelled = scalar(there, "SELECT count(*) FROM studyml.outcomes WHERE revision = 1 AND actual_hours IS NOT NULL")
    assert served["not_predicted"] == labelled - counted > 0
    for parts, label in (
        ("months", "to_char(session_date AT TIME ZONE 'UTC', 'YYYY-MM')"),
        ("versions", "model_version"),
    ):
        expected = query(there, f"SELECT {label}, count(*) {_SERVED} GROUP BY 1 ORDER BY 1")
        assert [(part[parts[:-1]], part["n"]) for part in served[parts]] == expected
    for name, column in (("80", ""), ("90", "_90")):
        inside = f"avg((actual_hours BETWEEN lower_hours{column} AND upper_hours{column})::integer)::float8"
        known = query(there, f"SELECT count(lower_hours{column}), {inside} {_SERVED}")[0]
        assert (served["coverage"][name]["n"], served["coverage"][name]["share"]) == known
    assert served["against"]["median"]["ratio"] == pytest.approx(served["mae"]["served"] / served["mae"]["median"])
    [as_set] = [each for each in document["thresholds"] if each["is_set"] and each["rule"] == "suspected"]
    assert (as_set["ratio"], as_set["minimum_outcomes"]) == (1.4, 15)
    # Nothing but the thresholds is assumed to change, and these are those that the nights were lived with.
    opened = scalar(there, "SELECT opened_as_of FROM studyml.incidents WHERE kind = 'degraded' ORDER BY id LIMIT 1")
    assert datetime.fromisoformat(as_set["opened"][0]) == opened


@pytest.mark.parametrize(("severity", "title", "since"), [("ticket", "it is odd", 12), ("page", "it is bad", 14)])
def test_an_incident_is_told_by_the_first_message_of_its_urgency(severity: str, title: str, since: int) -> None:
    def event(day: int, event: str, severity: str, subject: str | None) -> dict[str, object]:
        as_of = datetime(2026, 2, day, 1, tzinfo=UTC)
        return {"event": event, "as_of": as_of, "severity": severity, "subject": subject}

    events = [
        event(12, "opened", "ticket", "studyml: it is odd"),
        event(13, "updated", "page", "studyml: the retraining did not help"),
        event(13, "updated", "page", None),
        event(14, "updated", "page", "studyml: worse: it is bad"),
        event(15, "reopened", "page", "studyml: again: it is worse"),
    ]
    incident = {"severity": severity, "title": "as it is now", "opened_as_of": events[0]["as_of"], "events": events}

    found = _as_it_was_told(incident)

    assert (found["title"], found["severity_since"]) == (title, datetime(2026, 2, since, 1, tzinfo=UTC))


def test_what_was_not_sent_is_no_page_and_no_recovery() -> None:
    told = [("opened", "page", True), ("updated", "page", False), ("escalated", "escalation", True)]
    over = [("resolved", "page", True), ("resolved", "page", False)]
    events = [{"event": event, "severity": severity, "has_message": sent} for event, severity, sent in (*told, *over)]

    found = _summary([], [{"events": events}], [], [])

    assert (found["pages"], found["escalations"], found["recoveries"]) == (1, 1, 1)


def test_an_interval_covers_its_own_bounds_and_a_prediction_without_one_does_not_count() -> None:
    rows = {
        "lower_80": np.array([1.0, 1.0, 1.0, np.nan, 1.0]),
        "upper_80": np.array([2.0, 2.0, 2.0, 2.0, np.nan]),
        "actual": np.array([1.0, 2.0, 2.5, 1.5, 1.5]),
    }

    assert _covered(rows, "80") == {"n": 3, "share": pytest.approx(2 / 3)}
