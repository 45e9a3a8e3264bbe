"""``observe``: every label is seen once, whenever it arrives; corrections and removals are new revisions."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from studyml.database.connection import advisory_lock, connect
from studyml.errors import LockBusyError, SourceError
from studyml.settings import Settings
from studyml.steps import observe as module
from studyml.steps.load import load
from studyml.steps.observe import observe
from studyml.steps.start_night import start_night
from tests.conftest import NOW, silent
from tests.logs import ask, session, write_logs

NIGHT = datetime(2026, 2, 20, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def logs(settings: Settings, tmp_path: Path) -> Settings:
    """Three sessions in the ten days before NIGHT, one of them without a label, and one the day after it."""
    sessions = [
        session(1, session_date=NIGHT - 10 * DAY, actual_duration=1),
        session(2, session_date=NIGHT - 5 * DAY, actual_duration=2),
        session(3, session_date=NIGHT - DAY, actual_duration=""),
        session(4, session_date=NIGHT + DAY, actual_duration=4),
    ]
    load(settings, write_logs(tmp_path / "logs", sessions=sessions), now=NOW, progress=silent)
    return settings


def see(settings: Settings, as_of: datetime = NIGHT, **options: bool) -> tuple[int, int, int, int]:
    """(new, corrected, removed, quarantined) of a night."""
    found = observe(settings, as_of=as_of, now=max(NOW, as_of), **options)
    return found["new"], found["corrected"], found["removed"], found["quarantined"]


def outcomes(settings: Settings) -> list[tuple[object, ...]]:
    query = "SELECT session_id, revision, actual_hours, observed_at FROM studyml.outcomes ORDER BY 1, 2"
    return ask(settings.database, query)


def label(settings: Settings, session_id: int, hours: float | str | None) -> None:
    ask(settings.source, "UPDATE study_sessions SET actual_duration = %s WHERE id = %s", hours, session_id)


def test_labels_of_sessions_up_to_the_night_are_recorded_in_the_order_of_their_dates(logs: Settings) -> None:
    assert see(logs) == (2, 0, 0, 0)
    assert outcomes(logs) == [(1, 1, 1, NIGHT), (2, 1, 2, NIGHT)]
    assert ask(logs.database, "SELECT session_id FROM studyml.outcomes ORDER BY outcome_id") == [(1,), (2,)]


def test_a_night_that_is_run_again_records_nothing_twice(logs: Settings) -> None:
    see(logs)
    assert see(logs) == (0, 0, 0, 0)
    assert len(outcomes(logs)) == 2


def test_a_late_label_is_new_when_it_arrives(logs: Settings) -> None:
    see(logs)
    label(logs, 3, 3)
    assert see(logs, NIGHT + DAY) == (2, 0, 0, 0)
    assert (3, 1, 3, NIGHT + DAY) in outcomes(logs)


def test_a_correction_and_a_removal_are_revisions(logs: Settings) -> None:
    see(logs)
    label(logs, 1, 5)
    label(logs, 2, None)
    assert see(logs, NIGHT + DAY / 2) == (0, 1, 1, 0)
    assert outcomes(logs)[1] == (1, 2, 5, NIGHT + DAY / 2)
    assert outcomes(logs)[3] == (2, 2, None, NIGHT + DAY / 2)
    label(logs, 2, 2)
    assert see(logs, NIGHT + DAY / 2 + DAY / 4) == (0, 1, 0, 0)


def test_a_session_that_was_deleted_counts_as_removed(logs: Settings) -> None:
    see(logs)
    ask(logs.source, "DELETE FROM study_sessions WHERE id = 2")
    assert see(logs, NIGHT + DAY / 2) == (0, 0, 1, 0)


def test_old_corrections_are_found_only_when_everything_is_compared(logs: Settings) -> None:
    see(logs)
    later = NIGHT - 10 * DAY + timedelta(days=logs.correction_window_days)
    label(logs, 1, 7)
    assert see(logs, later) == (1, 0, 0, 0)  # session 4, whose day has come
    assert see(logs, later, compare_all=True) == (0, 1, 0, 0)


def test_late_labels_are_found_however_old_they_are(logs: Settings) -> None:
    see(logs)
    ask(
        logs.source,
        "INSERT INTO study_sessions (id, student_id, topic_id, session_date, actual_duration)"
        " VALUES (9, 1, 1, '2019-05-07', 1)",
    )
    assert see(logs, NIGHT + DAY / 2) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("hours", "reason"),
    [
        (0, "actual_duration is 0 hours, not above 0"),
        (-2, "actual_duration is -2 hours, not above 0"),
        (24.5, "actual_duration is 24.5 hours, more than 24"),
        ("NaN", "actual_duration is not a finite number"),
        ("infinity", "actual_duration is not a finite number"),
    ],
)
def test_an_impossible_label_is_quarantined_once_and_never_recorded(
    logs: Settings, hours: float | str, reason: str
) -> None:
    label(logs, 3, hours)
    for night in (NIGHT, NIGHT + DAY / 2):
        assert see(logs, night)[3] == 1
    assert [row[0] for row in outcomes(logs)] == [1, 2]
    assert ask(
        logs.database,
        "SELECT source, row_id, column_name, reason, first_as_of, last_as_of FROM studyml.quarantined_rows",
    ) == [("study_sessions", "3", "actual_duration", reason, NIGHT, NIGHT + DAY / 2)]


def test_a_label_that_turns_impossible_takes_the_old_one_away(logs: Settings) -> None:
    see(logs)
    label(logs, 1, 99)
    assert see(logs, NIGHT + DAY / 2) == (0, 0, 1, 1)


@pytest.mark.parametrize("date", [None, "-infinity", "0044-03-15 BC"])
def test_a_label_without_a_usable_date_is_quarantined(logs: Settings, date: str | None) -> None:
    ask(logs.source, "ALTER TABLE study_sessions ALTER COLUMN session_date DROP NOT NULL")
    ask(logs.source, "UPDATE study_sessions SET session_date = %s WHERE id = 2", date)
    assert see(logs) == (1, 0, 0, 1)
    assert ask(logs.database, "SELECT row_id, column_name, reason FROM studyml.quarantined_rows") == [
        ("2", "session_date", "session_date is missing or impossible")
    ]


def test_a_label_from_the_future_is_quarantined(logs: Settings) -> None:
    moment = NOW + timedelta(hours=25)
    ask(logs.source, "UPDATE study_sessions SET session_date = %s WHERE id = 4", moment)
    assert see(logs)[3] == 1


def test_a_replay_observes_nothing(logs: Settings) -> None:
    start_night(logs, as_of=NIGHT, now=NOW)
    see(logs)
    ask(logs.database, "UPDATE studyml.nights SET finished_at = %s", NOW)
    label(logs, 1, 5)
    assert observe(logs, as_of=NIGHT - DAY, now=NOW)["replay"] is True
    assert len(outcomes(logs)) == 2


def test_two_observers_do_not_meet(logs: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    original = advisory_lock
    monkeypatch.setattr(module, "advisory_lock", lambda c, name: original(c, name, wait_seconds=0))
    with connect(logs.database) as other, original(other, "observe"), pytest.raises(LockBusyError):
        see(logs)
    assert outcomes(logs) == []


def test_without_a_source_it_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(SourceError, match="studyml load"):
        see(settings)


def test_a_source_on_another_database_is_observed(settings: Settings, empty_database_url: str, tmp_path: Path) -> None:
    from studyml.settings import load_settings

    apart = load_settings(database_url=settings.database, source_url=empty_database_url)
    load(apart, write_logs(tmp_path, sessions=[session(1)]), now=NOW, progress=silent)
    assert see(apart) == (1, 0, 0, 0)
    assert ask(settings.database, "SELECT to_regclass('public.study_sessions')") == [(None,)]
