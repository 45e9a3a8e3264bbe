"""What missing and unseen values at scoring cost: every feature in turn, at rates from 10 to 100 % of the test rows.

The label is kept, the value is taken away where the row is scored: NULL, and for a category also a level that
training never saw. ``history`` takes all history away: a new student with a new topic. ``everything`` takes every
feature away and leaves the history. Derived features follow from what is left.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.log import Log, hours_of
from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS
from studyml.features.definition import FEATURES, derive
from studyml.features.history import HISTORY_FEATURES, SEQUENCE_FEATURES
from studyml.frame import MISSING, UNSEEN, Frame

Floats = NDArray[np.float64]

RATES = (0.1, 0.3, 0.5, 1.0)
#: Features that a session can have before it starts.
KNOWN_BEFORE = tuple(name for name in FEATURES if name != "breaks_taken")
HISTORY, EVERYTHING = "history", "everything"


def take_away(frame: Frame, feature: str, rows: NDArray[np.bool_], *, unseen: bool = False) -> Frame:
    """The frame without a feature (or HISTORY, or EVERYTHING) in the given rows, its derived features anew."""
    if feature == HISTORY:
        sequences = [name for name in SEQUENCE_FEATURES if name in frame.columns]
        gone = {name: np.where(rows, 0.0, frame[name].astype(np.float64)) for name in HISTORY_FEATURES}
        return frame.with_columns(**gone | {name: _without(frame, name, rows, unseen=False) for name in sequences})
    names = KNOWN_BEFORE if feature == EVERYTHING else (feature,)
    return derive(frame.with_columns(**{name: _without(frame, name, rows, unseen=unseen) for name in names}))


def _without(frame: Frame, name: str, rows: NDArray[np.bool_], *, unseen: bool) -> NDArray[np.generic]:
    if name in frame.vocabularies:
        return np.where(rows, UNSEEN if unseen else MISSING, frame[name].astype(np.int32)).astype(np.int32)
    return np.where(rows, np.nan, frame[name].astype(np.float64))


def with_gaps_in_turn(log: Log, predict: Callable[[Frame], Floats], seed: int) -> dict[str, Any]:
    """MAE in hours for each feature, kind of gap and rate; on the complete rows; and of the training median.

    ``finite`` says that every prediction, unlimited, was a finite number; ``shortest`` is the shortest one served.
    """
    test = log.test
    actual = hours_of(test)
    order = np.random.default_rng(seed).permutation(len(test)) / len(test)
    finite, shortest = True, MAXIMUM_HOURS

    def error(frame: Frame) -> float:
        nonlocal finite, shortest
        hours = predict(frame)
        finite = finite and bool(np.isfinite(hours).all())
        served = np.clip(hours, MINIMUM_HOURS, MAXIMUM_HOURS)
        shortest = min(shortest, float(served.min()))
        return float(np.abs(served - actual).mean())

    rows = [
        {
            "feature": feature,
            "kind": kind,
            "maes": [error(take_away(test, feature, order < rate, unseen=unseen)) for rate in RATES],
        }
        for feature in (*KNOWN_BEFORE, HISTORY, EVERYTHING)
        for kind, unseen in (("missing", False), ("unseen", True))
        if not unseen or feature in test.vocabularies
    ]
    median = float(np.abs(actual - np.median(hours_of(log.training))).mean())
    return {"rows": rows, "complete": error(test), "median": median, "finite": finite, "shortest": shortest}
