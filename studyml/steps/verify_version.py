"""Check a version's files against the registry."""

from studyml.errors import RegistryError
from studyml.registry.versions import champion, find
from studyml.settings import Settings
from studyml.steps.opening import own_database
from studyml.steps.serving import open_version


def verify_version(settings: Settings, version: str | None) -> str:
    """Verify and load a version, by default the champion; return its name. Raises ArtifactError where it is damaged."""
    with own_database(settings) as connection:
        found = champion(connection) if version is None else find(connection, version)
    if found is None:
        raise RegistryError("no version serves yet: run 'studyml retrain', the first publishes one.")
    return open_version(settings, found).version
