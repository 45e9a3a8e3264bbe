"""States of histories: sums per key that every night continues, and the state that a row may see.

A state is linear in what was observed, so that a corrected or removed outcome enters exactly. In the recent sums an
observation counts half after HALF_LIFE later first observations of its key: its age is the key's position now less
the position at which it was first observed, and a correction keeps that position.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

HALF_LIFE = 10
#: Columns of a state. COUNT: outcomes that stand; POSITION: first observations ever.
COUNT, POSITION, SUM_RATIO, SUM_RESIDUAL, RECENT_WEIGHT, RECENT_RATIO, RECENT_RESIDUAL = range(7)
WIDTH = 7
#: Numbers that span at most so many times their count are numbered by a table, else by sorting.
_TABLE_SIZE = 4
#: 0.5^(age / HALF_LIFE), 0 for what is older than the table: one table, so that all who decay get the same bits.
_DECAY = np.append(0.5 ** (np.arange(2000) / HALF_LIFE), 0.0)


@dataclass(frozen=True)
class Observations:
    """Labels as observed [n], in the order of (night, arrival): a correction is one of its own.

    ``night``: microseconds since 2000; ``ratio``: log(actual / estimate), NaN where the label was removed;
    ``expected``: the ratio that was expected at the session's first observation.
    """

    session_id: Integers
    student_id: Integers
    topic_id: Integers
    subject_key: Integers
    night: Integers
    ratio: Floats
    expected: Floats

    def __len__(self) -> int:
        return len(self.session_id)

    def keys(self, kind: str) -> tuple[Integers, Integers]:
        """The two parts of each observation's key of a kind."""
        return key_parts(kind, self.student_id, self.topic_id, self.subject_key)


@dataclass(frozen=True)
class Changes:
    """What each observation changes: it enters, differs or leaves. [n] each, in the order of the observations.

    ``first``: the session's first observation ever; ``origin``: where that is among these, -1 where it came before.
    """

    first: Mask
    origin: Integers
    count: Floats
    ratio: Floats

    def residual(self, expected: Floats) -> Floats:
        """The change of the residuals: the expectation of a session never changes."""
        return self.ratio - self.count * expected


def key_parts(kind: str, student_id: Integers, topic_id: Integers, subject_key: Integers) -> tuple[Integers, Integers]:
    """The two parts of the keys of a kind; the second is 0 where one says all."""
    nothing = np.zeros(len(student_id), np.int64)
    return {
        "student": (student_id, nothing),
        "student_subject": (student_id, subject_key),
        "student_topic": (student_id, topic_id),
        "topic": (topic_id, nothing),
    }[kind]


def find_changes(session_id: Integers, ratio: Floats, known: Mask, known_ratio: Floats) -> Changes:
    """Compare each observation with the one before of its session.

    ``known``: sessions first observed before these, with ``known_ratio`` standing (NaN: removed).
    """
    order = np.argsort(session_id, kind="stable")
    begins = np.ones(len(order), bool)
    begins[1:] = session_id[order[1:]] != session_id[order[:-1]]
    before, origin = np.full(len(order), -1), np.empty(len(order), np.int64)
    before[order[1:]] = np.where(begins[1:], -1, order[:-1])
    origin[order] = order[np.flatnonzero(begins)[np.cumsum(begins) - 1]] if len(order) else order
    stored = np.where(known, known_ratio, np.nan)
    previous = np.where(before >= 0, ratio[before], stored) if len(order) else stored
    after, stood = ~np.isnan(ratio), ~np.isnan(previous)
    return Changes(
        first=(before < 0) & ~known,
        origin=np.where(known, -1, origin),
        count=after.astype(np.float64) - stood,
        ratio=np.where(after, ratio, 0.0) - np.where(stood, previous, 0.0),
    )


