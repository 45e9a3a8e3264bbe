"""Nights in the order in which they were lived."""

from datetime import UTC, datetime, timedelta

from studyml.database import nights
from studyml.database.connection import Connection

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_before_the_first_night_nothing_is_a_replay(connection: Connection) -> None:
    assert nights.newest_finished(connection) is None
    assert nights.last_finished_at(connection) is None
    assert not nights.is_replay(connection, FIRST)


def test_only_a_finished_night_makes_older_ones_replays(connection: Connection) -> None:
    nights.begin_night(connection, FIRST, replay=False, now=FIRST, dag_run_id=None)
    assert not nights.is_replay(connection, FIRST - DAY)
    assert nights.end_night(connection, FIRST, now=FIRST + DAY)
    assert nights.is_replay(connection, FIRST - DAY)
    assert not nights.is_replay(connection, FIRST)
    assert not nights.is_replay(connection, FIRST + DAY)
    assert nights.newest_finished(connection) == FIRST


def test_a_night_that_never_began_cannot_end(connection: Connection) -> None:
    assert not nights.end_night(connection, FIRST, now=FIRST)


def test_a_night_that_is_run_again_stays_finished_meanwhile(connection: Connection) -> None:
    nights.begin_night(connection, FIRST, replay=False, now=FIRST, dag_run_id="one")
    nights.end_night(connection, FIRST, now=FIRST + DAY)
    nights.begin_night(connection, FIRST, replay=False, now=FIRST + 2 * DAY, dag_run_id="two")
    assert nights.last_finished_at(connection) == (FIRST, FIRST + DAY)


def test_a_replay_that_ends_later_is_not_the_newest_night(connection: Connection) -> None:
    for night, now in ((FIRST, FIRST), (FIRST - DAY, FIRST + 9 * DAY)):
        nights.begin_night(connection, night, replay=False, now=now, dag_run_id=None)
        nights.end_night(connection, night, now=now)
    assert nights.last_finished_at(connection) == (FIRST, FIRST)
