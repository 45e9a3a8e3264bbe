"""End a night that has its predictions, and say so to the outside."""

import logging
from datetime import datetime

import httpx

from studyml.alerting.lifecycle import Moment
from studyml.alerting.message import moment
from studyml.database.connection import Connection, advisory_lock
from studyml.database.nights import end_night, heartbeat_heard, is_replay, record_heartbeat
from studyml.errors import DeliveryError, RegistryError
from studyml.settings import Settings
from studyml.steps.end_failures import end_nights_failures
from studyml.steps.opening import own_database
from studyml.steps.watch_data import watch_data
from studyml.steps.watch_nights import watch_nights
from studyml.steps.watch_retraining import watch_retraining

_logger = logging.getLogger("studyml")
_HEARTBEAT_SECONDS = 10


def finish_night(settings: Settings, *, as_of: datetime, now: datetime) -> dict[str, str | bool]:
    """Mark the night finished, bring the incidents up to date that it decides, call the heartbeat address.

    The address is called until it has answered once for a night: one that is run again says nothing new to a watchdog.
    What failed before is over only then, since this task may fail with it. A replay only marks. Raises RegistryError
    where the night has no complete predictions, DeliveryError where the heartbeat is not heard (the night is finished
    all the same).
    """
    with own_database(settings) as connection, advisory_lock(connection, "watch"):
        if not _is_scored(connection, as_of):
            raise RegistryError(f"the night of {as_of.isoformat()} has no complete predictions: score it first.")
        if not end_night(connection, as_of, now=now):
            raise RegistryError(f"the night of {as_of.isoformat()} was never started: start it first.")
        replay = is_replay(connection, as_of)
        if not replay:
            _follow_up(settings, connection, Moment(as_of, now))
        heard = heartbeat_heard(connection, as_of)
        connection.commit()
    called = not replay and not heard and _heartbeat(settings.heartbeat_url.get_secret_value())
    if not replay:
        with own_database(settings) as connection, advisory_lock(connection, "watch"):
            if called:
                record_heartbeat(connection, as_of, now=now)
            words = f"the night of {moment(as_of)} finished without a failed task"
            end_nights_failures(settings, connection, Moment(as_of, now), note=words)
            connection.commit()
    _logger.info("the night of %s is finished", as_of.isoformat())
    return {"as_of": as_of.isoformat(), "heartbeat": called}


def _follow_up(settings: Settings, connection: Connection, at: Moment) -> None:
    """What only a whole night can tell: its data, its retraining, and that it ran."""
    watch_data(settings, connection, at)
    watch_retraining(settings, connection, at)
    watch_nights(settings, connection, now=at.now)


def _is_scored(connection: Connection, as_of: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM studyml.scoring_runs WHERE as_of = %s AND status = 'complete')", (as_of,)
        )
        return bool((cursor.fetchone() or (False,))[0])


def _heartbeat(url: str) -> bool:
    if not url:
        return False
    # The address may hold a secret: it is not logged, and of a failure only its kind is told.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        httpx.get(url, timeout=_HEARTBEAT_SECONDS).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DeliveryError(
            f"the heartbeat address did not answer ({type(error).__name__}): check STUDYML_HEARTBEAT_URL."
        ) from None
    return True
