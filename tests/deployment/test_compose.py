"""docker-compose.yaml and .env.example against the code: nothing missing, nothing unknown, no secret by default."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel, SecretStr

from studyml.settings import Settings, load_settings

from .compose_file import (
    REPOSITORY,
    MissingVariableError,
    Reference,
    load_script,
    read_compose,
    read_example,
    references,
    resolve,
)

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
FIELDS = {f"STUDYML_{name.upper()}": field for name, field in Settings.model_fields.items()}
SECRET_FIELDS = {name for name, field in FIELDS.items() if "SecretStr" in str(field.annotation)}
# The compose file sets these itself: it brings the database and the volume.
SET_BY_COMPOSE = {"STUDYML_DATABASE_URL", "STUDYML_ARTIFACT_ROOT"}
REQUIRED = {name for name, line in read_example().items() if not line.commented_out}
VARIABLES = {name: f"value-of-{name}" for name in REQUIRED}
COMPOSE = resolve(read_compose(), VARIABLES)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
AIRFLOW_SERVICES = {name: service for name, service in SERVICES.items() if service["image"].startswith("studyml:")}
LASTING_SERVICES = sorted(set(SERVICES) - {"init"})


def all_references() -> list[Reference]:
    return list(references(read_compose()))


def test_all_parts_are_there() -> None:
    parts = {"postgres", "redis", "init", "api-server", "scheduler", "dag-processor", "triggerer", "worker"}
    assert set(SERVICES) == parts
    assert set(AIRFLOW_SERVICES) == parts - {"postgres", "redis"}


# ---- secrets ----


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_nothing_starts_without_a_secret(name: str) -> None:
    with pytest.raises(MissingVariableError, match=rf"^Set {name} in \.env to .+\.$"):
        resolve(read_compose(), VARIABLES | {name: ""})


def test_every_secret_is_required_or_empty_by_default() -> None:
    required = {reference.name for reference in all_references() if reference.operator == ":?"}
    assert required == REQUIRED
    for reference in all_references():
        if reference.name in required:
            assert reference.operator == ":?", reference
        if re.search("PASSWORD|SECRET|KEY|TOKEN", reference.name) or reference.name in SECRET_FIELDS:
            assert reference.operator == ":?" or reference.rest == "" or reference.name == "STUDYML_KEEP_VERSIONS"


def test_example_holds_no_secret() -> None:
    example = read_example()
    assert all(example[name].value == "" for name in REQUIRED | SECRET_FIELDS)


def test_no_password_stands_in_the_file() -> None:
    for service in read_compose()["services"].values():
        for name, value in service["environment"].items():
            if "://" in value and "@" in value:
                assert re.search(r"://[a-z_]*:\$\{[A-Z_]+:\?[^}]+\}@", value), name
            elif re.search("PASSWORD|SECRET|_KEY", name):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value), name


def test_only_init_knows_the_superuser_and_the_owner() -> None:
    for name in set(AIRFLOW_SERVICES) - {"init"}:
        values = " ".join(SERVICES[name]["environment"].values())
        for secret in ("POSTGRES_PASSWORD", "POSTGRES_STUDYML_PASSWORD", "AIRFLOW_ADMIN_PASSWORD"):
            assert f"value-of-{secret}" not in values, name


# ---- settings ----


@pytest.mark.parametrize("service", sorted(AIRFLOW_SERVICES))
def test_every_setting_is_passed_and_no_other(service: str) -> None:
    passed = {name for name in SERVICES[service]["environment"] if name.startswith("STUDYML_")}
    assert passed == set(FIELDS)


def test_a_set_variable_arrives_under_its_own_name() -> None:
    given = {name: f"value-of-{name}" for name in FIELDS}
    environment = resolve(read_compose()["services"]["worker"]["environment"], VARIABLES | given)
    for name in set(FIELDS) - SET_BY_COMPOSE:
        assert environment[name] == given[name]


def test_unset_variables_mean_the_defaults_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICES["worker"]["environment"].items():
        if name.startswith("STUDYML_"):
            monkeypatch.setenv(name, value)
    settings = load_settings()
    for name, field in Settings.model_fields.items():
        if name not in ("database_url", "artifact_root", "airflow_url"):
            assert getattr(settings, name) == field.default, name


def test_tasks_and_commands_use_the_same_login() -> None:
    environment = SERVICES["worker"]["environment"]
    assert environment["AIRFLOW_CONN_STUDYML_DB"] == environment["STUDYML_DATABASE_URL"]
    assert environment["STUDYML_DATABASE_URL"].startswith("postgresql://studyml_pipeline:")


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_example_explains_every_setting_and_shows_its_default(name: str) -> None:
    line, field = read_example()[name], FIELDS[name]
    assert line.commented_out
    assert line.comment.lower().startswith((field.description or "no description").lower())
    default = field.default
    if isinstance(default, SecretStr) or default is None or field.is_required():
        assert line.value == ""
    elif isinstance(default, BaseModel):
        assert line.value == default.model_dump_json(exclude_none=True)
    else:
        assert line.value == str(default)


def test_example_lists_the_variables_of_the_compose_file_and_no_other() -> None:
    example = read_example()
    assert set(example) == {reference.name for reference in all_references()} | SET_BY_COMPOSE
    assert all(line.comment for line in example.values())
    for reference in all_references():
        if reference.operator == ":-" and reference.name not in FIELDS:
            assert example[reference.name].value == reference.rest


# ---- services ----


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_images_are_pinned(service: str) -> None:
    image = SERVICES[service]["image"]
    if service in AIRFLOW_SERVICES:
        assert image == f"studyml:{PROJECT['version']}"
        assert SERVICES[service]["build"] == "."
    else:
        assert re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?-[a-z]+(@sha256:[0-9a-f]{64})?", image)


@pytest.mark.parametrize("service", LASTING_SERVICES)
def test_lasting_services_are_watched_and_restarted(service: str) -> None:
    definition = SERVICES[service]
    assert definition["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(definition["healthcheck"])
    assert definition["deploy"]["resources"]["limits"]["memory"]
    if service in AIRFLOW_SERVICES:
        assert definition["healthcheck"]["test"][-2:] == ["/opt/studyml/docker/healthcheck.py", service]
        assert definition["depends_on"]["init"] == {"condition": "service_completed_successfully"}


def test_init_runs_once_and_after_the_databases() -> None:
    assert SERVICES["init"]["restart"] == "no"
    assert SERVICES["init"]["depends_on"] == {name: {"condition": "service_healthy"} for name in ("postgres", "redis")}


def test_only_the_ui_is_published_and_on_the_loopback_address() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api-server": ["127.0.0.1:8080:8080"]}


def test_workers_can_be_scaled_and_stop_without_losing_work() -> None:
    worker = SERVICES["worker"]
    assert not {"container_name", "hostname", "ports"} & set(worker)
    assert worker["init"] is True
    assert worker["stop_grace_period"] == "30m"


def test_volumes() -> None:
    mounts = {name: set(service.get("volumes", [])) for name, service in SERVICES.items()}
    root = SERVICES["worker"]["environment"]["STUDYML_ARTIFACT_ROOT"]
    assert f"artifacts:{root}" in mounts["worker"]
    assert mounts["postgres"] == {"postgres:/var/lib/postgresql"}
    assert all("logs:/opt/airflow/logs" in mounts[name] for name in AIRFLOW_SERVICES)
    used = {mount.split(":")[0] for service in mounts.values() for mount in service}
    assert used == set(COMPOSE["volumes"])


def test_airflow_services_agree_on_what_they_share() -> None:
    first = {key: value for key, value in SERVICES["worker"]["environment"].items() if key.startswith("AIRFLOW__")}
    for service in AIRFLOW_SERVICES.values():
        assert first.items() <= service["environment"].items()
    assert first["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://api-server:8080/execution/"


# ---- commands ----

# In its own process: it needs another configuration than the rest of the tests, and Airflow reads that on import.
_ASK_AIRFLOW = """
import json, os, sys
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf
for command in json.load(sys.stdin):
    get_parser().parse_args(command)
