"""Where the report of a version is: of the champion, of another, of one that has none, and never of a damaged one."""

from dataclasses import asdict
from pathlib import Path

import pytest

from studyml.database.connection import connect
from studyml.errors import ArtifactError, RegistryError
from studyml.features.encoder import Encoder, Input
from studyml.model.naive_network import save_linear
from studyml.registry.bundle import new_build, publish, write_json
from studyml.registry.versions import commit_artifact, promote, reserve
from studyml.scoring.predictor import Output
from studyml.settings import Settings
from studyml.steps.evaluation_report import PAGE, write_evaluation
from studyml.steps.read_evaluation import read_evaluation
from tests.conftest import END, NOW
from tests.steps.evaluated import build_folder


def published(settings: Settings, *, reported: bool = True) -> str:
    """Publish and promote a version whose folder was evaluated, or was not."""
    root = settings.artifact_root
    with connect(settings.database) as connection:
        version = reserve(
            connection, architecture="mlp", recipe="selected", is_fallback=False, as_of=END, now=NOW, dag_run_id=None,
            is_taken=lambda version: (root / version).exists(),
        )  # fmt: skip
        folder = new_build(root, version)
        save_linear(folder, [1.0], 0.0)
        encoder = Encoder((Input("estimated_base_time", "number", 0.0, 1.0, fill=3.0),), {}, {}, 1e6)
        write_json(folder / "features.json", {"features": encoder.to_json(), "output": asdict(Output())})
        if reported:
            frame, metadata, importance, diagnosis = build_folder(folder)
            write_evaluation(folder, frame, {**metadata, "version": version}, importance, diagnosis)
        _, manifest = publish(root, version)
        commit_artifact(connection, version, manifest_sha256=manifest, artifact_uri=str(root / version))
        promote(connection, version, replacing=None, as_of=END, now=NOW, actor="test", reason="test")
        connection.commit()
    return version


def test_the_champions_report_is_the_default(settings: Settings) -> None:
    version = published(settings)

    page, document = read_evaluation(settings, None)

    assert page == settings.artifact_root / version / PAGE
    assert page.is_file()
    assert document["version"] == version
    assert read_evaluation(settings, version) == (page, document)


def test_a_version_without_a_report_says_so(settings: Settings) -> None:
    version = published(settings, reported=False)

    with pytest.raises(ArtifactError, match=rf"version {version} has no evaluation\.html"):
        read_evaluation(settings, version)


def test_a_report_that_was_changed_is_not_shown(settings: Settings) -> None:
    version = published(settings)
    path: Path = settings.artifact_root / version / PAGE
    path.write_text(path.read_text() + "better")

    with pytest.raises(ArtifactError, match=rf"evaluation\.html of version {version} is damaged"):
        read_evaluation(settings, None)


def test_without_a_champion_there_is_a_sentence(settings: Settings) -> None:
    with pytest.raises(RegistryError, match="no version serves yet"):
        read_evaluation(settings, None)
    with pytest.raises(RegistryError, match="there is no version v_20200101_000000"):
        read_evaluation(settings, "v_20200101_000000")
