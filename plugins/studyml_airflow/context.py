"""Which instant a run is about, and what time it is: the only place where tasks take either from."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import get_current_context


def utc_now() -> datetime:
    """Return the wall clock, in UTC. A task is an entry point: below it, time is always passed in."""
    return datetime.now(UTC)


def resolve_as_of(context: Mapping[str, Any] | None = None) -> datetime:
    """Return the run's ``as_of`` in UTC: its param, else the end of its data interval, else its ``run_after``.

    Never the wall clock, so a retried or cleared run is about the same instant again.
    Raises InputError when the param is not a date-time.
    """
    context = get_current_context() if context is None else context
    given = context["params"].get("as_of")
    if given:
        return parse_as_of(given)
    dag_run = context["dag_run"]
    return (dag_run.data_interval_end or dag_run.run_after).astimezone(UTC)


def parse_as_of(text: str) -> datetime:
    """Read an ISO 8601 date or date-time as an instant in UTC; without a time zone it is read as UTC.

    Raises InputError. For example "2026-03-01T02:00:00+01:00" is 2026-03-01 01:00 UTC.
    """
    from studyml.errors import InputError

    try:
        instant = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise InputError(
            f"The param as_of {text!r} is not a date-time: write it like 2026-03-01T01:00:00Z, or leave it empty."
        ) from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
