"""What happens between nights: silences end, pages are escalated, messages go out."""

from datetime import timedelta

import pytest

from studyml.settings import Settings
from studyml.steps.deliver_alerts import deliver_alerts
from studyml.steps.handle_incidents import silence
from studyml.steps.opening import own_database
from tests.alerting.problems import report
from tests.alerting.receivers import Webhook
from tests.conftest import NOW
from tests.scoring.world import query
from tests.steps.failing import alerting, fail, lived, titles
from tests.steps.test_watch_retraining import VERSION, add_version, watch

__all__ = ["alerting"]
HOUR = timedelta(hours=1)
FAILED = "studyml: studyml_nightly.score.publish failed"


def quiet(settings: Settings, begin: float, hours: float) -> None:
    silence(settings, "task_failed", hours=hours, now=NOW + begin * HOUR, actor="ann", note="works on it")


def test_a_page_that_a_silence_held_back_is_told_once_when_it_has_ended(alerting: Settings, hook: Webhook) -> None:
    quiet(alerting, -1, 2)
    fail(alerting)
    for hours in (0.5, 1.1, 1.3):
        deliver_alerts(alerting, now=NOW + hours * HOUR)
        assert titles(hook) == ([] if hours < 1 else [FAILED])


def test_whoever_is_on_call_hears_of_a_page_before_it_is_escalated(alerting: Settings, hook: Webhook) -> None:
    fail(alerting)
    lived(alerting, 1)
    quiet(alerting, 24, 2)
    fail(alerting, night=2, now=NOW + 25 * HOUR)

    deliver_alerts(alerting, now=NOW + 26.1 * HOUR)
    assert "studyml: again: studyml_nightly.score.publish failed" in titles(hook)
    assert not [title for title in titles(hook) if "not acknowledged" in title]

    deliver_alerts(alerting, now=NOW + 30.2 * HOUR)
    assert "studyml: not acknowledged for over 4 h: studyml_nightly.score.publish failed" in titles(hook)


@pytest.mark.parametrize(("status", "told"), [("awaiting_approval", True), ("rejected", False), ("champion", False)])
def test_a_person_is_not_asked_after_a_silence_about_a_version_that_was_decided(
    alerting: Settings, hook: Webhook, status: str, told: bool
) -> None:
    with own_database(alerting) as connection:
        report(connection)
        connection.commit()
    silence(alerting, "degraded", hours=1, now=NOW, actor="ann", note="exams")
    add_version(alerting, "awaiting_approval")
    watch(alerting)
    query(alerting, "UPDATE studyml.model_versions SET status = %s WHERE version = %s", status, VERSION)

    deliver_alerts(alerting, now=NOW + 2 * HOUR)

    assert any("waits for approval" in title for title in titles(hook)) is told
