"""From the second revision to the third, and back: what alerts have recorded stays readable."""

import pytest

from studyml.database import migrate
from tests.database.test_migrations import OBJECTS, ask, move

NIGHT = "2026-03-01 00:00+00"
LIVED_AT_0002 = f"""
INSERT INTO studyml.monitoring_runs (as_of, scope, verdict, n, rolling_mae, baseline_mae, threshold, window_days,
    reason, recorded_at) VALUES ('{NIGHT}', 'served', 'degraded', 20, 1.5, 0.99, 1.188, 30, '', now()),
    ('{NIGHT}', 'v_20260101_000000', 'healthy', 20, 0.5, 0.99, 1.188, 30, '', now());
INSERT INTO studyml.incidents (kind, severity, status, title, opened_as_of, opened_at, updated_as_of)
    VALUES ('degraded', 'page', 'open', 'predictions degraded', '{NIGHT}', now(), '{NIGHT}');
INSERT INTO studyml.incident_events (incident_id, event, as_of, recorded_at, actor, message_subject, message_body)
    VALUES (1, 'opened', '{NIGHT}', now(), 'studyml', 'subject', 'body'),
    (1, 'updated', '{NIGHT}', now(), 'studyml', NULL, NULL);
INSERT INTO studyml.deliveries (event_id, address_fingerprint, status) VALUES (1, 'abc', 'pending');
"""
VERDICTS = "SELECT scope, verdict FROM analytics.model_quality_daily ORDER BY scope"


@pytest.fixture
def lived_url(empty_database_url: str) -> str:
    move(empty_database_url, up="0002")
    ask(empty_database_url, LIVED_AT_0002)
    return empty_database_url


def test_what_was_degraded_was_the_guides_rule_and_is_called_suspected(lived_url: str) -> None:
    migrate.upgrade(lived_url)

    assert ask(lived_url, VERDICTS) == [("served", "suspected"), ("v_20260101_000000", "healthy")]
    new = "rolling_mae_lower, ratio, error_ratio, error_ratio_limit, estimated_mae"
    assert set(ask(lived_url, f"SELECT {new} FROM analytics.model_quality_daily")) == {(None,) * 5}


def test_a_message_that_waits_is_still_for_the_pager_and_is_due(lived_url: str) -> None:
    migrate.upgrade(lived_url)

    assert ask(lived_url, "SELECT severity FROM studyml.incident_events ORDER BY id") == [("page",), (None,)]
    assert ask(lived_url, "SELECT status, next_attempt_at FROM studyml.deliveries") == [("pending", None)]
    columns = "acknowledged_by, escalated_at, resolved_at, times_reopened"
    assert ask(lived_url, f"SELECT {columns} FROM studyml.incidents") == [(None, None, None, 0)]


def test_back_again_the_second_revision_has_its_objects_and_its_data(lived_url: str) -> None:
    objects = ask(lived_url, OBJECTS)
    migrate.upgrade(lived_url)
    ask(
        lived_url,
        "UPDATE studyml.monitoring_runs SET verdict = 'confirmed' WHERE scope = 'served';"
        "INSERT INTO studyml.incident_events (incident_id, event, as_of, recorded_at, actor, severity)"
        " VALUES (1, 'escalated', now(), now(), 'studyml', 'escalation');"
        "INSERT INTO studyml.silences (kind, starts_at, ends_at, actor, note)"
        " VALUES ('degraded', now(), now() + interval '1 h', 'ann', 'x')",
    )

    move(lived_url, down="0002")

    assert ask(lived_url, OBJECTS) == objects
    assert ask(lived_url, VERDICTS) == [("served", "degraded"), ("v_20260101_000000", "healthy")]
    events = ask(lived_url, "SELECT event FROM studyml.incident_events ORDER BY id")
    assert events == [("opened",), ("updated",), ("updated",)]
    migrate.upgrade(lived_url)
    assert ask(lived_url, VERDICTS)[0] == ("served", "suspected")
