"""Check a version's files against the registry."""

from studyml.errors import RegistryError
from studyml.registry.store import verify_stored
from studyml.registry.versions import champion, find
from studyml.settings import Settings
from studyml.steps.opening import artifact_store, own_database
from studyml.steps.serving import open_version


def verify_version(settings: Settings, version: str | None) -> str:
    """Verify and load a version, by default the champion; return its name.

    In an object store its objects are read, whatever this machine has a copy of. Raises ArtifactError where it is
    damaged, StoreError where the store cannot be reached.
    """
    with own_database(settings) as connection:
        found = champion(connection) if version is None else find(connection, version)
    if found is None:
        raise RegistryError("no version serves yet: run 'studyml retrain', the first publishes one.")
    store = artifact_store(settings)
    if store.remote is not None and found.manifest_sha256 is not None:
        verify_stored(store, found.version, found.manifest_sha256)
    return open_version(settings, found).version
