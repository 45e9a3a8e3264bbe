"""What ``studyml retrain`` is told to train: options stand before the settings, and a wrong one is named."""

import json
import sys
from collections.abc import Callable
from typing import Any, get_args

import pytest

from studyml import cli
from studyml.model.recipe import ARCHITECTURES, RECIPES
from studyml.settings import Settings
from tests.conftest import END, NOW

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``studyml retrain`` in this process as the shell would; (exit status, stdout, stderr)."""
    monkeypatch.setattr(cli, "wall_clock", lambda: NOW)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["studyml", "retrain", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return int(caught.value.code or 0), out, err

    return run


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where nobody answers: a wrong option must be noticed before it is used."""
    monkeypatch.setenv("STUDYML_DATABASE_URL", "postgresql://studyml:not-used@127.0.0.1:1/studyml")


def test_the_choices_are_all_there_are() -> None:
    assert get_args(cli.Architecture) == ("auto", *ARCHITECTURES)
    assert get_args(cli.RecipeName) == ("auto", *RECIPES)


def network(settings: Settings) -> dict[str, Any]:
    """The metadata of the one network that was trained; too weak to be promoted, it was published all the same."""
    every = [json.loads(path.read_text()) for path in settings.artifact_root.glob("v_*/metadata.json")]
    [found] = [each for each in every if not each["is_fallback"]]
    return dict(found)


def test_the_options_decide_what_is_trained(run: Run, simulated: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDYML_DATABASE_URL", simulated.database)
    monkeypatch.setenv("STUDYML_ARTIFACT_ROOT", str(simulated.artifact_root))
    monkeypatch.setenv("STUDYML_RECIPE", "history")
    monkeypatch.setenv("STUDYML_HYPERPARAMETERS", '{"dropout": 0.3}')
    chosen = ("--architecture", "mlp", "--recipe", "guide", "--hyperparameters", '{"neurons": 16, "epochs": 3}')
    chosen += ("--training-from", "2026-01-01")
    status, _, _ = run(*chosen, "--as-of", END.isoformat(), "--json")
    assert status == 0
    metadata = network(simulated)
    assert (metadata["architecture"], metadata["recipe"]) == ("mlp", "guide")
    assert metadata["hyperparameters"]["layers"] == [16, 8, 4, 4]
    assert metadata["hyperparameters"]["epochs"] == 3
    # The option stands in place of the setting, it is not added to it.
    assert metadata["hyperparameters"]["dropouts"] == [0.3, 0.2, 0.2, 0.0]
    assert [each["recipe"] for each in metadata["portfolio"]] == ["guide"]
    assert metadata["data_window"][0] >= "2026-01-01"
    assert metadata["lineage"]["settings"]["training_from"] == "2026-01-01"


def test_where_too_few_sessions_are_left_the_decision_says_since_when(
    run: Run, simulated: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDYML_DATABASE_URL", simulated.database)
    monkeypatch.setenv("STUDYML_ARTIFACT_ROOT", str(simulated.artifact_root))

    status, out, _ = run("--training-from", END.date().isoformat(), "--as-of", END.isoformat())

    assert status == 0
    assert "no network is trained on fewer than 50 labels of sessions since 2026-03-01" in out


def test_what_a_person_asked_for_and_did_not_get_is_an_exit_status(
    run: Run, lived: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STUDYML_DATABASE_URL", lived.database)
    monkeypatch.setenv("STUDYML_ARTIFACT_ROOT", str(lived.artifact_root))
    too_few = ("--training-from", END.date().isoformat())

    status, _, err = run("--force", *too_few)
    assert status == 1
    assert err.strip() == "nothing was trained: see why above"
    assert caplog.messages[-1].endswith(" labelled sessions since 2026-03-01, 50 needed (STUDYML_TRAINING_FROM)")
    assert run(*too_few)[0] == 0


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("other", [("--force",), ("--architecture", "lstm"), ("--training-from", "2026-07-24")])
def test_to_reproduce_a_version_no_other_option_may_be_given(run: Run, other: tuple[str, ...]) -> None:
    status, _, err = run("--reproduce", "v_20260301_010203", *other)
    assert status == 1
    assert err.strip() == "error: --reproduce rebuilds a version as it was trained: leave out the other options."


@pytest.mark.usefixtures("database")
def test_a_date_that_is_none_is_one_sentence(run: Run) -> None:
    status, _, err = run("--training-from", "24 July")
    assert status == 1
    assert err.strip().startswith("error: training_from '24 July' is not usable: ")


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--architecture", "transformer", "'transformer' is not one of 'auto', 'mlp', 'ensemble', 'lstm', 'attention'"),
        ("--recipe", "own", "'own' is not one of 'auto', 'guide', 'selected', 'history'"),
    ],
)
def test_a_choice_that_does_not_exist_is_wrong_usage(run: Run, option: str, value: str, words: str) -> None:
    status, out, err = run(option, value)
    assert status == 2
    assert out == ""
    assert option in err
    assert words in err


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            "dropout=0.4",
            "hyperparameters 'dropout=0.4' is not usable: must be a JSON object such as {\"dropout\": 0.4}.",
        ),
        ("[1]", "hyperparameters '[1]' is not usable: must be a JSON object such as {\"dropout\": 0.4}."),
        ("", "hyperparameters '' is not usable: must be a JSON object such as {\"dropout\": 0.4}."),
        ('{"dropout": 2}', "hyperparameters dropout '2' is not usable: input should be less than 0.95."),
        (
            '{"dropuot": 0.4}',
            "hyperparameters dropuot '0.4' is not usable: is not a hyperparameter: choose of neurons, ",
        ),
        ('{"epochs": NaN}', "hyperparameters epochs 'nan' is not usable: "),
    ],
)
def test_hyperparameters_that_are_none_are_one_sentence(run: Run, value: str, sentence: str) -> None:
    status, out, err = run("--hyperparameters", value)
    assert (status, out) == (1, "")
    [line] = err.strip().splitlines()
    assert line.startswith(f"error: {sentence}")
    assert line.endswith(".")


@pytest.mark.usefixtures("database")
def test_a_wrong_variable_is_still_named_as_the_variable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDYML_HYPERPARAMETERS", '{"dropout": 2}')
    assert "error: STUDYML_HYPERPARAMETERS dropout '2' is not usable: " in run()[2]
    # What stands before it makes it irrelevant.
    assert "127.0.0.1:1" in run("--hyperparameters", '{"dropout": 0.2}')[2]
