"""Errors that a person reads.

Every message is one sentence that names the thing and the cure. ``retryable`` says whether trying again can
help without anybody changing anything::

    StudymlError
    ├── SettingsError            a STUDYML_* variable is missing or wrong
    ├── InputError               a file, a column or a value of an import cannot be read
    ├── SourceError              the study app's tables are missing or not ours to change
    ├── SchemaError              our own schema is missing or of another version
    ├── DatabaseError            retryable: unreachable, or gone in the middle
    │   └── LockBusyError        retryable: another process holds what this step needs
    ├── ArtifactError            a version's files are missing, damaged or cannot be written
    │   └── StoreError           retryable: the object store cannot be reached, or broke off
    ├── RegistryError            a version or a run is not in the state that this step needs
    │   ├── ChampionChangedError  another version became champion while this step worked
    │   └── NotWaitingError       a version that was approved does not wait for that, or no longer
    ├── TrainingError            no network can be trained on these rows
    └── DeliveryError            retryable: a message or a heartbeat could not be delivered
"""


class StudymlError(Exception):
    """Root of all errors that are shown to a user without a traceback."""

    retryable = False


class SettingsError(StudymlError):
    """A setting is missing or wrong."""


class InputError(StudymlError):
    """An imported file, column or value cannot be read."""


class SourceError(StudymlError):
    """The source tables are missing, or studyml may not change them."""


class SchemaError(StudymlError):
    """The schema ``studyml`` is missing or of another version than this code."""


class DatabaseError(StudymlError):
    """PostgreSQL cannot be reached, or refused or lost a statement."""

    retryable = True


class LockBusyError(DatabaseError):
    """Another process holds the lock that this step needs."""


class ArtifactError(StudymlError):
    """A version's files are missing, damaged, or cannot be written."""


class StoreError(ArtifactError):
    """The object store cannot be reached, or lost what was sent to it or asked of it."""

    retryable = True


class RegistryError(StudymlError):
    """A version or a run is not in the state that this step needs."""


class ChampionChangedError(RegistryError):
    """Another version became champion while this step worked on the one before."""


class NotWaitingError(RegistryError):
    """A version does not wait for approval: it was decided already, or another one took its place."""


class TrainingError(StudymlError):
    """No network can be trained on these rows."""


class DeliveryError(StudymlError):
    """A message or a heartbeat could not be delivered."""

    retryable = True
