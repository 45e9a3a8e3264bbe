"""Which nights make run lives, and what it shows of them."""

from datetime import UTC, datetime, timedelta

import pytest

from studyml.development.nights import _Follower, choose_nights, parse_as_of
from studyml.development.rest_client import TaskState
from studyml.development.state import DevelopmentError

NEWEST = datetime(2026, 3, 15, tzinfo=UTC)
WEEK_BEFORE = datetime(2026, 3, 8, tzinfo=UTC)
NOW = datetime(2026, 4, 1, 13, 30, tzinfo=UTC)


def test_first_run_lives_the_night_a_week_before_and_the_newest() -> None:
    assert choose_nights(NEWEST, None, None, NOW) == [WEEK_BEFORE, NEWEST]


@pytest.mark.parametrize("lived", [WEEK_BEFORE, NEWEST])
def test_a_finished_first_night_is_not_lived_again_as_a_replay(lived: datetime) -> None:
    assert choose_nights(NEWEST, lived, None, NOW) == [NEWEST]


def test_an_older_finished_night_changes_nothing() -> None:
    assert choose_nights(NEWEST, datetime(2026, 3, 7, tzinfo=UTC), None, NOW) == [WEEK_BEFORE, NEWEST]


def test_without_any_label_the_last_midnight_is_lived() -> None:
    assert choose_nights(None, None, None, NOW) == [datetime(2026, 4, 1, tzinfo=UTC)]


def test_the_wanted_night_is_the_only_one() -> None:
    assert choose_nights(NEWEST, NEWEST, WEEK_BEFORE, NOW) == [WEEK_BEFORE]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-08", WEEK_BEFORE),
        ("2026-03-08T00:00:00Z", WEEK_BEFORE),
        ("2026-03-08T02:00:00+02:00", WEEK_BEFORE),
    ],
)
def test_as_of_is_utc_unless_it_says_otherwise(text: str, expected: datetime) -> None:
    assert parse_as_of(text, NOW) == expected


def test_a_wrong_as_of_is_named() -> None:
    with pytest.raises(DevelopmentError, match="AS_OF=yesterday is not a time: write it like"):
        parse_as_of("yesterday", NOW)


def test_a_night_in_the_future_is_refused_before_anything_starts() -> None:
    with pytest.raises(DevelopmentError, match="AS_OF=2099-01-01 is in the future"):
        parse_as_of("2099-01-01", NOW)


def test_a_night_past_the_newest_label_is_lived_again_itself() -> None:
    lived = NEWEST + timedelta(days=400)
    assert choose_nights(NEWEST, lived, None, NOW) == [lived]


def _shown(*steps: list[TaskState]) -> list[str]:
    lines: list[str] = []
    follower = _Follower(lines.append)
    for tasks in steps:
        follower.show(tasks)
    return [line.strip() for line in lines]


def test_each_change_is_shown_once() -> None:
    running, done = TaskState("observe", -1, "running", 1, None), TaskState("observe", -1, "success", 1, 3.2)
    assert _shown([running], [running], [done], [done]) == ["observe ✓ 3 s"]


def test_a_mapped_task_is_shown_when_its_last_part_ended() -> None:
    first, second = TaskState("score", 0, "success", 1, 2.0), TaskState("score", 1, "running", 1, None)
    ended = TaskState("score", 1, "failed", 1, 5.0)
    assert _shown([first, second], [first, ended]) == ["score ✗ 5 s, 2 parts"]


def test_skipped_and_retried_tasks_are_told_apart() -> None:
    retried = TaskState("train", -1, "up_for_retry", 1, 1.0)
    assert _shown([retried, TaskState("publish", -1, "skipped", 0, None)]) == [
        "train ✗ try 1 failed, will be tried again",
        "publish – skipped",
    ]
