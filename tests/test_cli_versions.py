"""The command ``studyml versions report``: a path for a person, the document for a program."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from studyml.cli_versions import versions_app
from studyml.settings import Settings
from tests.steps.test_read_evaluation import published


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command of ``studyml versions`` and return what it printed."""
    monkeypatch.setenv("STUDYML_DATABASE_URL", settings.database)
    monkeypatch.setenv("STUDYML_ARTIFACT_ROOT", str(settings.artifact_root))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(versions_app, arguments, catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    return run


def test_a_person_gets_the_path_of_the_page(settings: Settings, run: Callable[..., str]) -> None:
    version = published(settings)

    printed = run("report")

    assert Path(printed.strip()) == settings.artifact_root / version / "evaluation.html"
    assert run("report", version) == printed


def test_a_program_gets_the_document(settings: Settings, run: Callable[..., str]) -> None:
    version = published(settings)

    document = json.loads(run("report", "--json"))

    assert document["version"] == version
    assert document == json.loads((settings.artifact_root / version / "evaluation.json").read_text())
