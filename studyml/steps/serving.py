"""A published version, verified and opened for predictions: the one path of scoring, gates and rollback."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studyml.errors import RegistryError
from studyml.features.encoder import Encoder
from studyml.features.history import SEQUENCE_FEATURES
from studyml.frame import Frame
from studyml.registry.bundle import load_json
from studyml.registry.store import fetch
from studyml.registry.versions import Version
from studyml.scoring.predictor import Output, Predictions, open_network, predict
from studyml.settings import Settings
from studyml.steps.opening import artifact_store


@dataclass(frozen=True)
class ServedModel:
    """A version's encoder, network and output rules."""

    version: str
    encoder: Encoder
    network: Any
    output: Output

    @property
    def reads_sequences(self) -> bool:
        """Whether the network reads a student's previous sessions."""
        return not self.encoder.features.isdisjoint(SEQUENCE_FEATURES)

    def predict(self, frame: Frame) -> Predictions:
        """Hours and interval of each row of an assembled frame."""
        return predict(self.network, self.encoder.encode(frame), self.output)


def fetch_version(settings: Settings, version: Version) -> Path:
    """The local folder of a published version, every file verified against the registry's hash.

    Raises RegistryError where it was never published, ArtifactError where it is missing or damaged, StoreError where
    the object store cannot be reached.
    """
    if version.manifest_sha256 is None:
        raise RegistryError(f"version {version.version} was never published: make another version champion.")
    return fetch(artifact_store(settings), version.version, version.manifest_sha256)


def open_version(settings: Settings, version: Version) -> ServedModel:
    """Verify a version's folder against the registry, then load it; raises ArtifactError before anything is loaded."""
    folder = fetch_version(settings, version)
    stored = load_json(folder / "features.json")
    encoder, output = Encoder.from_json(stored["features"]), Output.from_json(stored["output"])
    return ServedModel(version.version, encoder, open_network(folder / "model.onnx"), output)
