"""Settings: parsed once; whatever is wrong is one sentence that names the variable and shows no secret."""

import contextlib
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from studyml.errors import SettingsError
from studyml.hyperparameters import Hyperparameters
from studyml.settings import Settings, load_settings

URL = "postgresql://ann:topsecret@db:5432/study"
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDYML_DATABASE_URL", URL)


def refusal(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert name in message
    assert message.endswith((".", "?"))
    assert "\n" not in message
    return message


def test_the_database_is_all_that_must_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().database == URL
    monkeypatch.delenv("STUDYML_DATABASE_URL")
    with pytest.raises(SettingsError, match=r"STUDYML_DATABASE_URL is not set: set it in the environment"):
        load_settings()


def test_every_setting_has_a_description_and_stands_in_the_example_file() -> None:
    example = (ROOT / ".env.example").read_text()
    for name, field in Settings.model_fields.items():
        assert field.description
        assert f"STUDYML_{name.upper()}=" in example


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        if name != "database_url":
            monkeypatch.setenv(f"STUDYML_{name.upper()}", "")
    assert load_settings() == load_settings(database_url=URL)
    assert load_settings().baseline_mae == 0.99


def test_the_environment_is_read_and_an_override_stands_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDYML_SEED", "7")
    assert load_settings().seed == 7
    assert load_settings(seed=3).seed == 3
    assert load_settings(seed=None).seed == 7


@pytest.mark.parametrize("text", ["2026-07-24", " 2026-07-24 "])
def test_a_date_is_read_as_one(text: str) -> None:
    found = load_settings(database_url="postgresql://a@b/c", training_from=text)
    assert found.training_from == date(2026, 7, 24)
    assert found.training_start == datetime(2026, 7, 24, tzinfo=UTC)


@pytest.mark.parametrize("text", ["24 July", "0", "86400", "20260724", "2026-07-24T00:00:00+05:00", "2026-07-32"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^training_from '.+' is not usable: .+\.$"):
        load_settings(database_url="postgresql://a@b/c", training_from=text)


def test_hyperparameters_are_a_json_object_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDYML_HYPERPARAMETERS", '{"dropout": 0.4, "neurons": 64}')
    assert load_settings().hyperparameters == Hyperparameters(dropout=0.4, neurons=64)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("dropout=0.4", "must be a JSON object"),
        ("[1]", "must be a JSON object"),
        ('{"droput": 0.4}', "STUDYML_HYPERPARAMETERS droput .*is not a hyperparameter: choose of neurons, layers"),
        ('{"dropout": 2}', "STUDYML_HYPERPARAMETERS dropout '2'"),
    ],
)
def test_a_wrong_hyperparameter_is_one_sentence(monkeypatch: pytest.MonkeyPatch, value: str, words: str) -> None:
    monkeypatch.setenv("STUDYML_HYPERPARAMETERS", value)
    with pytest.raises(SettingsError, match=words) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError):
        load_settings().seed = 1  # type: ignore[misc]


@pytest.mark.parametrize("field", ["database_url", "source_url", "alert_urls", "ticket_urls", "heartbeat_url"])
def test_no_secret_is_ever_shown(field: str) -> None:
    schemes = {"database_url": "postgresql://ann:", "source_url": "postgresql://ann:", "heartbeat_url": "https://db/"}
    value = f"{schemes.get(field, 'slack://')}topsecret@db/x"
    settings = load_settings(**{field: value})
    assert "topsecret" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert isinstance(getattr(settings, field), SecretStr)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BASELINE_MAE", "0"),
        ("BASELINE_MAE", "one"),
        ("BASELINE_MAE", "nan"),
        ("BASELINE_MAE", "inf"),
        ("DEGRADED_RATIO", "1"),
        ("MONITORING_WINDOW_DAYS", "0"),
        ("MONITORING_WINDOW_DAYS", "1.5"),
        ("MONITORING_WINDOW_DAYS", "99999999999"),
        ("CORRECTION_WINDOW_DAYS", "-1"),
        ("RETRAIN_MIN_LABELS", "0"),
        ("HOLDOUT_FRACTION", "0.9"),
        ("HOLDOUT_FRACTION", "0"),
        ("ARCHITECTURE", "transformer"),
        ("RECIPE", "own"),
        ("SEED", "-1"),
        ("SEED", "2147483648"),
        ("RECIPE", "best"),
        ("SCORING_HORIZON_DAYS", "0"),
        ("SCORING_HORIZON_DAYS", "4000000"),
        ("SCORING_GRACE_DAYS", "-1"),
        ("SCORING_RANGE_SESSIONS", "0"),
        ("STATEMENT_TIMEOUT_SECONDS", "99999999"),
        ("LOCK_TIMEOUT_SECONDS", "0.0001"),  # rounds to 0 ms, which PostgreSQL reads as for ever
        ("LOCK_TIMEOUT_SECONDS", "inf"),
        ("KEEP_VERSIONS", "0"),
        ("PREDICTION_RETENTION_DAYS", "7"),
        ("SOURCE_SCHEMA", 'public"; DROP TABLE x'),
        ("SOURCE_SCHEMA", "two words"),
        ("SOURCE_TIMEZONE", "Middle/Earth"),
        ("SOURCE_TIMEZONE", "Europe"),
        ("SOURCE_TIMEZONE", "../../etc/passwd"),
        ("ARTIFACT_ROOT", "gs://bucket/prefix"),
        ("ARTIFACT_ROOT", "s3://"),
        ("ARTIFACT_ROOT", "s3://Bucket/prefix"),
        ("ARTIFACT_ROOT", "s3://bucket/prefix?region=x"),
        ("ARTIFACT_ROOT", "s3://bucket//prefix"),
    ],
)
def test_a_value_out_of_range_is_named_and_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    message = refusal(monkeypatch, f"STUDYML_{name}", value)
    assert f"STUDYML_{name} '{value}' is not usable: " in message


