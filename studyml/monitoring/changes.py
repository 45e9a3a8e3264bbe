"""What the labels of the source say that the ledger does not say yet: a comparison of two tables."""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from studyml.frame import NULL_INTEGER, Frame, to_microseconds

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


def find_changes(labels: Frame, recorded: Frame, *, correction_from: datetime | None) -> Frame:
    """New labels, and labels changed, moved or removed among sessions dated after ``correction_from`` (None: all).

    ``labels`` holds id (ascending), session_date and actual_duration (hours) of every session that may differ from
    ``recorded``, its impossible labels already missing; ``recorded`` the newest revisions by session_id. A label whose
    session was moved to another date has changed; one whose session is gone counts as removed. Returns the new
    revisions: session_id, revision (1: the session had no outcome before), session_date, hours (NaN: removed).
    """
    ids, dates = labels["id"].astype(np.int64), labels["session_date"].astype(np.int64)
    hours = labels["actual_duration"].astype(np.float64)
    cutoff = NULL_INTEGER if correction_from is None else to_microseconds(correction_from)
    places, known = _places(recorded, ids)
    new = np.flatnonzero(~known & ~np.isnan(hours))
    before, dated = np.full(len(ids), np.nan), np.full(len(ids), NULL_INTEGER)
    before[known] = recorded["hours"].astype(np.float64)[places[known]]
    dated[known] = recorded["session_date"].astype(np.int64)[places[known]]
    same = ((before == hours) & (dated == dates)) | (np.isnan(before) & np.isnan(hours))
    differs = np.flatnonzero(known & (np.maximum(dates, dated) > cutoff) & ~same)
    gone = _gone(ids, recorded, cutoff)
    columns = {
        "session_id": (ids[new], ids[differs], recorded["session_id"][gone]),
        "revision": (
            np.ones(len(new), np.int64),
            recorded["revision"].astype(np.int64)[places[differs]] + 1,
            recorded["revision"].astype(np.int64)[gone] + 1,
        ),
        "session_date": (dates[new], dates[differs], recorded["session_date"][gone]),
        "hours": (hours[new], hours[differs], np.full(len(gone), np.nan)),
    }
    return Frame({name: np.concatenate(parts) for name, parts in columns.items()}, {})


def without_outcome(labels: Frame, recorded: Frame) -> Integers:
    """Ids, ascending, of the sessions that have neither a label nor an outcome; as ``find_changes``."""
    ids = labels["id"].astype(np.int64)
    _, known = _places(recorded, ids)
    return ids[np.isnan(labels["actual_duration"].astype(np.float64)) & ~known]


def in_order(changes: Frame) -> Frame:
    """Revisions in the order in which they arrive: the new labels by date, then what changed."""
    revision = changes["revision"].astype(np.int64)
    dates = np.where(revision == 1, changes["session_date"].astype(np.int64), 0)
    return changes.take(np.lexsort((changes["session_id"], dates, revision > 1)))


def _places(recorded: Frame, ids: Integers) -> tuple[Integers, Mask]:
    """Where each id stands among the recorded ones, and whether it does."""
    known_ids = recorded["session_id"].astype(np.int64)
    if len(known_ids) == 0:
        return np.zeros(len(ids), np.int64), np.zeros(len(ids), bool)
    places = np.minimum(np.searchsorted(known_ids, ids), len(known_ids) - 1)
    return places, known_ids[places] == ids


def _gone(ids: Integers, recorded: Frame, cutoff: int) -> Integers:
    stands = ~np.isnan(recorded["hours"].astype(np.float64))
    inside = recorded["session_date"].astype(np.int64) > cutoff
    return np.flatnonzero(stands & inside & ~np.isin(recorded["session_id"], ids))
