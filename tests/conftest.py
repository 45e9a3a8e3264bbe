"""What all tests share: settings, logs, a database that has lived a night, and no way out to the network."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from studyml.development import postgres
from studyml.development.postgres import Server
from studyml.settings import Settings, load_settings
from studyml.simulation import Simulation
from studyml.steps.load import simulate_into_database
from studyml.steps.night import night
from tests.postgres_fixture import database_url, empty_database_url, migrated_template, postgres_server, shared_url

__all__ = ["database_url", "empty_database_url", "migrated_template", "postgres_server", "shared_url"]

#: End of the simulated logs: labels before it, planned sessions in the week after it.
END = datetime(2026, 3, 1, tzinfo=UTC)
#: The night that the ``lived`` fixture has behind it, a week before the end of the labels.
FIRST_NIGHT = END - timedelta(days=7)
#: The wall clock of the tests.
NOW = datetime(2026, 3, 1, 1, 30, tzinfo=UTC)

# A busy machine is not a failure.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_LOOPBACK = ("127.0.0.1", "::1", "localhost", "")


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """A test that would leave this machine fails, and says so."""
    patch = pytest.MonkeyPatch()
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in _LOOPBACK:
            raise AssertionError(f"a test tried to reach {address[0]}")
        return connect(self, address)

    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The caller's own STUDYML_* never reach a test, nor what this machine keeps."""
    for name in [name for name in os.environ if name.startswith("STUDYML_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STUDYML_ARTIFACT_CACHE", str(tmp_path / "cache"))


def silent(_: str) -> None:
    """A progress that tells nobody."""


@pytest.fixture
def make_settings(database_url: str, tmp_path: Path) -> Callable[..., Settings]:
    """Settings over a fresh, migrated database and an empty artifact root; keywords override."""

    def make(**overrides: Any) -> Settings:
        return load_settings(**{"database_url": database_url, "artifact_root": tmp_path / "artifacts", **overrides})

    return make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Settings over a fresh, migrated, empty database."""
    return make_settings()


@pytest.fixture
def simulated(settings: Settings) -> Settings:
    """A database with the guide's 600 sessions of 90 days up to END; no night was lived."""
    simulate_into_database(settings, Simulation(), end=END, now=NOW, progress=silent)
    return settings


@dataclass(frozen=True)
class _Template:
    server: Server
    database: str
    artifacts: Path


@pytest.fixture(scope="session")
def _lived_template(
    postgres_server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_Template]:
    name, artifacts = f"lived_{os.getpid()}", tmp_path_factory.mktemp("lived") / "artifacts"
    postgres.drop_database(postgres_server, name)
    postgres.create_database(postgres_server, name, template=migrated_template)
    settings = load_settings(database_url=postgres_server.url(name), artifact_root=artifacts)
    simulate_into_database(settings, Simulation(), end=END, now=NOW, progress=silent)
    night(settings, as_of=FIRST_NIGHT, now=NOW, progress=silent)
    yield _Template(postgres_server, name, artifacts)
    postgres.drop_database(postgres_server, name)


@pytest.fixture
def lived(_lived_template: _Template, tmp_path: Path) -> Iterator[Settings]:
    """A copy of a database that lived FIRST_NIGHT for real: a trained champion, its artifacts, its predictions."""
    name = f"{_lived_template.database}_copy"
    server, artifacts = _lived_template.server, tmp_path / "lived_artifacts"
    postgres.drop_database(server, name)
    postgres.create_database(server, name, template=_lived_template.database)
    shutil.copytree(_lived_template.artifacts, artifacts)
    yield load_settings(database_url=server.url(name), artifact_root=artifacts)
    postgres.drop_database(server, name)


def _real_log(name: str) -> Path:
    folder = SHARED_DATA / name
    if not folder.is_dir():
        pytest.skip(f"the real log {name} is not on this machine ({folder})")
    return folder


@pytest.fixture(scope="session")
def kaist() -> Path:
    """The folder of a real log of 34 students, where it is present."""
    return _real_log("kaist")


@pytest.fixture(scope="session")
def toggl_student() -> Path:
    """The folder of a real log of one student, where it is present."""
    return _real_log("toggl_student")
