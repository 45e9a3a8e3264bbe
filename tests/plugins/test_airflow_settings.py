"""The Connection studyml_db becomes the database address of the settings."""

import json

import pytest
from sqlalchemy import make_url

from studyml.errors import SettingsError
from studyml_airflow.settings import load_settings

VARIABLE = "AIRFLOW_CONN_STUDYML_DB"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (VARIABLE, "STUDYML_DATABASE_URL", "STUDYML_SOURCE_URL", "STUDYML_ALERT_URLS", "STUDYML_SEED"):
        monkeypatch.delenv(name, raising=False)


def test_the_database_comes_from_the_connection_and_the_rest_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "postgresql://studyml:secret@db.example:6432/predictions")
    monkeypatch.setenv("STUDYML_DATABASE_URL", "postgresql://other@elsewhere/wrong")
    monkeypatch.setenv("STUDYML_SEED", "7")
    settings = load_settings()
    assert settings.database == "postgresql://studyml:secret@db.example:6432/predictions"
    assert settings.seed == 7


def test_odd_characters_and_extra_parameters_survive(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {
        "conn_type": "postgres",
        "login": "study@ml",
        "password": "p/a:s s%?#&",
        "host": "::1",
        "port": 5433,
        "schema": "study time",
        "extra": {"sslmode": "verify-full", "options": "-c search_path=x"},
    }
    monkeypatch.setenv(VARIABLE, json.dumps(connection))
    url = make_url(load_settings().database)
    assert (url.username, url.password, url.host, url.port) == ("study@ml", "p/a:s s%?#&", "::1", 5433)
    assert url.query == {"sslmode": "verify-full", "options": "-c search_path=x"}
    psycopg2_extensions = pytest.importorskip("psycopg2.extensions")
    parsed = psycopg2_extensions.parse_dsn(load_settings().database)
    assert parsed["dbname"] == "study time"
    assert parsed["password"] == "p/a:s s%?#&"
    assert parsed["options"] == "-c search_path=x"


def test_a_missing_connection_is_named_with_the_cure() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings()
    sentence = str(caught.value)
    assert sentence.startswith("The Airflow Connection studyml_db is missing: add it under Admin > Connections")
    assert VARIABLE in sentence
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://db.example/x", "has the type 'http'"),
        ("postgresql://studyml:hush@/predictions", "has no host"),
        ("postgresql://studyml:hush@db.example", "has no database name"),
    ],
)
def test_an_unusable_connection_is_named_without_its_password(
    uri: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, uri)
    with pytest.raises(SettingsError, match=f"Connection studyml_db {words}") as caught:
        load_settings()
    assert "hush" not in str(caught.value)


def test_secrets_are_masked_in_task_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[str] = []
    monkeypatch.setattr("studyml_airflow.settings.mask_secret", masked.append)
    monkeypatch.setenv(VARIABLE, "postgresql://studyml:secret@db.example/predictions")
    monkeypatch.setenv("STUDYML_ALERT_URLS", "slack://T0K3N-abc/b mailto://user:pass9@example.org")
    load_settings()
    assert {"slack://T0K3N-abc/b", "mailto://user:pass9@example.org"} <= set(masked)
    assert {"T0K3N-abc", "pass9", "secret"} <= set(masked)
    assert "postgresql://studyml:secret@db.example/predictions" in masked
