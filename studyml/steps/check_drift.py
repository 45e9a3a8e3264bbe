"""Compare what is planned and what was just studied with what the version that serves had learned from."""

import logging
import math
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.contract import STUDY_SESSIONS
from studyml.database.connection import Connection
from studyml.database.served import newest_predictions
from studyml.database.source import has_sessions_until, read_sessions
from studyml.errors import ArtifactError
from studyml.evaluation.calibration import evenly
from studyml.frame import Frame, to_microseconds
from studyml.monitoring.drift import compare
from studyml.monitoring.profile import estimated_mae
from studyml.monitoring.volume import EARLIER_DAYS, RECENT_DAYS, compare_volume
from studyml.registry.versions import Version
from studyml.settings import Settings
from studyml.steps.opening import read_source
from studyml.steps.recent_sessions import MOST_SESSIONS, read_assembled
from studyml.steps.reference import read_reference

_logger = logging.getLogger("studyml")
_DATED = tuple(each for each in STUDY_SESSIONS if each.name in ("id", "session_date"))
_DAY_MICROSECONDS = 24 * 3600 * 1_000_000


def check_drift(
    settings: Settings, connection: Connection, *, version: Version, as_of: datetime
) -> dict[str, Any] | None:
    """What moved since ``version`` was trained, as JSON: it explains an error, and is none itself.

    ``moved``: names of features, the most first; ``features``: all figures of each; ``volume``; ``estimated_mae``: an
    estimate of the MAE, hours, of the newest night's predictions before their labels (None without predictions); the
    sessions looked at are dated from 7 days before ``as_of`` to the scoring horizon. None where nothing can be
    compared: no such sessions, a version older than references, or one whose files are damaged (scoring raises that).
    """
    try:
        reference = read_reference(settings, version)
    except ArtifactError as error:
        _logger.warning("drift is not looked for: %s", error)
        return None
    if reference is None:
        _logger.info("drift is not looked for: %s was trained before references were kept", version.version)
        return None
    frame, daily, log_days, sessions = read_source(settings, lambda source: _read(settings, source, as_of))
    if len(frame) == 0:
        return None
    predicted = newest_predictions(connection, as_of=as_of, version=version.version, ids=frame["id"].astype(np.int64))
    drift, volume = compare(reference, frame, predicted), compare_volume(daily, log_days=log_days)
    for each in drift.moved:
        _logger.info("moved: %s", each.sentence)
    return {
        "version": version.version,
        "as_of": as_of.isoformat(),
        "sessions": sessions,
        "compared": len(frame),
        "predictions": int(np.isfinite(predicted).sum()),
        "estimated_mae": estimated_mae(reference, predicted),
        "volume": volume.to_json() | {"training_per_day": reference.sessions_per_day},
        **drift.to_json(),
    }


def _read(settings: Settings, source: Connection, as_of: datetime) -> tuple[Frame, NDArray[np.int64], int, int]:
    """The sessions to compare, sessions by day [35] before ``as_of``, and two numbers.

    The days are the newest first. The numbers are how many days ago the log began, at most 35, and how many sessions
    could be compared.
    """
    schema, days = settings.source_schema, RECENT_DAYS + EARLIER_DAYS
    after, through = as_of - timedelta(days=days), as_of + timedelta(days=settings.scoring_horizon_days)
    dated = read_sessions(source, schema, {}, after=after, through=through, columns=_DATED)
    ago = to_microseconds(as_of) - dated["session_date"].astype(np.int64)
    daily = np.bincount(ago[ago >= 0] // _DAY_MICROSECONDS, minlength=days)[:days]
    oldest = max(0, int(ago.max(initial=0))) / _DAY_MICROSECONDS
    log_days = days if has_sessions_until(source, schema, after) else math.ceil(oldest)
    ids = dated["id"][ago < RECENT_DAYS * _DAY_MICROSECONDS].astype(np.int64)
    chosen = ids[evenly(len(ids), MOST_SESSIONS)]
    return read_assembled(source, schema, chosen), daily, log_days, len(ids)
