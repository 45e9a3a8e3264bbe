"""What was recorded of versions, for the commands that show it."""

from studyml.registry.deployments import Deployment, deployments
from studyml.registry.versions import Version, find, list_versions
from studyml.settings import Settings
from studyml.steps.opening import own_database


def all_versions(settings: Settings) -> list[Version]:
    """All versions, newest first."""
    with own_database(settings) as connection:
        return list_versions(connection)


def one_version(settings: Settings, version: str) -> Version:
    """The version; raises RegistryError where there is none."""
    with own_database(settings) as connection:
        return find(connection, version)


def served_times(settings: Settings, version: str) -> list[Deployment]:
    """The changes by which a version came to serve or ceased to, oldest first."""
    with own_database(settings) as connection:
        return [each for each in deployments(connection) if version in (each.from_version, each.to_version)]
