"""What was told of an incident, night by night."""

from datetime import timedelta

import pytest

from studyml.alerting.incidents import PAGE, TICKET, Event, Incident
from studyml.alerting.told import as_told
from tests.conftest import END

DAY = timedelta(days=1)
INCIDENT = Incident(
    *(1, "degraded", PAGE, "open", "as it is now", None, END, END, END + 9 * DAY, None, None, None, None, None, 1, {}),
)


def event(number: int, night: int, kind: str, title: str | None = None, severity: str | None = None) -> Event:
    subject = None if title is None else f"studyml: {title}"
    return Event(number, kind, END + night * DAY, END + night * DAY, "studyml", None, severity, subject, title, False)


EVENTS = [
    event(1, 1, "opened", "a suspicion", TICKET),
    event(2, 3, "updated", "worse: confirmed", PAGE),
    event(3, 4, "updated"),
    event(4, 4, "escalated", "not acknowledged: confirmed", "escalation"),
    event(5, 6, "resolved", "over", PAGE),
    event(6, 8, "reopened", "again: a suspicion", TICKET),
]


@pytest.mark.parametrize(
    ("night", "told"),
    [
        (0, None),
        (1, ("a suspicion", TICKET)),
        (2, ("a suspicion", TICKET)),
        (3, ("confirmed", PAGE)),
        (5, ("confirmed", PAGE)),
        (6, None),
        (7, None),
        (8, ("a suspicion", TICKET)),
    ],
)
def test_a_night_is_told_by_its_newest_opening_or_worsening(night: int, told: tuple[str, str] | None) -> None:
    found = as_told(INCIDENT, EVENTS, END + night * DAY)

    assert (None if found is None else (found.title, found.severity)) == told
