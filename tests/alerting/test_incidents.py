"""Incidents: one open of a kind."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg2
import pytest

from studyml.alerting import incidents
from studyml.database.connection import Connection
from studyml.errors import RegistryError
from studyml.settings import Settings
from tests.conftest import END, NOW


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    found = psycopg2.connect(settings.database)
    yield found
    found.close()


def start(connection: Connection, night: int = 0, **figures: Any) -> tuple[int, bool]:
    return incidents.open_incident(
        connection,
        kind=incidents.DEGRADED,
        severity="page",
        title="it is worse",
        model_version=None,
        figures=figures,
        as_of=END + timedelta(days=night),
        now=NOW,
    )


def close(connection: Connection, incident: int, night: int = 0) -> None:
    moment = END + timedelta(days=night)
    incidents.resolve(connection, incident, as_of=moment, now=NOW, actor="test", note="over")


def test_a_second_opening_adds_to_the_open_one(connection: Connection) -> None:
    first, is_new = start(connection, mae=1.3, n=10)
    again, is_new_again = start(connection, 1, mae=1.5)

    assert (is_new, again, is_new_again) == (True, first, False)
    found = incidents.open_of_kind(connection, incidents.DEGRADED)
    assert found is not None
    assert found.figures == {"mae": 1.5, "n": 10}
    assert (found.opened_as_of, found.updated_as_of) == (END, END + timedelta(days=1))


def test_after_a_resolution_the_next_one_is_new(connection: Connection) -> None:
    first, _ = start(connection)
    close(connection, first)

    assert incidents.open_of_kind(connection, incidents.DEGRADED) is None
    second, is_new = start(connection, 1)
    assert is_new
    assert second != first


def test_only_an_open_incident_can_be_resolved(connection: Connection) -> None:
    first, _ = start(connection)
    close(connection, first)

    with pytest.raises(RegistryError, match="there is no open incident"):
        close(connection, first)
    with pytest.raises(RegistryError, match="studyml alerts list"):
        close(connection, 999)


def test_the_list_shows_open_ones_or_all_newest_first(connection: Connection) -> None:
    first, _ = start(connection)
    close(connection, first)
    second, _ = start(connection, 1)

    assert [each.id for each in incidents.list_incidents(connection)] == [second]
    assert [each.id for each in incidents.list_incidents(connection, only_open=False)] == [second, first]


def test_a_night_whose_finding_an_incident_holds_is_told_even_when_it_is_closed(connection: Connection) -> None:
    assert not incidents.is_told(connection, incidents.DEGRADED, END)
    first, _ = start(connection)
    close(connection, first)

    assert incidents.is_told(connection, incidents.DEGRADED, END)
    assert not incidents.is_told(connection, incidents.DEGRADED, END + timedelta(days=1))
    assert not incidents.is_told(connection, incidents.TASK_FAILED, END)
