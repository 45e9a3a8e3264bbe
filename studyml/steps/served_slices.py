"""Where the served predictions err most: by subject, education level, length, time of day, new student and topic."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.database.connection import Connection
from studyml.database.history import read_states
from studyml.database.served import served_outcomes
from studyml.errors import ArtifactError
from studyml.evaluation.paired import groups_of
from studyml.evaluation.slices import dimensions
from studyml.evaluation.worst import WorstSlice, worst
from studyml.features.history import frame_keys
from studyml.features.history_states import POSITION, number_keys
from studyml.frame import Frame
from studyml.monitoring.profile import expected_errors
from studyml.registry.versions import Version
from studyml.settings import Settings
from studyml.steps.opening import read_source
from studyml.steps.recent_sessions import MOST_SESSIONS, read_assembled
from studyml.steps.reference import read_reference

_logger = logging.getLogger("studyml")
#: Sessions that happened to be long are always the worst ones: that is no weakness of anything.
_HINDSIGHT = "actual_length"
#: Values that need no title before them.
_SAID_ALONE = {"new student", "returning student", "new topic", "known topic"}

Columns = Mapping[str, NDArray[np.generic]]
Integers = NDArray[np.int64]


def worst_slices(
    settings: Settings,
    connection: Connection,
    *,
    version: Version | None,
    as_of: datetime,
    window_days: int,
    most: int = 3,
) -> list[dict[str, Any]]:
    """Up to ``most`` slices in which what was served errs more than elsewhere, beyond chance, the worst first.

    Of outcomes of sessions dated in the ``window_days`` up to ``as_of``, at most the 20,000 newest: of all that
    ``version`` predicted (None: of all that was served). ``slice``, ``value``, ``n``, ``mae`` and ``mae_elsewhere`` in
    hours, ``ratio`` and a ``sentence``. Errors are compared with what the version's reference expects of their lengths,
    where it has one.
    """
    served = served_outcomes(
        connection,
        version=None if version is None else version.version,
        after=as_of - timedelta(days=window_days),
        as_of=as_of,
        most=MOST_SESSIONS,
    )
    if len(served["session_id"]) == 0:
        return []
    ids = served["session_id"].astype(np.int64)
    frame = read_source(settings, lambda source: read_assembled(source, settings.source_schema, ids))
    if len(frame) == 0:
        return []
    kept = np.isin(ids, frame["id"])
    served = {name: values[kept] for name, values in served.items()}
    actual, predicted = served["actual"].astype(np.float64), served["predicted"].astype(np.float64)
    cuts, _ = dimensions(actual, predicted, _with_counts(connection, frame, served))
    expected = _expected(settings, version, predicted)
    groups = groups_of(frame["student_id"].astype(np.int64), frame["session_date"].astype(np.int64))
    used = [cut for cut in cuts if cut.name != _HINDSIGHT]
    ones = np.ones(len(predicted))
    found = worst(np.abs(actual - predicted), ones if expected is None else expected, groups, used, most=most)
    return [_to_json(each, expected is not None) for each in found]


def _expected(
    settings: Settings, version: Version | None, predicted: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """The error, hours, that the version had by length when it was trained; None where that is not known."""
    try:
        reference = None if version is None else read_reference(settings, version)
    except ArtifactError as error:
        _logger.warning("errors are not held against what their lengths explain: %s", error)
        return None
    expected = None if reference is None else expected_errors(reference, predicted)
    return expected if expected is not None and (expected > 0).all() else None


def _with_counts(connection: Connection, frame: Frame, served: Columns) -> Frame:
    """Add how many outcomes of the student and of the topic were observed up to the night of each prediction.

    From how many there are by now, less those among the served ones that came later: exact for what is new.
    """
    night, observed = (served[name].astype(np.int64) for name in ("night", "observed_at"))
    columns: dict[str, NDArray[np.generic]] = {}
    for kind in ("student", "topic"):
        (codes,), (first, second) = number_keys(frame_keys(frame, kind))
        states, _ = read_states(connection, kind, first, second)
        before = states[codes, POSITION] - _later(codes, night, observed)
        columns[f"{kind}_history_count"] = np.log1p(np.maximum(before, 0))
    return frame.with_columns(**columns)


def _later(codes: Integers, night: Integers, observed: Integers) -> Integers:
    """For each row [n] how many rows of its key were observed after its night."""
    moments, places = np.unique(np.concatenate([night, observed]), return_inverse=True)
    night_place, observed_place = places[: len(night)], places[len(night) :]
    width = len(moments)
    ordered = np.sort(codes * width + observed_place)
    ends = np.searchsorted(ordered, (codes + 1) * width, side="left")
    later: Integers = ends - np.searchsorted(ordered, codes * width + night_place, side="right")
    return later


def _to_json(found: WorstSlice, allowed_for: bool) -> dict[str, Any]:
    name = found.value if found.value in _SAID_ALONE else f"{found.title} {found.value}"
    ratio = found.ratio if np.isfinite(found.ratio) else None
    times = f" ({ratio:.1f} times as much, lengths allowed for)" if allowed_for and ratio is not None else ""
    return {
        "slice": found.dimension,
        "value": found.value,
        "n": found.n,
        "mae": found.mae,
        "mae_elsewhere": found.mae_elsewhere,
        "ratio": ratio,
        "sentence": f"{name}: off by {found.mae:.2f} h on average over {found.n:,} sessions,"
        f" {found.mae_elsewhere:.2f} h elsewhere{times}",
    }
