"""Labels held against the ledger's newest revisions."""

from datetime import UTC, datetime, timedelta

import numpy as np

from studyml.frame import NULL_INTEGER, Frame, to_microseconds
from studyml.monitoring.changes import find_changes, in_order, without_outcome

NIGHT = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MISSING = float("nan")


def labels(*rows: tuple[int, datetime | None, float]) -> Frame:
    """Sessions as (id, date, hours)."""
    dates = [NULL_INTEGER if date is None else to_microseconds(date) for _, date, _ in rows]
    columns = {
        "id": np.array([row[0] for row in rows], np.int64),
        "session_date": np.array(dates, np.int64),
        "actual_duration": np.array([row[2] for row in rows], np.float64),
    }
    return Frame(columns, {})


def recorded(*rows: tuple[int, int, datetime, float]) -> Frame:
    """Outcomes as (session, revision, date, hours)."""
    columns = {
        "session_id": np.array([row[0] for row in rows], np.int64),
        "revision": np.array([row[1] for row in rows], np.int64),
        "session_date": np.array([to_microseconds(row[2]) for row in rows], np.int64),
        "hours": np.array([row[3] for row in rows], np.float64),
    }
    return Frame(columns, {})


def changes(found: Frame, known: Frame, since: datetime | None = None) -> list[tuple[int, int, float | None]]:
    """(session, revision, hours) in order of arrival."""
    frame = in_order(find_changes(found, known, correction_from=since))
    rows = zip(*(frame[name].tolist() for name in ("session_id", "revision", "hours")), strict=True)
    return [(session, revision, None if hours != hours else hours) for session, revision, hours in rows]


def test_new_labels_arrive_by_date_and_before_all_that_changed() -> None:
    found = labels((1, NIGHT, 9.0), (2, NIGHT, 2.0), (3, NIGHT - DAY, 3.0), (4, NIGHT - 2 * DAY, 4.0))

    assert changes(found, recorded((1, 1, NIGHT, 1.0))) == [(4, 1, 4.0), (3, 1, 3.0), (2, 1, 2.0), (1, 2, 9.0)]


def test_the_same_label_is_no_change_and_a_missing_one_equals_a_removed_one() -> None:
    found = labels((1, NIGHT, 1.0), (2, NIGHT, MISSING), (3, NIGHT, MISSING))

    assert changes(found, recorded((1, 3, NIGHT, 1.0), (2, 2, NIGHT, MISSING))) == []


def test_a_label_that_moved_with_its_session_is_a_change_where_either_date_may_be_corrected() -> None:
    old, older = NIGHT - 100 * DAY, NIGHT - 200 * DAY
    found = labels((1, old, 1.0), (2, NIGHT, 2.0), (3, older, 3.0), (4, old, MISSING))
    known = recorded((1, 1, NIGHT, 1.0), (2, 1, old, 2.0), (3, 1, old, 3.0), (4, 2, NIGHT, MISSING))

    assert changes(found, known, since=NIGHT - 60 * DAY) == [(1, 2, 1.0), (2, 2, 2.0)]
    assert changes(found, known) == [(1, 2, 1.0), (2, 2, 2.0), (3, 2, 3.0)]


def test_a_session_that_is_gone_is_removed_once() -> None:
    known = recorded((1, 1, NIGHT, 1.0), (2, 4, NIGHT, MISSING))

    assert changes(labels(), known) == [(1, 2, None)]


def test_only_what_is_dated_after_the_window_begins_is_corrected() -> None:
    found = labels((1, NIGHT, 5.0), (2, NIGHT + DAY, 5.0))
    known = recorded((1, 1, NIGHT, 1.0), (2, 1, NIGHT + DAY, 1.0), (3, 1, NIGHT, 1.0), (4, 1, NIGHT + DAY, 1.0))

    assert changes(found, known, since=NIGHT) == [(2, 2, 5.0), (4, 2, None)]
    assert len(changes(found, known)) == 4


def test_an_empty_ledger_makes_every_label_new() -> None:
    assert changes(labels((7, NIGHT, 1.0)), recorded(), since=NIGHT + DAY) == [(7, 1, 1.0)]


def test_waiting_are_the_sessions_without_label_and_outcome_dated_or_not() -> None:
    found = labels((1, NIGHT, MISSING), (2, NIGHT, MISSING), (3, None, MISSING), (4, NIGHT, 1.0))

    assert without_outcome(found, recorded((2, 2, NIGHT, MISSING))).tolist() == [1, 3]
