"""Begin a night: check what it needs, and whether it is a replay."""

import logging
from datetime import datetime

from studyml.database.nights import begin_night, is_replay
from studyml.settings import Settings
from studyml.steps.opening import own_database, read_source, refuse_future

_logger = logging.getLogger("studyml")


def start_night(settings: Settings, *, as_of: datetime, now: datetime, dag_run_id: str | None = None) -> bool:
    """Record that the night of ``as_of`` begins; return True where a newer one is finished and this is a replay.

    Raises InputError for a night in the future, and the errors of an unreachable or unmigrated database and of a
    missing source, before anything else runs.
    """
    refuse_future(as_of, now)
    with own_database(settings) as connection:
        replay = is_replay(connection, as_of)
        read_source(settings, lambda _: None)
        begin_night(connection, as_of, replay=replay, now=now, dag_run_id=dag_run_id)
        connection.commit()
    words = "a replay: it promotes, pages and consumes nothing" if replay else "the newest night"
    _logger.info("night of %s, %s", as_of.isoformat(), words)
    return replay
