"""The environment in which Airflow runs on this machine: settings, secrets and the connection ``studyml_db``."""

import base64
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from studyml.development.processes import MARKER
from studyml.development.state import (
    LOOPBACK,
    make_private_folder,
    project_root,
    remembered_port,
    remembered_secret,
    write_private,
)

ADMIN = "admin"
_PREFERRED_PORT = 8080
# make run decides these: what the caller has set for another installation must not leak in.
_OWN = ("STUDYML_DATABASE_URL", "STUDYML_SOURCE_URL", "STUDYML_SOURCE_SCHEMA", "STUDYML_ARTIFACT_ROOT")


@dataclass(frozen=True)
class AirflowSettings:
    """What one Airflow installation is made of; ``repr`` shows no password."""

    state_dir: Path
    metadata_url: str = field(repr=False)
    studyml_url: str = field(repr=False)
    artifact_root: Path
    dags_folder: Path
    plugins_folder: Path
    with_schedule: bool = False
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def home(self) -> Path:
        """AIRFLOW_HOME: logs and keys."""
        return self.state_dir / "airflow"


def ignored_settings() -> list[str]:
    """Names of the caller's STUDYML_* variables that ``make run`` does not use because it brings its own."""
    return [name for name in _OWN if os.environ.get(name)]


def studyml_environment(state_dir: Path, database_url: str, artifact_root: Path) -> dict[str, str]:
    """The caller's environment with our own database and artifacts in place of the caller's, and no AIRFLOW*."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW") and name not in _OWN
    }
    loopback = ",".join(filter(None, [inherited.get("NO_PROXY", inherited.get("no_proxy", "")), LOOPBACK, "localhost"]))
    return inherited | {
        "STUDYML_DATABASE_URL": database_url,
        "STUDYML_ARTIFACT_ROOT": str(artifact_root),
        # A proxy for the outside must not see what the components say to each other.
        "NO_PROXY": loopback,
        "no_proxy": loopback,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(project_root()), os.environ.get("PYTHONPATH", "")])),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)]),
        # Airflow renames its processes; without this the new title overwrites the environment that carries MARKER.
        "SPT_NOENV": "1",
        MARKER: str(state_dir.resolve()),
    }


def airflow_environment(settings: AirflowSettings, port: int) -> dict[str, str]:
    """Everything that the four components need; keys and the admin's password are made once and kept (mode 0600)."""
    home = make_private_folder(settings.home)
    base_url = f"http://{LOOPBACK}:{port}"
    passwords = home / "passwords.json"
    write_private(passwords, json.dumps({ADMIN: admin_password(settings.state_dir)}))
    environment = studyml_environment(settings.state_dir, settings.studyml_url, settings.artifact_root)
    # Under Airflow the database comes from the connection, and from nowhere else.
    del environment["STUDYML_DATABASE_URL"]
    environment.setdefault("STUDYML_AIRFLOW_URL", base_url)
    options = {
        "CORE__DAGS_FOLDER": str(settings.dags_folder),
        "CORE__PLUGINS_FOLDER": str(settings.plugins_folder),
        "CORE__LOAD_EXAMPLES": "false",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": str(max(4, os.cpu_count() or 1)),
        "CORE__FERNET_KEY": remembered_secret(home / "fernet.key", _fernet_key),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "CORE__EXECUTION_API_SERVER_URL": f"{base_url}/execution/",
        "DATABASE__SQL_ALCHEMY_CONN": settings.metadata_url.replace("postgresql://", "postgresql+psycopg2://", 1),
        "API__HOST": LOOPBACK,
        "API__PORT": str(port),
        "API__BASE_URL": base_url,
        "API__WORKERS": "1",
        "API__SECRET_KEY": remembered_secret(home / "api.key"),
        "API_AUTH__JWT_SECRET": remembered_secret(home / "jwt.key"),
        "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "SCHEDULER__ENABLE_HEALTH_CHECK": "false",
        # Only the nights that are asked for; a scheduled night at today's date would make them all replays.
        "SCHEDULER__USE_JOB_SCHEDULE": str(settings.with_schedule).lower(),
        "USAGE_DATA_COLLECTION__ENABLED": "false",
    }
    environment |= {f"AIRFLOW__{name}": value for name, value in options.items()}
    environment |= {"AIRFLOW_HOME": str(home), "AIRFLOW_CONN_STUDYML_DB": settings.studyml_url}
    if sys.platform == "darwin":
        environment["OBJC_DISABLE_INITIALIZE_FORK_SAFETY"] = "YES"  # tasks are forked
    return environment | dict(settings.extra)


def admin_password(state_dir: Path) -> str:
    """Password of the user ``admin``, made on first use."""
    return remembered_secret(make_private_folder(state_dir / "airflow") / "admin.password", _readable_password)


def choose_port(state_dir: Path) -> int:
    """The API server's port: the last one while it is free, else 8080, else any."""
    return remembered_port(make_private_folder(state_dir / "airflow") / "port", _PREFERRED_PORT)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def _readable_password() -> str:
    return secrets.token_hex(8)