@pytest.mark.parametrize("name", ["STUDYML_DATABASE_URL", "STUDYML_SOURCE_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "mysql://ann:topsecret@db/x",
        "ann:topsecret@db/x",
        "postgresql://ann:topsecret@db:port/x",
        "postgresql://ann:topsecret@db:123456/x",
        "postgresql://ann:topsecret/more@db/x",
        "postgresql://ann:topsecret@more@db/x",
        "postgresql://ann:topsecret%zz@db/x",
        "postgresql://ann@db/x?sslpassword=topsecret&unknown=1",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    assert "topsecret" not in refusal(monkeypatch, name, url)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("postgres://ann:x@db/y", "postgresql://ann:x@db/y"),
        ("postgresql+psycopg2://ann:x@db/y", "postgresql://ann:x@db/y"),
        ("postgresql://ann:p%40ss%2F@db/y", "postgresql://ann:p%40ss%2F@db/y"),
        ("postgresql://one:1,two:2/y?sslmode=require", "postgresql://one:1,two:2/y?sslmode=require"),
        ("postgresql:///y?host=/run/postgresql", "postgresql:///y?host=/run/postgresql"),
    ],
)
def test_every_way_to_write_an_address_of_postgresql_is_read(url: str, read: str) -> None:
    assert load_settings(database_url=url).database == read


def test_the_source_is_our_own_database_unless_it_is_set() -> None:
    assert load_settings().source == URL
    assert load_settings(source_url="postgres://app/x").source == "postgresql://app/x"


@pytest.mark.parametrize(
    ("given_text", "addresses"),
    [
        ("", ()),
        (" , \n", ()),
        ("slack://a/b", ("slack://a/b",)),
        ("slack://a/b mailto://c", ("slack://a/b", "mailto://c")),
        ("slack://a/b,mailto://c?to=d,e@f\n json://g ", ("slack://a/b", "mailto://c?to=d,e@f", "json://g")),
    ],
)
def test_alert_addresses_are_separated_by_spaces_or_commas(given_text: str, addresses: tuple[str, ...]) -> None:
    assert load_settings(alert_urls=given_text).alert_addresses == addresses


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("STUDYML_BASELINE_MEA", "STUDYML_BASELINE_MAE"),
        ("STUDYML_ALERT_URL", "STUDYML_ALERT_URLS"),
        ("STUDYML_DATABASEURL", "STUDYML_DATABASE_URL"),
    ],
)
def test_a_misspelt_variable_is_not_silently_ignored(monkeypatch: pytest.MonkeyPatch, name: str, meant: str) -> None:
    assert refusal(monkeypatch, name, "x") == f"{name} is not a setting: did you mean {meant}?"


def test_a_variable_that_is_somebody_elses_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STUDYML_DB_PASSWORD", "STUDYML_STOP_WITH_PARENT", "BASELINE_MAE"):
        monkeypatch.setenv(name, "x")
    assert load_settings().baseline_mae == 0.99


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from([name for name in Settings.model_fields if name not in ("runbook_url", "airflow_url")]),
    value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
)
def test_no_text_at_all_makes_anything_but_settings_or_a_sentence(name: str, value: str) -> None:
    with contextlib.suppress(SettingsError):
        assert load_settings(**{name: value}).seed >= 0


@pytest.mark.parametrize("address", ["s3://bucket", "s3://bucket/prefix", "s3://my.bucket-2/a/b_c/", "s3://bucket/"])
def test_the_artifact_root_may_be_an_address_of_an_object_store(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("STUDYML_ARTIFACT_ROOT", address)
    assert load_settings(database_url="postgresql://db/x").artifact_root == address.rstrip("/")


@pytest.mark.parametrize("address", ["s3://ann:topsecret@bucket/prefix", "s3://topsecret@bucket"])
def test_credentials_in_the_address_of_the_artifacts_are_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    message = refusal(monkeypatch, "STUDYML_ARTIFACT_ROOT", address)
    assert "must not hold credentials" in message
    assert "AWS_SECRET_ACCESS_KEY" in message
    assert "topsecret" not in message


def test_a_folder_stays_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDYML_ARTIFACT_ROOT", "/srv/artifacts")
    assert load_settings(database_url="postgresql://db/x").artifact_root == Path("/srv/artifacts")


@pytest.mark.parametrize("address", ["foo", "ftp://foo", "https://", "https:///path", "https://host/a b"])
def test_a_heartbeat_goes_to_a_web_address(address: str) -> None:
    with pytest.raises(SettingsError, match=r"^heartbeat_url is not usable: must look like https://host/path\.$"):
        load_settings(heartbeat_url=address)
    assert load_settings(heartbeat_url="http://host:8000/path?a=b").heartbeat_url


@pytest.mark.parametrize("name", ["runbook_url", "airflow_url"])
def test_what_is_linked_in_messages_holds_no_login(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    message = refusal(monkeypatch, f"STUDYML_{name.upper()}", "https://ops:topsecret@airflow.example.org")
    assert message.endswith("is not usable: it stands in every message: leave out the login before the @.")
    assert "topsecret" not in message
    assert load_settings(**{name: "https://airflow.example.org/@ops"})
