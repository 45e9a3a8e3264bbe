"""The commands ``studyml versions``: words for a person, a document for a program, and who is on record."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from studyml.cli import app, versions_app
from studyml.errors import InputError
from studyml.settings import Settings
from studyml.terminal import who
from tests.steps.retraining import champions, constant_network, query
from tests.steps.test_decide_challenger import passed
from tests.steps.test_read_evaluation import published
from tests.steps.test_rollback_version import replaced

__all__ = ["constant_network", "replaced"]


def printing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command of ``studyml versions`` and returns what it printed."""
    monkeypatch.setenv("STUDYML_DATABASE_URL", settings.database)
    monkeypatch.setenv("STUDYML_ARTIFACT_ROOT", str(settings.artifact_root))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(versions_app, arguments, catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    return run


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A database without versions."""
    return printing(settings, monkeypatch)


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


def test_a_rollback_is_one_command_that_records_who_and_why(replaced: tuple[Settings, str, str]) -> None:
    settings, first, bad = replaced
    command = [Path(sys.executable).with_name("studyml"), "versions", "rollback", "--no-rescore", "--json"]
    environment = {"STUDYML_DATABASE_URL": settings.database, "STUDYML_ARTIFACT_ROOT": str(settings.artifact_root)}

    done = subprocess.run(
        [*command, "--reason", "twice as long", "--by", "ada"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["version"], found["quarantined"], found["actor"], found["rescored"]) == (first, bad, "ada", None)
    assert champions(settings) == [first]
    reason = query(settings, "SELECT reason FROM studyml.deployments ORDER BY id DESC LIMIT 1")
    assert reason == [("twice as long",)]


@pytest.mark.parametrize(
    ("promotion", "status", "command", "becomes"),
    [
        ("approve", "awaiting_approval", "approve", "champion"),
        ("approve", "awaiting_approval", "reject", "rejected"),
        ("challenger", "challenger", "retire", "retired"),
    ],
)
def test_a_decision_is_a_document_for_a_program_and_names_who_decided(
    lived: Settings,
    constant_network: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
    promotion: str,
    status: str,
    command: str,
    becomes: str,
) -> None:
    settings = passed(lived, constant_network, promotion)
    ((version,),) = query(settings, "SELECT version FROM studyml.model_versions WHERE status = %s", (status,))

    found = json.loads(printing(settings, monkeypatch)(command, version, "--reason", "why", "--by", "ada", "--json"))

    assert (found["version"], found["actor"], found["reason"]) == (version, "ada", "why")
    assert query(settings, "SELECT status FROM studyml.model_versions WHERE version = %s", (version,)) == [(becomes,)]


def test_approving_what_serves_says_that_it_serves_already(lived: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (serving,) = champions(lived)
    before = query(lived, "SELECT count(*) FROM studyml.deployments")

    said = printing(lived, monkeypatch)("approve", serving, "--reason", "why", "--by", "ada")

    assert said == f"{serving} serves already.\n"
    assert query(lived, "SELECT count(*) FROM studyml.deployments") == before


def test_the_weekly_upkeep_by_hand_is_a_table_for_a_person_and_a_document_for_a_program(
    lived: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDYML_DATABASE_URL", lived.database)
    monkeypatch.setenv("STUDYML_ARTIFACT_ROOT", str(lived.artifact_root))
    [champion] = champions(lived)

    printed = CliRunner().invoke(app, ["maintain"], catch_exceptions=False).stdout
    found = json.loads(CliRunner().invoke(app, ["maintain", "--json"], catch_exceptions=False).stdout)

    assert re.search(rf"^{champion} +kept +\S", printed, re.MULTILINE)
    assert f"{found['verified']} kept versions are whole." in printed
    assert champion in found["kept_versions"]


def test_where_the_login_has_no_name_a_person_is_asked_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 3_999_999_999)

    with pytest.raises(InputError, match="--by NAME"):
        who(None)
    assert who(" ada ") == "ada"
