"""One database for all tests of a file; each test clears what it needs clear."""

import itertools
import os
from collections.abc import Iterator

import pytest

from studyml.database.connection import Connection, connect
from studyml.development import postgres
from studyml.development.postgres import Server

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def shared_url(postgres_server: Server, migrated_template: str) -> Iterator[str]:
    """Address of a migrated database that the tests of one file share."""
    name = f"shared_{os.getpid()}_{next(_numbers)}"
    postgres.drop_database(postgres_server, name)
    postgres.create_database(postgres_server, name, template=migrated_template)
    yield postgres_server.url(name)
    postgres.drop_database(postgres_server, name)


@pytest.fixture
def connection(shared_url: str) -> Iterator[Connection]:
    """A connection to the shared database; what a test does not commit is rolled back."""
    with connect(shared_url) as opened:
        yield opened
