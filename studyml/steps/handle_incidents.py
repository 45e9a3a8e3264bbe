"""What a person does with incidents: look at them, take them on, close them, silence a kind for a while."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from studyml.alerting.incidents import KINDS, Event, Incident, find_incident, list_events, list_incidents
from studyml.alerting.lifecycle import Moment, acknowledge, resolve
from studyml.alerting.message import Links
from studyml.alerting.messages import over_message
from studyml.alerting.silences import (
    LONGEST_SILENCE,
    Silence,
    add_silence,
    end_silences,
    silenced_until,
    silences_in_force,
)
from studyml.database.nights import newest_night
from studyml.errors import InputError, RegistryError
from studyml.settings import Settings
from studyml.steps.opening import own_database
from studyml.steps.recipients import redacted

#: A minute, in hours as a person would write it.
SHORTEST_SILENCE_HOURS = 0.02


@dataclass(frozen=True)
class Told:
    """One incident with its events, oldest first."""

    incident: Incident
    events: list[Event]


def incidents(settings: Settings, *, only_open: bool) -> list[Incident]:
    """Incidents, newest first, open ones only or all."""
    with own_database(settings) as connection:
        return list_incidents(connection, only_open=only_open)


def one_incident(settings: Settings, incident_id: int) -> Told:
    """An incident and all that happened to it; raises RegistryError where there is none."""
    with own_database(settings) as connection:
        return Told(find_incident(connection, incident_id), list_events(connection, incident_id))


def acknowledge_incident(settings: Settings, incident_id: int, *, now: datetime, name: str) -> str | None:
    """Record who takes care of an open incident, and return who did before; raises RegistryError where it is closed."""
    with own_database(settings) as connection:
        before = next((each.acknowledged_by for each in list_incidents(connection) if each.id == incident_id), None)
        acknowledge(connection, incident_id, name=redacted(settings, name), at=Moment(now, now))
        connection.commit()
    return before


def resolve_incident(settings: Settings, incident_id: int, *, now: datetime, actor: str, note: str) -> datetime | None:
    """Close an incident by hand, and tell whoever was told of it; return until when a silence holds that back, if any.

    Raises RegistryError where it is not open.
    """
    note, actor = redacted(settings, note), redacted(settings, actor)
    with own_database(settings) as connection:
        incident = find_incident(connection, incident_id)
        if incident.status != "open":
            raise RegistryError(f"there is no open incident {incident_id}: 'studyml alerts list' shows those that are.")
        links = Links(settings.runbook_url, settings.airflow_url)
        message = over_message(incident, note=f"{actor} closed it ({note})", links=links, by_hand=True)
        # Dated by the nights, which may lie in the past: a later one may find the problem again.
        at = Moment(newest_night(connection) or now, now)
        resolve(connection, incident, at, actor=actor, note=note, message=message)
        until = silenced_until(connection, incident.kind, now=now)
        connection.commit()
    return until


def silence(settings: Settings, kind: str, *, hours: float, now: datetime, actor: str, note: str) -> datetime:
    """Send no message about incidents of a kind for so many hours; they are recorded all the same.

    Returns when messages are sent again: another silence may hold longer.

    Raises InputError for a kind there is none of, and for a silence of less than a minute or of more than 31 days.
    """
    _require_kind(kind)
    if not SHORTEST_SILENCE_HOURS <= hours <= LONGEST_SILENCE.total_seconds() / 3600:
        raise InputError(f"a silence of {hours:g} hours is not possible: give 0.02 (a minute) to 744 (31 days).")
    length = timedelta(hours=hours)
    note, actor = redacted(settings, note), redacted(settings, actor)
    with own_database(settings) as connection:
        add_silence(connection, kind, starts_at=now, ends_at=now + length, actor=actor, note=note)
        until = silenced_until(connection, kind, now=now)
        connection.commit()
    return max(until or now, now + length)


def unsilence(settings: Settings, kind: str, *, now: datetime, actor: str) -> int:
    """End the silences of a kind and return how many were in force; raises InputError for an unknown kind."""
    _require_kind(kind)
    with own_database(settings) as connection:
        ended = end_silences(connection, kind, now=now, actor=redacted(settings, actor))
        connection.commit()
    return ended


def silences(settings: Settings, *, now: datetime) -> list[Silence]:
    """The silences in force."""
    with own_database(settings) as connection:
        return silences_in_force(connection, now=now)


def _require_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InputError(f"{kind!r} is not a kind of incident: choose of {', '.join(KINDS)}.")
