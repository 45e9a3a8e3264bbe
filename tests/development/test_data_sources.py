"""Each data source has databases of its own, and the newest labelled day is found in them."""

from datetime import UTC, date, datetime
from pathlib import Path

import psycopg2
import pytest

from studyml.development.data_sources import (
    DataSource,
    choose_source,
    count_rows,
    end_of_day,
    end_of_newest_labelled_day,
    fill,
)
from studyml.development.state import DevelopmentError

NOW = datetime(2026, 4, 1, tzinfo=UTC)


def test_sources_do_not_share_a_database(tmp_path: Path) -> None:
    (tmp_path / "a" / "My log").mkdir(parents=True)
    (tmp_path / "b" / "my-log").mkdir(parents=True)
    wanted = [(None, None), (None, 7), (tmp_path / "a" / "My log", None), (tmp_path / "b" / "my-log", None)]
    sources = [choose_source(tmp_path, folder, seed) for folder, seed in wanted]
    names = [source.database for source in sources]
    assert names[:3] == ["studyml", "studyml_seed_7", "studyml_my_log"]
    assert len({*names, *(source.airflow_database for source in sources)}) == 8
    assert [choose_source(tmp_path, folder, seed) for folder, seed in wanted] == sources


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DevelopmentError, match="nowhere is not a folder"):
        choose_source(tmp_path, tmp_path / "nowhere", None)


def test_data_and_seed_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(DevelopmentError, match="exclude each other"):
        choose_source(tmp_path, tmp_path, 1)


def test_a_day_ends_at_midnight_utc() -> None:
    assert end_of_day(date(2026, 3, 14), "UTC") == datetime(2026, 3, 15, tzinfo=UTC)
    local = datetime.fromisoformat("2026-03-14T23:30")
    assert end_of_day(local, "America/New_York") == datetime(2026, 3, 16, tzinfo=UTC)
    assert end_of_day(datetime(2026, 3, 14, tzinfo=UTC), "UTC") == datetime(2026, 3, 15, tzinfo=UTC)


def _sessions(url: str, rows: list[tuple[str, float | None]]) -> None:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE study_sessions (session_date timestamptz, actual_duration double precision)")
        cursor.executemany("INSERT INTO study_sessions VALUES (%s, %s)", rows)
    connection.close()


def test_the_newest_labelled_day_ignores_planned_and_future_sessions(empty_database_url: str) -> None:
    _sessions(empty_database_url, [("2026-03-14 09:00Z", 1), ("2026-03-20 09:00Z", None), ("2026-04-02 09:00Z", 1)])
    assert end_of_newest_labelled_day(empty_database_url, NOW, "UTC") == datetime(2026, 3, 15, tzinfo=UTC)


def test_labels_of_today_are_no_reason_for_a_night_in_the_future(empty_database_url: str) -> None:
    _sessions(empty_database_url, [("2026-03-14 09:00Z", 1)])
    noon = datetime(2026, 3, 14, 12, tzinfo=UTC)
    assert end_of_newest_labelled_day(empty_database_url, noon, "UTC") == noon


def test_without_labels_there_is_no_newest_day(empty_database_url: str) -> None:
    _sessions(empty_database_url, [("2026-03-20 09:00Z", None)])
    assert end_of_newest_labelled_day(empty_database_url, NOW, "UTC") is None


def test_rows_are_counted_also_before_the_tables_exist(empty_database_url: str) -> None:
    assert count_rows(empty_database_url)["study_sessions"] == 0
    _sessions(empty_database_url, [("2026-03-14 09:00Z", 1)])
    assert count_rows(empty_database_url) == {"students": 0, "topics": 0, "study_sessions": 1}


def test_simulated_data_are_kept(empty_database_url: str) -> None:
    _sessions(empty_database_url, [("2026-03-14 09:00Z", 1)])
    told: list[str] = []
    assert "1 sessions are there already" in fill(DataSource("x", "y"), empty_database_url, {}, told.append)
    assert told == []
