"""What a retraining makes of a lasting change: older labels at the newest level, a holdout from after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.contract import MAXIMUM_HOURS
from studyml.evaluation.holdout import newest_rows
from studyml.evaluation.level import FEWEST_GROUPS, LevelChange, at_newest_level, days_of_change, level_changes
from studyml.evaluation.naive import LOG_FEATURES, fit_naive
from studyml.evaluation.paired import groups_of
from studyml.frame import Frame
from studyml.steps.training_data import LABEL

#: Sessions since a change that judge at least, but never more than half of them: of fewer, chance decides.
FEWEST_HELD = 60

Mask = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """``held`` [n] masks the holdout; ``changes`` are as large as the other rows say."""

    held: Mask
    changes: tuple[LevelChange, ...]


def split_rows(frame: Frame, *, holdout_fraction: float, follow: bool) -> Split:
    """Hold out the newest of the labelled rows of ``frame``, in the order of time, and look for changes of level.

    Without ``follow`` there are none. After a change the holdout is of the sessions since alone: else it would be
    months until anything that tells of the change is learned from.
    """
    days = _days_of_change(frame) if follow else np.zeros(0, np.int64)
    dates, fraction = _integers(frame, "session_date"), holdout_fraction
    if len(days):
        since = int((dates >= days[-1]).sum())
        fraction = min(fraction, max(fraction * since, min(FEWEST_HELD, since / 2)) / len(frame))
    held = newest_rows(dates, _integers(frame, "id"), fraction)
    fitting = frame.take(~held)
    changes = level_changes(_residual(fitting), _integers(fitting, "session_date"), days) if len(days) else ()
    return Split(held, changes)


def changes_of(metadata: Mapping[str, Any]) -> tuple[LevelChange, ...]:
    """The changes that a version's training followed; none for one from before there were any."""
    return tuple(LevelChange.from_json(each) for each in metadata.get("level_changes") or ())


def with_newest_level(frame: Frame, changes: tuple[LevelChange, ...]) -> Frame:
    """The rows with the hours that they would take at the newest level, at most 24."""
    if not changes:
        return frame
    hours = at_newest_level(frame[LABEL].astype(np.float64), _integers(frame, "session_date"), changes)
    return frame.with_columns(**{LABEL: np.minimum(hours, MAXIMUM_HOURS)})


def _days_of_change(frame: Frame) -> Integers:
    dates = _integers(frame, "session_date")
    groups = groups_of(_integers(frame, "student_id"), dates, fewest=FEWEST_GROUPS)
    units = [_integers(frame, name) for name in ("student_id", "topic_id")]
    return days_of_change(_residual(frame), dates, groups, units)


def _residual(frame: Frame) -> NDArray[np.float64]:
    features = {name: frame[name].astype(np.float64) for name in LOG_FEATURES}
    hours = frame[LABEL].astype(np.float64)
    return np.log(hours / fit_naive(features, hours).predict(features, len(hours))["log_linear"])


def _integers(frame: Frame, name: str) -> Integers:
    return frame[name].astype(np.int64)
