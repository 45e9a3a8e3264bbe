"""A real PostgreSQL for the tests: one server per test session, a fresh and already migrated database per test.

The server's folder is the same for every session, so that what a killed session has left is found and cleared.
Sessions that run at the same time in one checkout share the server; the last one stops it.
"""

import fcntl
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from studyml.database import migrate
from studyml.development import postgres
from studyml.development.postgres import Server

STATE_DIR = Path(__file__).resolve().parents[1] / ".studyml" / "tests"
# Nothing in it outlives the tests, so nothing has to survive a power cut.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A running server of the tests' own."""
    STATE_DIR.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(STATE_DIR / "sessions.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if _is_alone(descriptor):
            postgres.remove(STATE_DIR)
        # Several sessions may hold the shared lock; a killed one lets go of it.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield postgres.start(STATE_DIR, settings=FAST)
        if _is_alone(descriptor):
            postgres.remove(STATE_DIR)
    finally:
        os.close(descriptor)


def _is_alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@pytest.fixture(scope="session")
def migrated_template(postgres_server: Server) -> Iterator[str]:
    """Name of a database that was migrated once and is copied for each test."""
    name = f"template_{os.getpid()}"
    postgres.drop_database(postgres_server, name)
    postgres.create_database(postgres_server, name)
    migrate.upgrade(postgres_server.url(name))
    yield name
    postgres.drop_database(postgres_server, name)


@pytest.fixture
def database_url(postgres_server: Server, migrated_template: str) -> Iterator[str]:
    """Address of a fresh, migrated database without data."""
    yield from _database(postgres_server, migrated_template)


@pytest.fixture(scope="module")
def shared_url(postgres_server: Server, migrated_template: str) -> Iterator[str]:
    """Address of a migrated database that the tests of one file share."""
    yield from _database(postgres_server, migrated_template)


@pytest.fixture
def empty_database_url(postgres_server: Server) -> Iterator[str]:
    """Address of a fresh database that was never migrated."""
    yield from _database(postgres_server, None)


def _database(server: Server, template: str | None) -> Iterator[str]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    postgres.drop_database(server, name)
    postgres.create_database(server, name, template=template)
    yield server.url(name)
    postgres.drop_database(server, name)
