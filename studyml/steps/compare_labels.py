"""Compare the study app's labels with the ledger: in a night what may be new, once a week everything.

What a night reads, and what it therefore cannot see: docs/decisions/0006-observing-what-is-new.md.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from studyml.contract import LABEL_FUTURE_HOURS, column, impossible_reason
from studyml.database.connection import Connection
from studyml.database.labels import highest_session_id, read_all_labels, read_labels_of, read_recent_labels
from studyml.database.observations import Observed, read_unlabelled
from studyml.database.outcomes import read_recorded_between, read_recorded_of, read_recorded_since
from studyml.database.quarantine import QuarantinedRow
from studyml.features.definition import impossible
from studyml.frame import NULL_INTEGER, Frame, to_microseconds
from studyml.monitoring.changes import find_changes, in_order, without_outcome
from studyml.settings import Settings
from studyml.steps.opening import read_source

Integers = NDArray[np.int64]

#: Sessions compared at a time when everything is: what is held in memory, some 100 bytes each.
_BLOCK_ROWS = 500_000


@dataclass(frozen=True)
class Compared:
    """What a comparison found.

    ``changes``: the revisions to record, in order of arrival; ``refused``: impossible labels; ``now_unlabelled`` and
    ``no_longer``: ids of the sessions to add to those that wait for a label, and to take from them;
    ``seen_through``: the highest id in the source.
    """

    changes: Frame
    refused: list[QuarantinedRow]
    now_unlabelled: Integers
    no_longer: Integers
    seen_through: int


@dataclass(frozen=True)
class _Part:
    changes: Frame
    refused: list[QuarantinedRow]
    unlabelled: Integers


def compare_all_labels(settings: Settings, connection: Connection, *, as_of: datetime, now: datetime) -> Compared:
    """Compare every session with every outcome, some at a time by id."""
    schema, future = settings.source_schema, _future(now)

    def read(source: Connection) -> tuple[list[_Part], int]:
        parts: list[_Part] = []
        reached = NULL_INTEGER

        def compare(labels: Frame, through: int | None) -> None:
            recorded = read_recorded_between(connection, after=reached, through=through)
            parts.append(_compare(labels, recorded, as_of=as_of, future=future, correction_from=None))

        def take(labels: Frame) -> None:
            nonlocal reached
            compare(labels, int(labels["id"][-1]))
            reached = int(labels["id"][-1])

        read_all_labels(source, schema, take, through=as_of, impossible_after=future, rows=_BLOCK_ROWS)
        compare(_NO_LABELS, None)
        return parts, highest_session_id(source, schema)

    parts, highest = read_source(settings, read)
    unlabelled = np.concatenate([part.unlabelled for part in parts])
    before = read_unlabelled(connection)
    return Compared(
        in_order(_joined([part.changes for part in parts])),
        [row for part in parts for row in part.refused],
        _without(unlabelled, before),
        _without(before, unlabelled),
        highest,
    )


def compare_new_labels(
    settings: Settings, connection: Connection, last: Observed, *, as_of: datetime, now: datetime
) -> Compared:
    """Compare what may have changed since the ``last`` comparison; costs what is new, not what is old."""
    schema, future = settings.source_schema, _future(now)
    window = timedelta(days=settings.correction_window_days)
    correction_from = as_of - window
    waiting = read_unlabelled(connection)
    recorded = read_recorded_since(connection, correction_from)

    def read(source: Connection) -> tuple[Frame, int]:
        recent = read_recent_labels(
            source,
            schema,
            # A row that was made after the last comparison may have left the window in nights that were not lived.
            after=last.as_of - window,
            ids_after=last.seen_through,
            through=as_of,
            impossible_after=future,
        )
        ids = recent["id"].astype(np.int64)
        late = _without(waiting, ids)
        elsewhere = _without(recorded["session_id"].astype(np.int64), np.union1d(ids, late))
        found = [
            recent,
            read_labels_of(source, schema, late, through=as_of, impossible_after=future, labelled_only=True),
            read_labels_of(source, schema, elsewhere, through=as_of, impossible_after=future),
        ]
        return _joined(found), highest_session_id(source, schema)

    labels, highest = read_source(settings, read)
    labels = labels.take(np.argsort(labels["id"]))
    unknown = _without(labels["id"].astype(np.int64), recorded["session_id"].astype(np.int64))
    recorded = _joined([recorded, read_recorded_of(connection, unknown)])
    recorded = recorded.take(np.argsort(recorded["session_id"]))
    part = _compare(labels, recorded, as_of=as_of, future=future, correction_from=correction_from)
    first = part.changes["session_id"].astype(np.int64)[part.changes["revision"].astype(np.int64) == 1]
    return Compared(
        in_order(part.changes),
        part.refused,
        _without(part.unlabelled, waiting),
        np.intersect1d(waiting, first),
        highest,
    )


def _compare(
    labels: Frame, recorded: Frame, *, as_of: datetime, future: datetime, correction_from: datetime | None
) -> _Part:
    usable, refused = _refuse_impossible(labels, future)
    # A session that was moved beyond the night is not there yet.
    reached = usable.take(usable["session_date"].astype(np.int64) <= to_microseconds(as_of))
    changes = find_changes(reached, recorded, correction_from=correction_from)
    return _Part(changes, refused, without_outcome(reached, recorded))


def _future(now: datetime) -> datetime:
    return now + timedelta(hours=LABEL_FUTURE_HOURS)


def _without(ids: Integers, others: Integers) -> Integers:
    return np.setdiff1d(ids, others, assume_unique=True)


def _joined(frames: list[Frame]) -> Frame:
    return Frame({name: np.concatenate([each[name] for each in frames]) for name in frames[0].columns}, {})


_NO_LABELS = Frame(
    {"id": np.zeros(0, np.int64), "session_date": np.zeros(0, np.int64), "actual_duration": np.zeros(0)}, {}
)


def _refuse_impossible(labels: Frame, impossible_after: datetime) -> tuple[Frame, list[QuarantinedRow]]:
    spec = column("study_sessions", "actual_duration")
    hours, dates = labels["actual_duration"].astype(np.float64), labels["session_date"].astype(np.int64)
    wrong = impossible(spec, hours)
    future = dates > to_microseconds(impossible_after)
    undated = dates == NULL_INTEGER
    unusable = ~np.isnan(hours) & (wrong | future | undated)
    refused = []
    for row in np.flatnonzero(unusable):
        if wrong[row]:
            name, reason = spec.name, impossible_reason(spec, float(hours[row]))
        elif undated[row]:
            name, reason = "session_date", "session_date is missing or impossible"
        else:
            name, reason = spec.name, "actual_duration is given for a session more than 24 h in the future"
        refused.append(QuarantinedRow("study_sessions", str(labels["id"][row]), name, reason))
    return labels.with_columns(actual_duration=np.where(unusable, np.nan, hours)), refused
