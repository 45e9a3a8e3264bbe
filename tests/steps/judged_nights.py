"""Outcomes of a night as the ledger would hold them, its verdict, and what was told about it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from studyml.alerting.incidents import DEGRADED, open_incident
from studyml.settings import Settings
from studyml.steps.monitor import monitor
from studyml.steps.opening import own_database
from tests.conftest import END, NOW
from tests.scoring.world import EARLIER, add_champion, create_source, judged, query

DAY = timedelta(days=1)
BAD, GOOD = 2.0, 0.5

#: Relative errors as small as this out of fold make everything served beyond chance.
PRECISE = {
    "mean": 0.01,
    "coefficient_of_variation": 0.5,
    "skewness": 0.0,
    "week_effect": 1.0,
    "student_effect": 1.0,
    "rows": 400,
    "cap": 5.0,
}


@pytest.fixture
def world(settings: Settings) -> Settings:
    """A champion, an empty source, and nothing in the ledger."""
    create_source(settings)
    add_champion(settings, END - 50 * DAY, mae=0.91)
    return settings


def errors(settings: Settings, count: int, error: float, *, as_of: datetime = END, first_id: int = 1) -> None:
    """Outcomes of the day before ``as_of``, observed by it, each so many hours off."""
    rows = [(first_id + row, as_of - DAY, 1.0 + error, 1.0) for row in range(count)]
    judged(settings, rows, observed_at=as_of)


def forget(settings: Settings) -> None:
    query(settings, "TRUNCATE studyml.outcomes, studyml.outcome_predictions")


def judge(settings: Settings, night: int = 0) -> dict[str, Any]:
    return monitor(settings, as_of=END + night * DAY, now=NOW)[0]


def messages(settings: Settings) -> list[str]:
    return [text for (text,) in query(settings, "SELECT message_body FROM studyml.incident_events ORDER BY id") if text]


def incidents(settings: Settings) -> list[tuple[str, str]]:
    return query(settings, "SELECT kind, status FROM studyml.incidents ORDER BY id")


def open_degradation(settings: Settings, as_of: datetime) -> int:
    """An open incident that pages about degraded predictions; return its id."""
    with own_database(settings) as connection:
        found = open_incident(
            connection,
            kind=DEGRADED,
            severity="page",
            title="predictions degraded",
            model_version=None,
            figures={},
            as_of=as_of,
            now=NOW,
        )
        connection.commit()
    assert found is not None
    return found


def severities(settings: Settings) -> list[tuple[str, str]]:
    return query(
        settings, "SELECT event, severity FROM studyml.incident_events WHERE message_body IS NOT NULL ORDER BY id"
    )


def confirmable(settings: Settings, as_of: Any = END - 40 * DAY, version: str = EARLIER) -> None:
    """A champion whose errors are beyond chance as soon as it has ten outcomes that are off."""
    add_champion(settings, as_of, version=version, relative_error=PRECISE)
