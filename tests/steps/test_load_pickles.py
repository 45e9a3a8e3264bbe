"""The pickles of a version are loaded for people only, and never before every file was verified."""

import pickle

import joblib
import numpy as np
import pytest

from studyml.errors import ArtifactError
from studyml.registry.versions import Version, find
from studyml.settings import Settings
from studyml.steps.load_pickles import load_sklearn
from studyml.steps.opening import own_database
from studyml.steps.serving import open_version
from tests.steps.retraining import champions


@pytest.fixture
def version(lived: Settings) -> Version:
    with own_database(lived) as connection:
        return find(connection, champions(lived)[0])


def test_a_whole_version_gives_its_scaler_and_encoders(lived: Settings, version: Version) -> None:
    found = load_sklearn(lived, version)

    inputs = open_version(lived, version).encoder.inputs
    assert list(found.scaler.feature_names_in_) == [each.name for each in inputs]
    np.testing.assert_array_equal(found.scaler.mean_, [each.mean for each in inputs])
    assert set(found.encoders) <= set(open_version(lived, version).encoder.categories)


class _Trap:
    """Unpickling one ends the test."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("a pickle was loaded that nobody published",)


@pytest.mark.parametrize("name", ["scaler.joblib", "encoders.joblib"])
def test_a_pickle_that_was_exchanged_is_refused_and_never_loaded(lived: Settings, version: Version, name: str) -> None:
    (lived.artifact_root / version.version / name).write_bytes(pickle.dumps(_Trap()))

    with pytest.raises(ArtifactError, match=rf"^{name} of version {version.version} is damaged"):
        load_sklearn(lived, version)


def test_damage_anywhere_else_in_the_folder_loads_no_pickle(
    lived: Settings, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lived.artifact_root / version.version / "model.onnx").write_bytes(b"x")
    monkeypatch.setattr(joblib, "load", None)

    with pytest.raises(ArtifactError, match="is damaged"):
        load_sklearn(lived, version)
