"""Opening a version: verified first, loaded second, and never through a pickle."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from studyml.errors import ArtifactError, RegistryError
from studyml.registry.versions import Version, find
from studyml.settings import Settings
from studyml.steps import serving
from studyml.steps.opening import own_database
from studyml.steps.serving import open_version
from studyml.steps.verify_version import verify_version
from tests.steps.retraining import champions


@pytest.fixture
def version(lived: Settings) -> Version:
    with own_database(lived) as connection:
        return find(connection, champions(lived)[0])


def folder_of(settings: Settings, version: Version) -> Path:
    return settings.artifact_root / version.version


def test_the_champion_opens_and_predicts(lived: Settings) -> None:
    assert verify_version(lived, None) == champions(lived)[0]


@pytest.mark.parametrize("name", ["model.onnx", "features.json", "scaler.joblib", "manifest.json", "residuals.png"])
def test_one_flipped_byte_in_any_file_is_found_before_anything_is_loaded(
    lived: Settings, version: Version, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder_of(lived, version) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(serving, "load_json", None)
    monkeypatch.setattr(serving, "open_network", None)

    with pytest.raises(ArtifactError, match=version.version):
        open_version(lived, version)


def test_a_missing_folder_is_a_sentence_with_the_cure(lived: Settings, version: Version) -> None:
    elsewhere = lived.model_copy(update={"artifact_root": lived.artifact_root / "elsewhere"})

    with pytest.raises(ArtifactError, match=r"^the folder of version v_\S+ is missing from .*STUDYML_ARTIFACT_ROOT\.$"):
        open_version(elsewhere, version)


def test_a_version_that_was_never_published_is_not_opened(lived: Settings, version: Version) -> None:
    with pytest.raises(RegistryError, match="was never published"):
        open_version(lived, replace(version, manifest_sha256=None))


def test_a_version_that_does_not_exist_is_a_sentence(lived: Settings) -> None:
    with pytest.raises(RegistryError, match="there is no version v_20000101_000000"):
        verify_version(lived, "v_20000101_000000")


def test_without_a_champion_there_is_nothing_to_verify(settings: Settings) -> None:
    with pytest.raises(RegistryError, match=r"no version serves yet: run 'studyml retrain'"):
        verify_version(settings, None)


_CHILD = """
import sys
from studyml.settings import load_settings
from studyml.steps.verify_version import verify_version
verify_version(load_settings(database_url=sys.argv[1], artifact_root=sys.argv[2]), None)
heavy = {"tensorflow", "keras", "sklearn", "pandas", "joblib", "matplotlib", "onnx"} & set(sys.modules)
print(sorted(heavy))
"""


def test_opening_a_version_imports_neither_tensorflow_nor_scikit_learn_nor_pandas_and_unpickles_nothing(
    lived: Settings,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, lived.database, str(lived.artifact_root)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"
