"""All of a night's predictions at once, or none."""

import threading

import psycopg2
import pytest

from studyml.errors import LockBusyError, RegistryError
from studyml.settings import Settings
from studyml.steps.publish_predictions import publish_predictions
from tests.conftest import FIRST_NIGHT, NOW
from tests.scoring.world import query, scalar
from tests.steps.test_score_range import again, one, planned, rows


def test_a_range_that_was_never_scored_stops_the_publishing_and_the_old_rows_stay(lived: Settings) -> None:
    before = rows(lived)
    run, ranges = planned(lived)
    one(lived, run, ranges[0])

    with pytest.raises(RegistryError, match=rf"scoring run {run} planned {len(before)} sessions but wrote 20"):
        publish_predictions(lived, scoring_run_id=run, now=NOW)
    assert rows(lived) == before


def test_after_that_the_missing_range_can_be_scored_and_all_be_published(lived: Settings) -> None:
    before = rows(lived)
    run, ranges = planned(lived)
    one(lived, run, ranges[0])
    with pytest.raises(RegistryError):
        publish_predictions(lived, scoring_run_id=run, now=NOW)

    for ids in ranges[1:]:
        one(lived, run, ids)
    publish_predictions(lived, scoring_run_id=run, now=NOW)

    assert rows(lived) == before


def test_publishing_twice_says_the_same_and_changes_nothing(lived: Settings) -> None:
    run, ranges = planned(lived, 1000)
    one(lived, run, ranges[0])
    first = publish_predictions(lived, scoring_run_id=run, now=NOW)

    assert publish_predictions(lived, scoring_run_id=run, now=NOW) == first
    assert first["written"] == first["planned"] == len(rows(lived))


def test_a_run_that_a_newer_one_has_overtaken_does_not_replace_it(lived: Settings) -> None:
    slow, ranges = planned(lived, 1000)
    query(lived, "UPDATE study_sessions SET energy_level = 1")
    one(lived, slow, ranges[0])
    query(lived, "UPDATE study_sessions SET energy_level = 5")
    again(lived)
    newest = rows(lived)

    found = publish_predictions(lived, scoring_run_id=slow, now=NOW)

    assert rows(lived) == newest
    assert found["written"] == len(newest)


def test_two_scorings_of_the_same_night_at_once_leave_one_whole_set(lived: Settings) -> None:
    before = rows(lived)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            again(lived)
        except BaseException as error:  # noqa: BLE001 - a thread has to hand it over
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert rows(lived) == before
    assert scalar(lived, "SELECT count(*) FROM studyml.predictions WHERE as_of = %s", FIRST_NIGHT) == len(before)


def test_a_reader_who_holds_the_table_delays_it_and_then_the_old_rows_stay(
    lived: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(lived)
    impatient = lived.model_copy(update={"lock_timeout_seconds": 0.05})
    monkeypatch.setattr("studyml.database.predictions.time.sleep", lambda _: None)
    reader = psycopg2.connect(lived.database)
    reader.cursor().execute("SELECT * FROM analytics.study_time_predictions LIMIT 1")

    with pytest.raises(LockBusyError, match="the night's old rows stay"):
        again(impatient)
    reader.close()

    assert rows(lived) == before
    again(lived)
    assert rows(lived) == before