def number_keys(*keys: tuple[Integers, Integers]) -> tuple[list[Integers], tuple[Integers, Integers]]:
    """Consecutive numbers of two-part keys, the same in every group; and the distinct keys in their order."""
    parts = [np.concatenate(part) for part in zip(*keys, strict=True)]
    (distinct_first, first_codes), (distinct_second, second_codes) = map(_numbered, parts)
    width = max(len(distinct_second), 1)
    first_codes *= width
    first_codes += second_codes
    del parts, second_codes
    combined, codes = _numbered(first_codes)
    ends = np.cumsum([len(part) for part, _ in keys])[:-1]
    return np.split(codes, ends), (distinct_first[combined // width], distinct_second[combined % width])


def _numbered(values: Integers) -> tuple[Integers, Integers]:
    """The distinct values in order, and the number of each value among them; by a table where they lie close."""
    lowest = int(values.min()) if len(values) else 0
    span = int(values.max()) - lowest + 1 if len(values) else 0
    if span > _TABLE_SIZE * len(values):
        distinct, codes = np.unique(values, return_inverse=True)
        return distinct, codes.astype(np.int64, copy=False)
    offset = values - lowest
    present = np.zeros(span, bool)
    present[offset] = True
    numbers = np.cumsum(present, dtype=np.int32) - 1
    return np.flatnonzero(present) + lowest, numbers[offset].astype(np.int64)


@dataclass(frozen=True)
class Timeline:
    """The states of numbered keys: one row [g] for each key and night that changed it, by key, then night.

    ``position`` [n]: of each observation's session in its key.
    """

    code: Integers
    night: Integers
    state: Floats
    position: Integers

    def newest(self) -> tuple[Integers, Integers, Floats]:
        """(code, night, state) after each key's last night."""
        last = np.ones(len(self.code), bool)
        last[:-1] = self.code[1:] != self.code[:-1]
        return self.code[last], self.night[last], self.state[last]

    def before(self, code: Integers, moment: Integers) -> Floats:
        """The state [m, 7] of each key after the newest night before a moment; zeros where there is none."""
        rows, found = newest_before(self.code, self.night, code, moment)
        states = np.zeros((len(code), WIDTH))
        states[found] = self.state[rows[found]]
        return states


def newest_before(code: Integers, night: Integers, wanted_code: Integers, moment: Integers) -> tuple[Integers, Mask]:
    """The last row of each wanted key with night < moment, in rows ordered by (code, night); and where there is one."""
    if len(code) == 0:
        return np.zeros(len(wanted_code), np.int64), np.zeros(len(wanted_code), bool)
    nights = np.unique(night)
    width = len(nights) + 1
    order = code * width + np.searchsorted(nights, night)
    wanted = wanted_code * width + np.searchsorted(nights, moment)
    # In order, so that a search begins where the one before has ended: several times as fast for a million.
    by_key = np.argsort(wanted)
    rows = np.empty(len(wanted), np.int64)
    rows[by_key] = np.searchsorted(order, wanted[by_key]) - 1
    return rows, (rows >= 0) & (code[rows] == wanted_code)


def fold(
    code: Integers, night: Integers, changes: Changes, residual: Floats, *, start: Floats, known_position: Integers
) -> Timeline:
    """Continue the states ``start`` [keys, 7] with changes in the order of their nights.

    ``known_position`` [n]: in the key, of sessions first observed before these. The loop is over the nights of the
    busiest key, each turn over all keys: rows are never walked one by one.
    """
    order = np.argsort(code, kind="stable")
    codes, nights = code[order], night[order]
    key_begins = np.r_[True, codes[1:] != codes[:-1]] if len(codes) else np.zeros(0, bool)
    begins = key_begins.copy()
    begins[1:] |= nights[1:] != nights[:-1]
    group = np.cumsum(begins) - 1
    groups = int(begins.sum())
    opened = start[:, POSITION].astype(np.int64)
    arrived = _running_within(changes.first[order], key_begins) + opened[codes]
    ends = np.append(np.flatnonzero(begins)[1:], len(codes)) - 1
    position = np.empty(len(code), np.int64)
    position[order] = arrived
    position = np.where(
        changes.first, position, np.where(changes.origin >= 0, position[changes.origin], known_position)
    )
    decay = _decay((arrived[ends] if groups else arrived)[group] - position[order])
    group_code, group_night = codes[begins], nights[begins]
    del codes, nights, arrived, ends  # beside a million rows, each is as much as a column of the training data
    added = np.zeros((groups, WIDTH))
    for column, values in (
        (COUNT, changes.count),
        (POSITION, changes.first.astype(np.float64)),
        (SUM_RATIO, changes.ratio),
        (SUM_RESIDUAL, residual),
    ):
        added[:, column] = np.bincount(group, values[order], groups)
    for column, values in ((RECENT_WEIGHT, changes.count), (RECENT_RATIO, changes.ratio), (RECENT_RESIDUAL, residual)):
        added[:, column] = np.bincount(group, values[order] * decay, groups)
    return Timeline(group_code, group_night, _accumulate(group_code, added, start), position)


def _running_within(flags: Mask, key_begins: Mask) -> Integers:
    """The running count of flags [n], from 0 in each key."""
    running = np.cumsum(flags, dtype=np.int64)
    if len(flags) == 0:
        return running
    starts = np.flatnonzero(key_begins)
    base = running[starts] - flags[starts]
    return np.asarray(running - base[np.cumsum(key_begins) - 1], np.int64)


def _decay(age: Integers) -> Floats:
    return _DECAY[np.minimum(age, len(_DECAY) - 1)]


def _accumulate(code: Integers, added: Floats, start: Floats) -> Floats:
    """States after each group [g, 7], in the place of ``added``: the one before, its recent sums decayed, and that."""
    if len(code) == 0:
        return added
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])
    sizes = np.diff(np.append(starts, len(code)))
    busiest_first = np.argsort(-sizes, kind="stable")
    starts, sizes = starts[busiest_first], sizes[busiest_first]
    current = start[code[starts]]
    for turn in range(int(sizes[0])):
        active = int(np.searchsorted(-sizes, -turn))
        rows = starts[:active] + turn
        current = current[:active]
        current[:, RECENT_WEIGHT:] *= _decay(added[rows, POSITION].astype(np.int64))[:, None]
        current += added[rows]
        added[rows] = current
    return added
