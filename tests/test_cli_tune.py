"""``studyml tune``: a table and a line to set, one JSON document for programs, and a second run that goes on."""

import json
import sys
from collections.abc import Callable

import pytest

from studyml import cli, cli_models
from studyml.settings import Settings
from tests.conftest import NOW
from tests.steps.retraining import query

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(simulated: Settings, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process over a log that no night observed yet; (exit status, stdout, stderr)."""
    monkeypatch.setattr(cli_models, "wall_clock", lambda: NOW)
    given = {
        "DATABASE_URL": simulated.database,
        "ARTIFACT_ROOT": str(simulated.artifact_root),
        "ARCHITECTURE": "mlp",
        "RECIPE": "selected",
        "HYPERPARAMETERS": '{"epochs": 2}',
    }
    for name, value in given.items():
        monkeypatch.setenv(f"STUDYML_{name}", value)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["studyml", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capfd.readouterr()
        return int(caught.value.code or 0), out, err

    return run


def test_a_search_prints_the_trials_and_what_to_do_and_a_second_one_goes_on(run: Run, simulated: Settings) -> None:
    status, out, err = run("tune", "--trials", 1)

    assert status == 0, err
    assert "current" in out
    assert "error out of fold" in out
    assert "the current setting" in out
    assert "2/2" in err

    status, out, err = run("tune", "--trials", 2, "--json")
    document = json.loads(out)
    assert status == 0, err
    assert (document["trials"], document["done"]) == (3, 3)
    assert sorted(row["trial"] for row in document["table"]) == [0, 1, 2]
    assert [row[0] for row in query(simulated, "SELECT attempts FROM studyml.tuning_trials ORDER BY trial")] == [
        1,
        1,
        1,
    ]
    assert query(simulated, "SELECT count(*) FROM studyml.model_versions") == [(0,)]


def test_another_architecture_and_recipe_than_what_is_set_are_tuned_where_they_are_named(
    run: Run, simulated: Settings
) -> None:
    status, _, err = run("tune", "--trials", 1, "--architecture", "ensemble", "--recipe", "history")

    assert status == 0, err
    assert query(simulated, "SELECT DISTINCT architecture, recipe FROM studyml.tuning_trials") == [
        ("ensemble", "history")
    ]


def test_a_strategy_that_there_is_not_is_a_sentence(run: Run) -> None:
    status, out, err = run("tune", "--strategy", "best")

    assert (status, out) == (1, "")
    assert err.strip() == "error: strategy 'best' is not one: choose grid or random."
