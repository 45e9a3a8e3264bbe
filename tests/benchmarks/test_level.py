"""Changes of level in whole logs: seen soon after their day, and not in logs that only grow."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import level as module
from benchmarks.level import (
    CHANGE_DAY,
    DAYS,
    by_time,
    changed_year,
    nights_until_seen,
    real_alarms,
    split,
)
from benchmarks.quality.log import simulated_log


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_a_change_is_seen_within_a_fortnight_and_not_before_it(factor: float) -> None:
    frame, day = changed_year(factor, seed=1)
    before = frame["session_date"].astype(np.int64) < day

    assert int(before.sum()) == pytest.approx(len(frame) * CHANGE_DAY / DAYS, rel=0.05)
    assert split(frame.take(before)).changes == ()
    assert nights_until_seen(frame, day) <= 14


def test_few_students_tell_of_a_change_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STUDENTS", 12)

    assert nights_until_seen(*changed_year(1.4, seed=1)) <= 60


@pytest.mark.parametrize(("process", "changes"), [("returning_students", False), ("drifting", True)])
def test_students_who_differ_are_no_change_and_a_pace_that_drifts_is_one(process: str, changes: bool) -> None:
    assert bool(split(by_time(simulated_log(process, 600, 0).training)).changes) == changes


@pytest.mark.parametrize("name", ["kaist", "toggl_student"])
def test_no_change_is_seen_in_a_real_log_as_it_grows(name: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(name)

    log, _, seen, looks = real_alarms(folder)

    assert (log, seen) == (folder.name, 0)
    assert looks >= 9
