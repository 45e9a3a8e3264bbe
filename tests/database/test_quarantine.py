"""Refused rows are kept once each, whoever refused them."""

from datetime import UTC, datetime, timedelta

import pytest

from studyml.database.connection import Connection
from studyml.database.quarantine import QuarantinedRow, count_quarantined, record_quarantined

NIGHT = datetime(2026, 3, 1, tzinfo=UTC)


def kept(connection: Connection) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT row_id, column_name, first_as_of, last_as_of FROM studyml.quarantined_rows ORDER BY 1, 2"
        )
        rows: list[tuple[object, ...]] = cursor.fetchall()
    return rows


@pytest.mark.parametrize("nights", [(0, 1, 2), (2, 0, 1)])
def test_a_row_refused_every_night_is_one_row_with_the_first_and_the_last(
    connection: Connection, nights: tuple[int, ...]
) -> None:
    row = QuarantinedRow("study_sessions", "7", "actual_duration", "too long", {"id": 7})
    for days in nights:
        record_quarantined(connection, [row, row], NIGHT + timedelta(days=days))
    assert kept(connection) == [("7", "actual_duration", NIGHT, NIGHT + timedelta(days=2))]


def test_another_column_or_reason_is_another_row_but_the_same_refused_row(connection: Connection) -> None:
    rows = [
        QuarantinedRow("study_sessions", "7", "actual_duration", "too long"),
        QuarantinedRow("study_sessions", "7", "energy_level", "infinite"),
        QuarantinedRow("study_sessions.csv", "7", "energy_level", "infinite"),
        QuarantinedRow("study_sessions.csv", "8", "energy_level", "infinite"),
        QuarantinedRow("students.csv", "8", "avg_focus_duration", "negative"),
    ]
    assert record_quarantined(connection, rows, NIGHT) == 5
    assert count_quarantined(connection) == {"students": 1, "study_sessions": 2}


def test_nothing_refused_is_nothing_kept(connection: Connection) -> None:
    assert record_quarantined(connection, [], NIGHT) == 0
    assert count_quarantined(connection) == {}
