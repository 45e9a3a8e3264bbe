"""What was recorded, for the commands that show and close it: versions and incidents."""

from datetime import datetime

from studyml.alerting.incidents import Incident, list_incidents, resolve
from studyml.registry.versions import Version, find, list_versions
from studyml.settings import Settings
from studyml.steps.opening import own_database
from studyml.steps.recipients import redacted


def all_versions(settings: Settings) -> list[Version]:
    """All versions, newest first."""
    with own_database(settings) as connection:
        return list_versions(connection)


def one_version(settings: Settings, version: str) -> Version:
    """The version; raises RegistryError where there is none."""
    with own_database(settings) as connection:
        return find(connection, version)


def incidents(settings: Settings, *, only_open: bool) -> list[Incident]:
    """Incidents, open ones only or all."""
    with own_database(settings) as connection:
        return list_incidents(connection, only_open=only_open)


def resolve_incident(settings: Settings, incident_id: int, *, now: datetime, actor: str, note: str) -> None:
    """Close an incident by hand; raises RegistryError where it is not open."""
    note = redacted(settings, note)
    with own_database(settings) as connection:
        resolve(connection, incident_id, as_of=now, now=now, actor=actor, note=note)
        connection.commit()
