"""Labels that make a retraining due, looking whether it is, and deciding it."""

from datetime import datetime, timedelta

import pytest

from studyml.registry.retraining import decide
from studyml.settings import Settings
from studyml.steps.check_retraining import check_retraining
from studyml.steps.observe import observe
from studyml.steps.opening import own_database
from tests.conftest import FIRST_NIGHT, NOW
from tests.steps.retraining import query

DAY = timedelta(days=1)
LATER = FIRST_NIGHT + DAY


@pytest.fixture
def quiet(lived: Settings) -> Settings:
    """A database with a champion in which no label is to be observed after the first night."""
    query(lived, "UPDATE study_sessions SET actual_duration = NULL WHERE session_date > %s", (FIRST_NIGHT,))
    return lived


def label(settings: Settings, count: int, hours: float = 2.0) -> None:
    """Give that many more sessions of the past a label."""
    query(
        settings,
        "INSERT INTO study_sessions (id, student_id, topic_id, session_date, actual_duration)"
        " SELECT (SELECT max(id) FROM study_sessions) + n, 1, 1, %s, %s FROM generate_series(1, %s) n",
        (FIRST_NIGHT - 40 * DAY, hours, count),
    )


def check(settings: Settings, as_of: datetime = LATER, **given: object) -> int | None:
    observe(settings, as_of=as_of, now=NOW)
    return check_retraining(settings, as_of=as_of, now=NOW, **given)  # type: ignore[arg-type]


def decided(settings: Settings, run_id: int, decision: str) -> None:
    with own_database(settings) as connection:
        decide(connection, run_id, decision, ["for the test"], NOW)
        connection.commit()
