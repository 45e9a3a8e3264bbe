"""The beginning of a night."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from studyml.errors import DatabaseError, InputError, SchemaError, SourceError
from studyml.settings import Settings, load_settings
from studyml.steps.observe import observe
from studyml.steps.start_night import start_night
from tests.alerting.receivers import free_port
from tests.conftest import END, NOW
from tests.scoring.world import create_source, finish, query, scalar

DAY = timedelta(days=1)


def test_the_first_night_is_no_replay(settings: Settings) -> None:
    create_source(settings)

    assert start_night(settings, as_of=END, now=NOW, dag_run_id="manual__1") is False
    assert query(settings, "SELECT as_of, replay, dag_run_id, finished_at FROM studyml.nights") == [
        (END, False, "manual__1", None)
    ]


@pytest.mark.parametrize(("days", "replay"), [(-1, True), (0, False), (1, False)])
def test_a_night_is_a_replay_where_a_newer_one_is_finished(settings: Settings, days: int, replay: bool) -> None:
    create_source(settings)
    finish(settings, END)

    assert start_night(settings, as_of=END + days * DAY, now=NOW + DAY) is replay


def test_a_newer_night_that_only_began_makes_no_replay(settings: Settings) -> None:
    create_source(settings)
    start_night(settings, as_of=END + DAY, now=NOW + DAY)

    assert start_night(settings, as_of=END, now=NOW) is False


def test_the_same_night_can_begin_again(settings: Settings) -> None:
    create_source(settings)
    start_night(settings, as_of=END, now=NOW)
    start_night(settings, as_of=END, now=NOW + DAY)

    assert query(settings, "SELECT started_at FROM studyml.nights") == [(NOW + DAY,)]


def test_a_missing_source_stops_the_night_before_it_begins(settings: Settings) -> None:
    with pytest.raises(SourceError, match=r"the source has no table public\.students"):
        start_night(settings, as_of=END, now=NOW)
    assert scalar(settings, "SELECT count(*) FROM studyml.nights") == 0


def test_an_unmigrated_database_is_one_sentence(empty_database_url: str) -> None:
    with pytest.raises(SchemaError, match="run 'studyml db upgrade'"):
        start_night(load_settings(database_url=empty_database_url), as_of=END, now=NOW)


def test_an_unreachable_database_is_one_sentence_without_its_password() -> None:
    url = f"postgresql://studyml:s3cret@127.0.0.1:{free_port()}/studyml"

    with pytest.raises(DatabaseError, match="cannot be reached") as caught:
        start_night(load_settings(database_url=url), as_of=END, now=NOW)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("step", [start_night, observe])
def test_a_night_in_the_future_is_refused_before_it_makes_every_real_one_a_replay(
    simulated: Settings, step: Callable[..., object]
) -> None:
    with pytest.raises(InputError, match=r"the night of 2026-03-03T00:00:00\+00:00 is in the future"):
        step(simulated, as_of=datetime(2026, 3, 3, tzinfo=UTC), now=NOW)

    assert scalar(simulated, "SELECT count(*) FROM studyml.nights") == 0
    assert scalar(simulated, "SELECT count(*) FROM studyml.outcomes") == 0
