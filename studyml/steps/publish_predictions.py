"""Swap a night's predictions in, all at once."""

import logging
from datetime import datetime
from typing import Any

from studyml.database.connection import advisory_lock
from studyml.database.predictions import publish, published_counts, scoring_run
from studyml.database.source import read_subjects
from studyml.settings import Settings
from studyml.steps.opening import own_database, read_source

_logger = logging.getLogger("studyml")


def publish_predictions(settings: Settings, *, scoring_run_id: int, now: datetime) -> dict[str, Any]:
    """Make the rows of a scoring run the night's predictions; return planned, written and refused.

    A run that is overtaken by a newer one of the same night changes nothing. Raises RegistryError where a planned
    session is neither written nor refused, LockBusyError where readers held the table; the old rows stay then.
    """
    with own_database(settings) as connection, advisory_lock(connection, "publish_predictions"):
        run = scoring_run(connection, scoring_run_id)
        published = published_counts(connection, run)
        if published is not None:
            _logger.info("scoring run %d, or a newer one of its night, is published already", run.id)
            return {"planned": sum(published), "written": published[0], "refused": published[1]}
        subjects = read_source(settings, lambda source: read_subjects(source, settings.source_schema))
        timeout = settings.lock_timeout_seconds
        written, refused = publish(connection, run, subjects=subjects, now=now, lock_timeout_seconds=timeout)
    nothing = "; nothing is planned, which is fine" if run.planned == 0 else ""
    _logger.info("night of %s: %d predictions, %d refused%s", run.as_of.isoformat(), written, refused, nothing)
    return {"planned": run.planned, "written": written, "refused": refused}
