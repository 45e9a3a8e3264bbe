"""A version rebuilt from its snapshot and settings, beside the registry and without changing it."""

import json
from dataclasses import asdict

import pytest

from studyml import __version__
from studyml.errors import ArtifactError, RegistryError
from studyml.model.recipe import RECIPES
from studyml.registry.bundle import seal, write_json
from studyml.settings import Settings
from studyml.steps.lineage import code_version, recorded_settings
from studyml.steps.reproduce import recipe_of, reproduce
from tests.steps.retraining import champions, query

EVERYTHING = "SELECT version, status, metrics::text, artifact_uri FROM studyml.model_versions ORDER BY 1"


def test_a_rebuilt_version_predicts_the_same_and_nothing_changes(lived: Settings) -> None:
    [version] = champions(lived)
    before, files = query(lived, EVERYTHING), sorted(lived.artifact_root.rglob("*"))

    found = reproduce(lived, version)

    assert found["largest_difference_hours"] <= 1e-6
    assert (found["agrees"], found["version"], found["differs"]) == (True, version, {})
    assert found["rows"] == query(lived, "SELECT holdout_rows FROM studyml.model_versions")[0][0]
    assert query(lived, EVERYTHING) == before
    assert sorted(lived.artifact_root.rglob("*")) == files


def test_what_does_not_come_out_again_is_said_with_the_libraries_that_differ(lived: Settings) -> None:
    [version] = champions(lived)
    folder = lived.artifact_root / version
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["hyperparameters"]["seed"] += 1
    metadata["libraries"]["keras"] = "3.0.0"
    write_json(folder / "metadata.json", metadata)
    query(lived, "UPDATE studyml.model_versions SET manifest_sha256 = %s", (seal(folder),))

    found = reproduce(lived, version)

    assert not found["agrees"]
    assert found["largest_difference_hours"] > 1e-6
    assert set(found["differs"]) == {"keras"}
    assert found["differs"]["keras"][0] == "3.0.0"


def test_a_snapshot_that_is_gone_is_a_sentence(lived: Settings) -> None:
    for path in (lived.artifact_root / "snapshots").iterdir():
        path.unlink()

    with pytest.raises(ArtifactError, match=r"the snapshot .* is missing"):
        reproduce(lived, champions(lived)[0])


def test_a_fallback_was_never_trained(lived: Settings) -> None:
    query(lived, "UPDATE studyml.model_versions SET is_fallback = true")

    with pytest.raises(RegistryError, match="is a fallback"):
        reproduce(lived, champions(lived)[0])


def test_a_version_knows_what_it_was_made_of_in_its_files_and_in_the_registry(lived: Settings) -> None:
    [version] = champions(lived)
    ((lineage, snapshot),) = query(
        lived,
        "SELECT lineage, metrics ->> 'snapshot_sha256' FROM studyml.model_versions WHERE version = %s",
        (version,),
    )

    assert lineage == json.loads((lived.artifact_root / version / "metadata.json").read_text())["lineage"]
    assert lineage["snapshot_sha256"] == snapshot
    assert lineage["seed"] == lived.seed
    assert lineage["settings"]["holdout_fraction"] == lived.holdout_fraction
    assert {"studyml", "python", "tensorflow", "keras", "onnxruntime", "numpy"} <= set(lineage["libraries"])
    assert {"code_version", "dag_run_id"} <= set(lineage)


def test_no_secret_and_no_address_is_recorded(lived: Settings) -> None:
    settings = lived.model_copy(update={"airflow_url": "https://ann:topsecret@airflow.example"})
    document = json.dumps(recorded_settings(settings))

    assert "topsecret" not in document
    assert "postgresql://" not in document
    assert str(lived.artifact_root) not in document
    assert "url" not in document


def test_the_commit_of_the_image_is_part_of_the_code_version(lived: Settings) -> None:
    assert code_version(lived.model_copy(update={"code_version": "abc123"})) == f"{__version__}+abc123"
    assert code_version(lived).startswith(__version__)


def test_a_recipe_of_an_older_release_is_read_without_what_no_recipe_has_any_more() -> None:
    stored = json.loads(json.dumps(asdict(RECIPES["history"]))) | {"validation_fraction": 0.2}

    assert recipe_of(stored) == RECIPES["history"]
