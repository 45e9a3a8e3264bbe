"""Which instant a run is about: the param, else the end of the data interval, else run_after."""

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from studyml.errors import InputError
from studyml_airflow.context import parse_as_of, resolve_as_of, utc_now

RUN_AFTER = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
INTERVAL_END = datetime(2026, 3, 2, 1, tzinfo=UTC)


def context(*, as_of: str | None = None, interval_end: datetime | None = None) -> dict[str, Any]:
    dag_run = SimpleNamespace(data_interval_end=interval_end, run_after=RUN_AFTER)
    return {"params": {"as_of": as_of}, "dag_run": dag_run}


def test_a_scheduled_night_is_about_the_end_of_its_interval() -> None:
    assert resolve_as_of(context(interval_end=INTERVAL_END)) == INTERVAL_END


def test_a_run_by_hand_or_by_an_asset_has_no_interval_and_is_about_when_it_was_due() -> None:
    assert resolve_as_of(context()) == RUN_AFTER


def test_the_param_comes_before_both() -> None:
    resolved = resolve_as_of(context(as_of="2025-12-24T02:00:00+01:00", interval_end=INTERVAL_END))
    assert resolved == datetime(2025, 12, 24, 1, tzinfo=UTC)
    assert resolved.tzinfo is UTC


def test_a_dag_without_the_param_works_too() -> None:
    assert resolve_as_of({**context(), "params": {}}) == RUN_AFTER


def test_the_instant_is_always_in_utc() -> None:
    elsewhere = INTERVAL_END.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert resolve_as_of(context(interval_end=elsewhere)).isoformat() == "2026-03-02T01:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T01:00:00Z", datetime(2026, 3, 1, 1, tzinfo=UTC)),
        ("2026-03-01T01:00", datetime(2026, 3, 1, 1, tzinfo=UTC)),
        ("2026-03-01 01:00:00.250-02:30", datetime(2026, 3, 1, 3, 30, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_reading_an_instant(text: str, instant: datetime) -> None:
    assert parse_as_of(text) == instant


@pytest.mark.parametrize("text", ["yesterday", "2026-02-30T00:00:00Z", "2026-03-01T25:00:00Z"])
def test_what_is_no_instant_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(InputError, match=rf"^The param as_of '{text}' is not a date-time: write it like .*\.$"):
        resolve_as_of(context(as_of=text))


def test_the_wall_clock_is_in_utc() -> None:
    assert utc_now().utcoffset() == timedelta(0)
