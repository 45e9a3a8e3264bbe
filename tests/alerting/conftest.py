"""What the tests share: a connection, a webhook, and rounds of delivery to addresses that page."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg2
import pytest

from studyml.alerting.outbox import Addresses, Delivered
from studyml.database.connection import Connection
from studyml.settings import Settings
from tests.alerting.messages import Round, run
from tests.alerting.receivers import hook

__all__ = ["hook"]


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    """To the database of the test."""
    found = psycopg2.connect(settings.database)
    yield found
    found.close()


@pytest.fixture
def round_(settings: Settings) -> Round:
    """One round of delivery to the given addresses of pages, at NOW or so many ``minutes`` or ``days`` later."""

    def one(*addresses: str, minutes: float = 0, days: float = 0) -> Delivered:
        return run(settings, Addresses(page=addresses), timedelta(minutes=minutes, days=days))

    return one
