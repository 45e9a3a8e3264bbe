"""Observe which labels arrived, changed or went away since the last night, each once."""

import logging
from datetime import datetime

import numpy as np

from studyml.database.connection import Connection, advisory_lock
from studyml.database.nights import is_replay
from studyml.database.observations import change_unlabelled, last_observation, record_observation
from studyml.database.outcomes import append_outcomes, keep_predictions
from studyml.database.quarantine import record_quarantined
from studyml.monitoring.ledger import newest_observation
from studyml.settings import Settings
from studyml.steps.compare_labels import Compared, compare_all_labels, compare_new_labels
from studyml.steps.opening import own_database, refuse_future
from studyml.steps.update_history import update_history

_logger = logging.getLogger("studyml")


def observe(settings: Settings, *, as_of: datetime, now: datetime, compare_all: bool = False) -> dict[str, int | bool]:
    """Record new, corrected and removed labels of sessions dated up to ``as_of``, and continue the histories.

    A replay records nothing, and neither does a night older than the newest observation: the ledger only grows
    forward, so that what a later night has seen is not taken for removed.

    Corrections are looked for among the last ``correction_window_days``. With ``compare_all``, in the first night of
    all and with an empty ledger, every session is read and compared; else what may be new since the last night.
    Returns the counts of new, corrected, removed and quarantined labels.
    """
    refuse_future(as_of, now)
    with own_database(settings) as connection, advisory_lock(connection, "observe"):
        newest = newest_observation(connection)
        if is_replay(connection, as_of) or (newest is not None and as_of < newest):
            _logger.info("nothing to observe: the ledger already says what was known at %s", as_of.isoformat())
            return {"new": 0, "corrected": 0, "removed": 0, "quarantined": 0, "replay": True}
        last = None if compare_all or newest is None else last_observation(connection, as_of)
        if last is None:
            found = compare_all_labels(settings, connection, as_of=as_of, now=now)
        else:
            found = compare_new_labels(settings, connection, last, as_of=as_of, now=now)
        _record(settings, connection, found, as_of=as_of, now=now)
        record_observation(connection, as_of, seen_through=found.seen_through, compared_all=last is None, now=now)
        update_history(settings, connection)
        connection.commit()
    counts = _counts(found)
    _logger.info(
        "observed %(new)d new labels, %(corrected)d corrected, %(removed)d removed, %(quarantined)d refused", counts
    )
    return counts


def _record(settings: Settings, connection: Connection, found: Compared, *, as_of: datetime, now: datetime) -> None:
    before = append_outcomes(connection, found.changes, as_of=as_of, now=now)
    keep_predictions(connection, found.changes, as_of=as_of, after=before, horizon_days=settings.scoring_horizon_days)
    change_unlabelled(connection, added=found.now_unlabelled, removed=found.no_longer)
    record_quarantined(connection, found.refused, as_of)


def _counts(found: Compared) -> dict[str, int | bool]:
    first = found.changes["revision"].astype(np.int64) == 1
    removed = np.isnan(found.changes["hours"].astype(np.float64))
    return {
        "new": int(first.sum()),
        "corrected": int((~first & ~removed).sum()),
        "removed": int(removed.sum()),
        "quarantined": len(found.refused),
        "replay": False,
    }
