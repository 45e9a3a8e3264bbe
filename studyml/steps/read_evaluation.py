"""Where the evaluation report of a version is, and what it says."""

from pathlib import Path
from typing import Any

from studyml.errors import ArtifactError, RegistryError
from studyml.registry.bundle import load_json
from studyml.registry.versions import champion, find
from studyml.settings import Settings
from studyml.steps.evaluation_report import JSON, PAGE
from studyml.steps.opening import own_database
from studyml.steps.serving import fetch_version


def read_evaluation(settings: Settings, version: str | None) -> tuple[Path, dict[str, Any]]:
    """The page and the document of a version, by default the champion, after verifying its files.

    Raises RegistryError where there is no such version, ArtifactError where it is damaged or was never evaluated.
    """
    with own_database(settings) as connection:
        found = champion(connection) if version is None else find(connection, version)
    if found is None:
        raise RegistryError("no version serves yet: run 'studyml retrain', the first publishes one.")
    folder = fetch_version(settings, found)
    if not (folder / PAGE).is_file():
        raise ArtifactError(
            f"version {found.version} has no {PAGE}, it was published before reports were kept: the next retraining"
            " writes one."
        )
    document: dict[str, Any] = load_json(folder / JSON)
    return folder / PAGE, document
