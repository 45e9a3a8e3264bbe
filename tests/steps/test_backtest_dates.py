"""Which nights a backtest lives, given or not, and which dates it refuses."""

from pathlib import Path

import pytest

from studyml.errors import InputError
from studyml.settings import Settings
from tests.scoring.world import query
from tests.steps.backtests import databases, log, replay
from tests.steps.test_backtest import FIRST, LAST, naive

__all__ = ["log"]


@pytest.mark.parametrize(("second", "night"), [("00", "2026-02-10"), ("00.000001", "2026-02-11")])
def test_a_label_that_arrives_when_a_night_begins_is_of_that_night(
    log: Settings, tmp_path: Path, second: str, night: str
) -> None:
    query(log, "UPDATE study_sessions SET session_date = %s, actual_duration = 1", f"2026-02-10 00:00:{second}+00")

    document = replay(naive(log), tmp_path / "out", label_delay_hours=0.0)

    assert (document["from"], document["to"]) == (night, night)


def test_without_a_last_night_it_ends_today_though_labels_are_still_to_come(log: Settings, tmp_path: Path) -> None:
    document = replay(naive(log), tmp_path / "out", first="2026-02-27", label_delay_hours=240.0)

    assert document["to"] == "2026-03-01"


def test_without_a_first_night_one_that_ends_before_a_network_can_be_trained_lives_its_last(
    log: Settings, tmp_path: Path
) -> None:
    document = replay(naive(log), tmp_path / "out", last=FIRST)

    assert (document["from"], document["summary"]["nights"]) == (FIRST, 1)


def test_a_first_night_after_the_last_label_has_arrived_is_refused(log: Settings, tmp_path: Path) -> None:
    query(log, "UPDATE study_sessions SET actual_duration = NULL WHERE session_date > '2026-02-18 00:00+00'")

    with pytest.raises(InputError, match="--from 2026-02-25 is after --to 2026-02-"):
        replay(naive(log), tmp_path / "out", first="2026-02-25")


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (None, "2026-03-02", "--to 2026-03-02 is in the future"),
        ("2026-02-21", LAST, "--from 2026-02-21 is after --to 2026-02-20"),
    ],
)
def test_dates_that_cannot_be_replayed_are_refused(
    log: Settings, tmp_path: Path, first: str | None, last: str, words: str
) -> None:
    before = databases(log)

    with pytest.raises(InputError, match=words):
        replay(log, tmp_path / "out", first=first, last=last)

    assert databases(log) == before  # nothing was made
    assert list(tmp_path.iterdir()) == []


def test_without_a_label_there_is_nothing_to_replay(log: Settings, tmp_path: Path) -> None:
    query(log, "UPDATE study_sessions SET actual_duration = NULL")

    with pytest.raises(InputError, match="nothing to replay"):
        replay(log, tmp_path / "out")