known = {
    f"AIRFLOW__{section}__{option}".upper()
    for section, description in conf.configuration_description.items() for option in description["options"]
}
unknown = {name for name in os.environ if name.startswith("AIRFLOW__")} - known
sys.exit(f"unknown options: {sorted(unknown)}" if unknown else 0)
"""


def service_commands() -> list[list[str]]:
    lasting = [AIRFLOW_SERVICES[name]["command"] for name in sorted(AIRFLOW_SERVICES) if name != "init"]
    return [*lasting, *load_script("initialise").commands(SERVICES["init"]["environment"])]


def test_airflow_knows_every_command_and_option(tmp_path: Path) -> None:
    asked = [command[1:] for command in service_commands() if command[0] == "airflow"]
    assert len(asked) == 7
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "STUDYML"))}
    environment |= SERVICES["scheduler"]["environment"] | {"AIRFLOW_HOME": str(tmp_path)}
    environment["AIRFLOW__CORE__FERNET_KEY"] = ""
    done = subprocess.run(
        [sys.executable, "-c", _ASK_AIRFLOW],
        input=json.dumps(asked), env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def test_studyml_knows_every_command() -> None:
    from studyml.cli import app

    asked = [command[1:] for command in service_commands() if command[0] == "studyml"]
    assert asked == [["db", "upgrade"]]
    for words in [*asked, ["doctor"], ["simulate"]]:
        command: Any = typer.main.get_command(app)
        for word in words:
            assert word in command.commands, words
            command = command.commands[word]
