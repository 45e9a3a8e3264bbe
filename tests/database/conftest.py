"""One database for all tests of a file; each test clears what it needs clear."""

from collections.abc import Iterator

import pytest

from studyml.database.connection import Connection, connect


@pytest.fixture
def connection(shared_url: str) -> Iterator[Connection]:
    """A connection to the shared database; what a test does not commit is rolled back."""
    with connect(shared_url) as opened:
        yield opened
