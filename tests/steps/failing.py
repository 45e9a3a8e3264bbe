"""Tasks that fail, and nights that do not; the fixture ``alerting``."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from studyml.settings import Settings
from studyml.steps.finish_night import finish_night
from studyml.steps.report_failure import report_failure
from tests.alerting.receivers import Webhook
from tests.conftest import END, NOW
from tests.scoring.world import finish, query
from tests.steps.test_notify import with_alerts

DAY = timedelta(days=1)


@pytest.fixture
def alerting(settings: Settings, hook: Webhook) -> Settings:
    return with_alerts(settings, hook.url())


def fail(settings: Settings, task: str = "score.publish", night: int = 0, **other: Any) -> None:
    arguments = {
        "dag_id": "studyml_nightly",
        "task_id": task,
        "dag_run_id": "manual__1",
        "as_of": END + night * DAY,
        "error": "the folder of version v_1 is missing.",
        "now": NOW,
        **other,
    }
    report_failure(settings, **arguments)


def titles(hook: Webhook) -> list[str]:
    return [each["title"] for each in hook.received]


def lived(settings: Settings, night: int) -> None:
    as_of = END + night * DAY
    scored(settings, as_of)
    finish(settings, as_of)
    finish_night(settings, as_of=as_of, now=NOW)


def scored(settings: Settings, as_of: datetime) -> None:
    query(
        settings,
        "INSERT INTO studyml.scoring_runs (as_of, versions, planned, written, refused, status, started_at)"
        " VALUES (%s, '{}', 0, 0, 0, 'complete', %s)",
        as_of,
        NOW,
    )
