"""The pickles of a version, for people: verified first, unpickled second. No task of a night loads one."""

from dataclasses import dataclass
from typing import Any

from studyml.errors import ArtifactError
from studyml.registry.versions import Version
from studyml.settings import Settings
from studyml.steps.serving import fetch_version


@dataclass(frozen=True)
class SklearnObjects:
    """The preprocessing of a version: a StandardScaler, and a OneHotEncoder by the name of its feature."""

    scaler: Any
    encoders: dict[str, Any]


def load_sklearn(settings: Settings, version: Version) -> SklearnObjects:
    """The fitted scikit-learn objects of a published version.

    Raises as ``fetch_version`` does, before anything is unpickled; ArtifactError also for a fallback, which has none.
    """
    import joblib

    folder = fetch_version(settings, version)
    scaler, encoders = folder / "scaler.joblib", folder / "encoders.joblib"
    if not scaler.is_file() or not encoders.is_file():
        raise ArtifactError(f"version {version.version} has no scikit-learn objects: only a trained network has them.")
    return SklearnObjects(joblib.load(scaler), joblib.load(encoders))
