"""End a night that has its predictions, and say so to the outside."""

import logging
from datetime import datetime

import httpx

from studyml.database.connection import Connection
from studyml.database.nights import end_night
from studyml.errors import DeliveryError, RegistryError
from studyml.settings import Settings
from studyml.steps.opening import own_database

_logger = logging.getLogger("studyml")
_HEARTBEAT_SECONDS = 10


def finish_night(settings: Settings, *, as_of: datetime, now: datetime) -> dict[str, str | bool]:
    """Mark the night finished and call the heartbeat address.

    Raises RegistryError where the night has no complete predictions, DeliveryError where the heartbeat is not
    heard (the night is finished all the same).
    """
    with own_database(settings) as connection:
        if not _is_scored(connection, as_of):
            raise RegistryError(f"the night of {as_of.isoformat()} has no complete predictions: score it first.")
        if not end_night(connection, as_of, now=now):
            raise RegistryError(f"the night of {as_of.isoformat()} was never started: start it first.")
        connection.commit()
    called = _heartbeat(settings.heartbeat_url.get_secret_value())
    _logger.info("the night of %s is finished", as_of.isoformat())
    return {"as_of": as_of.isoformat(), "heartbeat": called}


def _is_scored(connection: Connection, as_of: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM studyml.scoring_runs WHERE as_of = %s AND status = 'complete')", (as_of,)
        )
        return bool((cursor.fetchone() or (False,))[0])


def _heartbeat(url: str) -> bool:
    if not url:
        return False
    try:
        httpx.get(url, timeout=_HEARTBEAT_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        # The address may hold a secret: only what went wrong is told.
        raise DeliveryError(
            f"the heartbeat address did not answer ({type(error).__name__}): check STUDYML_HEARTBEAT_URL."
        ) from None
    return True
