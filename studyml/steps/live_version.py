"""Which version was live at a time, and what a session was served then."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from studyml.database.connection import Connection
from studyml.database.served import served_at
from studyml.errors import RegistryError
from studyml.registry.deployments import deployments, live_at
from studyml.registry.versions import find
from studyml.settings import Settings
from studyml.steps.opening import own_database


def live_version(settings: Settings, *, moment: datetime, session_id: int | None) -> dict[str, Any]:
    """The version that served at ``moment``, by the clock, with who put it there and why; None while none served.

    With a ``session_id`` also what was served for it: the newest night up to then whose predictions were published by
    then, also where they were replaced later. Raises RegistryError where nothing had been deployed yet, or where the
    session had no prediction.
    """
    with own_database(settings) as connection:
        found = live_at(connection, moment)
        if found is None:
            raise RegistryError(f"no version was live at {_words(moment)}: {_first(connection)}.")
        document = {
            "at": moment,
            "version": found.to_version,
            "status_now": find(connection, found.to_version).status,
            "since": found.recorded_at,
            **{name: value for name, value in asdict(found).items() if name in ("action", "actor", "reason")},
        }
        if session_id is None:
            return document
        served = served_at(connection, session_id=session_id, moment=moment)
    if served is None:
        raise RegistryError(f"session {session_id} had no prediction at {_words(moment)}.")
    return document | {"session_id": session_id, "prediction": served}


def _first(connection: Connection) -> str:
    log = deployments(connection)
    return f"the first was deployed at {_words(log[0].recorded_at)}" if log else "none was ever deployed"


def _words(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
