"""What a judged candidate leaves to read: report, card and diagnosis, also of one that never converged."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studyml.hyperparameters import Hyperparameters
from studyml.registry.bundle import verify
from studyml.settings import Settings
from studyml.steps.read_evaluation import read_evaluation
from tests.steps.retraining import champions, constant_network, query, retrained

__all__ = ["constant_network"]
PNG = b"\x89PNG\r\n"


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"), parse_constant=pytest.fail)


@pytest.fixture
def folder(lived: Settings) -> Path:
    """The folder of a champion that was trained in full."""
    return lived.artifact_root / champions(lived)[0]


def test_the_report_says_what_the_metadata_says(folder: Path) -> None:
    report, metadata = read(folder, "evaluation.json"), read(folder, "metadata.json")

    assert report["version"] == metadata["version"] == folder.name
    assert {each["predictor"]: each["mae"] for each in report["errors"]}["network"] == pytest.approx(metadata["mae"])
    assert report["portfolio"] == metadata["portfolio"]
    assert report["missing"] == []
    assert report["diagnosis"] == metadata["diagnosis"]
    assert {each["feature"] for each in report["importance"]["permutation"]} <= {
        name.partition("=")[0].removeprefix("log(").removesuffix(")") for name in metadata["features"]
    }
    page = (folder / "evaluation.html").read_text(encoding="utf-8")
    assert folder.name in page
    assert page.count("<svg") >= 5
    assert "<script" not in page
    for name in ("learning_curves", "predicted_actual", "residuals"):
        assert (folder / f"{name}.png").read_bytes().startswith(PNG)


def test_the_most_important_feature_is_one_that_makes_the_length(folder: Path) -> None:
    ranked = read(folder, "evaluation.json")["importance"]["permutation"]

    best = max(ranked, key=lambda each: each["mean"])["feature"]
    assert best in ("estimated_base_time", "avg_focus_duration", "difficulty_level")


def test_the_first_layers_weights_are_by_input_and_finite(folder: Path) -> None:
    metadata = read(folder, "metadata.json")

    weights = metadata["first_layer_weights"]
    assert set(weights) == set(metadata["features"])
    assert all(np.isfinite(each) and each > 0 for each in weights.values())


def test_a_remedy_keeps_what_is_set_already(lived: Settings, constant_network: Callable[[float], None]) -> None:
    constant_network(20.0)

    decided = retrained(lived.model_copy(update={"hyperparameters": Hyperparameters(l2=0.02)}))

    assert decided is not None
    found = read(lived.artifact_root / decided["version"], "metadata.json")["diagnosis"]
    (useless,) = [each for each in found if "did not converge to anything of use" in each["sentence"]]
    lines = [each for each in useless["remedies"] if "STUDYML_HYPERPARAMETERS" in each]
    assert lines
    assert all('{"l2": 0.02, "' in each for each in lines)


def test_a_network_of_no_use_is_diagnosed_in_the_log_the_metadata_the_report_and_the_card(
    lived: Settings, constant_network: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    constant_network(20.0)

    with caplog.at_level(logging.INFO, "studyml"):
        decided = retrained(lived)

    assert decided is not None
    folder = lived.artifact_root / decided["version"]
    found = read(folder, "metadata.json")["diagnosis"]
    (useless,) = [each for each in found if "did not converge to anything of use" in each["sentence"]]
    assert useless["severity"] == "warning"
    (record,) = [each for each in caplog.records if each.getMessage() == useless["sentence"]]
    assert record.levelno == logging.WARNING
    assert read(folder, "evaluation.json")["diagnosis"] == found
    for name in ("evaluation.html", "model_card.md"):
        assert "did not converge to anything of use" in (folder / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("hours", [np.nan, np.inf])
def test_a_network_that_does_not_converge_is_a_rejected_version_with_a_report(
    lived: Settings, constant_network: Callable[[float], None], hours: float
) -> None:
    constant_network(hours)
    before = champions(lived)

    decided = retrained(lived)

    assert decided is not None
    assert decided["decision"] == "rejected"
    assert "120 of 120 predictions are not finite" in decided["reasons"]
    assert champions(lived) == before
    version = decided["version"]
    ((status, sha256, mae),) = query(
        lived,
        "SELECT status, manifest_sha256, metrics->>'mae' FROM studyml.model_versions WHERE version = %s",
        (version,),
    )
    assert (status, mae) == ("rejected", None)
    verify(lived.artifact_root / version, sha256)
    page, document = read_evaluation(lived, version)
    assert page.is_file()
    assert document["version"] == version
    folder = lived.artifact_root / version
    assert not read(folder, "evaluation.json")["importance"]
    assert read(folder, "metadata.json")["mae"] is None
    assert "not finite" in (folder / "model_card.md").read_text(encoding="utf-8")
