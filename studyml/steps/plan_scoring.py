"""Plan a night's scoring: which versions serve, which sessions are planned, in which ranges they are scored."""

import logging
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.contract import STUDY_SESSIONS
from studyml.database.connection import Connection
from studyml.database.nights import is_replay
from studyml.database.predictions import open_scoring_run, record_planned
from studyml.database.source import read_sessions
from studyml.errors import RegistryError
from studyml.monitoring.ledger import sessions_with_outcome
from studyml.registry.trials import challenger, challenger_at
from studyml.registry.versions import Version, champion, champion_at
from studyml.settings import Settings
from studyml.steps.opening import own_database, read_source

_logger = logging.getLogger("studyml")
_ID = tuple(each for each in STUDY_SESSIONS if each.name == "id")


def plan_scoring(
    settings: Settings, *, as_of: datetime, now: datetime, dag_run_id: str | None = None
) -> dict[str, Any]:
    """Open a scoring run and return its id and the closed id ranges [first, last] to score.

    No range where nothing is planned. Raises RegistryError where no version serves at ``as_of``.
    """
    with own_database(settings) as connection:
        versions = [each.version for each in serving_versions(connection, as_of)]
        window = scoring_window(settings, as_of)
        found = read_source(
            settings,
            lambda source: read_sessions(
                source, settings.source_schema, {}, after=window[0], through=window[1], columns=_ID
            ),
        )
        # A session dated after as_of never has an outcome by then, whatever its row holds by now.
        done = sessions_with_outcome(connection, after=window[0], as_of=as_of)
        ids = found["id"].astype(np.int64)
        ids = ids[~np.isin(ids, done)]
        run_id = open_scoring_run(
            connection, as_of=as_of, versions=versions, planned=len(ids), now=now, dag_run_id=dag_run_id
        )
        record_planned(connection, run_id, ids)
        connection.commit()
    beside = f", {versions[1]} is tried beside it" if len(versions) > 1 else ""
    _logger.info("%d planned sessions, %s serves%s", len(ids), versions[0], beside)
    return {"scoring_run_id": run_id, "ranges": _ranges(ids, settings.scoring_range_sessions)}


def serving_version(connection: Connection, as_of: datetime) -> Version:
    """The champion, in a replay that of its time; raises RegistryError where there is none."""
    if is_replay(connection, as_of):
        found, cure = champion_at(connection, as_of), "replay a night that is not older than the first deployment"
    else:
        found, cure = champion(connection), "run 'studyml retrain', the first publishes one"
    if found is None:
        raise RegistryError(f"no version served at {as_of:%Y-%m-%d %H:%M} UTC: {cure}.")
    return found


def serving_versions(connection: Connection, as_of: datetime) -> list[Version]:
    """The champion, then the challenger if one is on trial; in a replay those of its time.

    Raises RegistryError where there is no champion.
    """
    serving = serving_version(connection, as_of)
    tried = challenger_at(connection, as_of) if is_replay(connection, as_of) else challenger(connection)
    return [serving] if tried is None or tried.version == serving.version else [serving, tried]


def scoring_window(settings: Settings, as_of: datetime) -> tuple[datetime, datetime]:
    """(after, through): planned sessions are dated in this window (design section 2)."""
    return as_of - timedelta(days=settings.scoring_grace_days), as_of + timedelta(days=settings.scoring_horizon_days)


def _ranges(ids: NDArray[np.int64], size: int) -> list[list[int]]:
    return [[int(ids[at]), int(ids[min(at + size, len(ids)) - 1])] for at in range(0, len(ids), size)]
