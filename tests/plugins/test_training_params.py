"""What a run may choose to train: the params of the DAGs allow what the settings allow, and no more."""

from typing import Any

import pytest
from airflow.sdk import Param
from airflow.sdk.exceptions import ParamValidationError

from studyml.errors import SettingsError
from studyml.hyperparameters import Hyperparameters
from studyml.settings import Settings
from studyml_airflow.defaults import ARCHITECTURES, HYPERPARAMETERS, RECIPES, training_params
from studyml_airflow.settings import load_settings

URL = "postgresql://studyml:secret@db.example:6432/predictions"


@pytest.fixture
def _connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_STUDYML_DB", URL)


def choices(field: str) -> tuple[str, ...]:
    """What the setting's own pattern allows."""
    [pattern] = [each.pattern for each in Settings.model_fields[field].metadata if hasattr(each, "pattern")]
    return tuple(str(pattern).strip("^$()").split("|"))


def test_the_choices_are_those_of_the_settings() -> None:
    assert choices("architecture") == ARCHITECTURES
    assert choices("recipe") == RECIPES


def test_the_rules_of_the_hyperparameters_are_those_of_the_settings() -> None:
    properties = Hyperparameters.model_json_schema()["properties"]
    rules = {}
    for name, schema in properties.items():
        [rule] = [each for each in schema["anyOf"] if each["type"] != "null"]
        rules[name] = rule
    assert rules == HYPERPARAMETERS


def test_nothing_chosen_means_the_settings() -> None:
    params = training_params()
    assert {name: param.resolve() for name, param in params.items()} == dict.fromkeys(params)
    assert set(params) <= set(Settings.model_fields)


ACCEPTED: list[tuple[str, Any]] = [
    *(("architecture", each) for each in (None, *ARCHITECTURES)),
    *(("recipe", each) for each in (None, *RECIPES)),
    *(("training_from", each) for each in (None, "2026-07-24")),
    *(("hyperparameters", each) for each in (None, {}, {"dropout": 0}, {"l2": 0.01, "neurons": 64})),
]


@pytest.mark.usefixtures("_connected")
@pytest.mark.parametrize(("name", "value"), ACCEPTED)
def test_what_a_param_accepts_the_settings_take(name: str, value: Any) -> None:
    loaded = load_settings(**{name: training_params()[name].resolve(value)})
    kept = getattr(loaded, name)
    if value is None:
        assert kept == Settings.model_fields[name].default
    else:
        assert (kept.model_dump(exclude_none=True) if name == "hyperparameters" else str(kept)) == value


REFUSED: list[tuple[str, Any, str]] = [
    ("architecture", "transformer", "'transformer' is not one of"),
    ("architecture", "", "'' is not one of"),
    ("recipe", "own", "'own' is not one of"),
    ("recipe", 1, "1 is not one of|1 is not of type"),
    ("training_from", "24 July", "'24 July' is not a 'date'|'24 July' does not match"),
    ("training_from", "2026-07-32", "'2026-07-32' is not a 'date'"),
    ("hyperparameters", '{"dropout": 0.4}', "is not of type 'null', 'object'"),
    ("hyperparameters", {"dropuot": 0.4}, "'dropuot' was unexpected"),
    ("hyperparameters", {"dropout": 1.5}, "1.5 is greater than or equal to the maximum of 0.95"),
    ("hyperparameters", {"neurons": 3}, "3 is less than the minimum of 4"),
    ("hyperparameters", {"epochs": "many"}, "'many' is not of type 'integer'"),
    ("hyperparameters", {"schedule": "linear"}, "'linear' is not one of"),
    ("hyperparameters", {"learning_rate": 0}, "0 is less than or equal to the minimum of 0"),
]


@pytest.mark.parametrize(("name", "value", "rule"), REFUSED)
def test_a_param_refuses_and_names_the_rule(name: str, value: Any, rule: str) -> None:
    param: Param = training_params()[name]
    with pytest.raises(ParamValidationError, match=rule):
        param.resolve(value)


@pytest.mark.usefixtures("_connected")
@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, value, _ in REFUSED if value != '{"dropout": 0.4}']
)
def test_what_a_param_refuses_the_settings_refuse_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=rf"^{name}\b.* is not usable: .+\.$"):
        load_settings(**{name: value})


@pytest.mark.usefixtures("_connected")
def test_the_database_is_always_that_of_the_connection() -> None:
    assert load_settings(database_url="postgresql://other@elsewhere/wrong").database == URL
