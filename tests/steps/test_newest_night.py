"""Which night the scoring of a new champion is for."""

from datetime import datetime, timedelta

from studyml.settings import Settings
from studyml.steps.newest_night import already_scored, newest_night
from tests.conftest import END, NOW
from tests.scoring.world import EARLIER, VERSION, add_champion, query

DAY = timedelta(days=1)


def scored(settings: Settings, as_of: datetime, version: str = VERSION, status: str = "complete") -> None:
    query(
        settings,
        "INSERT INTO studyml.scoring_runs (as_of, versions, planned, status, started_at)"
        " VALUES (%s, ARRAY[%s], 0, %s, %s)",
        as_of,
        version,
        status,
        NOW,
    )


def test_before_the_first_night_there_is_none(settings: Settings) -> None:
    assert newest_night(settings) is None
    assert already_scored(settings, as_of=END) is False


def test_it_is_the_newest_with_complete_predictions_whenever_it_was_scored(settings: Settings) -> None:
    for night, status in ((1, "complete"), (0, "complete"), (2, "running"), (3, "failed")):
        scored(settings, END + night * DAY, status=status)

    assert newest_night(settings) == END + DAY


def test_it_is_scored_already_where_the_present_champion_did_it(settings: Settings) -> None:
    add_champion(settings, END, version=EARLIER)
    scored(settings, END, EARLIER)
    assert already_scored(settings, as_of=END) is True

    add_champion(settings, END)
    assert already_scored(settings, as_of=END) is False
    scored(settings, END)
    assert already_scored(settings, as_of=END) is True


def test_an_older_night_is_not_the_newest_scored(settings: Settings) -> None:
    add_champion(settings, END)
    scored(settings, END)
    scored(settings, END + DAY)

    assert already_scored(settings, as_of=END) is False
