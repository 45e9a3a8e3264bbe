"""Histories: what a row may know of earlier outcomes, measured by definition, night by night and from scratch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.features.history import (
    DAY,
    HISTORY_FEATURES,
    KINDS,
    SEQUENCE_FEATURES,
    first_night,
    history_from_log,
    subject_key,
    subject_keys,
    with_history,
)
from studyml.features.history_advance import Advanced, Standing, advance
from studyml.features.history_expectation import INPUTS, Expectation, log_inputs, log_ratio
from studyml.features.history_states import WIDTH, Integers, Observations
from studyml.frame import MISSING, UNSEEN, Frame
from tests.features.reference_history import Seen, history

ALL = (*HISTORY_FEATURES, *SEQUENCE_FEATURES)
HOUR = DAY // 24


def make(session: int, night: int, hours: float | None = 2.0) -> Seen:
    """A label of one of many sessions, each of its own student, topic and inputs; some inputs are missing."""
    return Seen(
        session=session,
        student=session % 3,
        topic=session % 4,
        subject=session % 2,
        night=night,
        hours=hours,
        estimate=(math.nan, 2.0, 0.5)[session % 3],
        focus=(60.0, 25.0, math.nan, 90.0)[session % 4],
        difficulty=(5.0, 8.0)[session % 2],
    )


@st.composite
def ledgers(draw: st.DrawFn) -> list[Seen]:
    """Labels, corrections and removals in the order of their nights; the same night may see a session twice."""
    nights = sorted(draw(st.lists(st.integers(1, 12), min_size=1, max_size=25)))
    hours = st.one_of(st.none(), st.floats(0.05, 24))
    found: list[Seen] = []
    for night in nights:
        session = draw(st.integers(0, 12))
        known = session in {each.session for each in found}
        found.append(make(session, night, draw(hours if known else st.floats(0.05, 24))))
    return found


def columns(seen: Sequence[Seen]) -> tuple[Observations, np.ndarray]:
    """The observations, nothing expected of them yet, and their inputs."""
    raw = {
        "estimated_base_time": np.array([each.estimate for each in seen], float),
        "avg_focus_duration": np.array([each.focus for each in seen], float),
        "difficulty_level": np.array([each.difficulty for each in seen], float),
    }
    inputs = log_inputs(raw)
    hours = np.array([math.nan if each.hours is None else each.hours for each in seen], float)
    parts = {
        name: np.array([getattr(each, short) for each in seen], np.int64)
        for name, short in (
            ("session_id", "session"),
            ("student_id", "student"),
            ("topic_id", "topic"),
            ("subject_key", "subject"),
            ("night", "night"),
        )
    }
    return Observations(**parts, ratio=log_ratio(hours, inputs), expected=np.zeros(len(seen))), inputs


@dataclass
class Store:
    """What a database keeps between two nights, in memory."""

    states: dict[tuple[str, int, int], np.ndarray] = field(default_factory=dict)
    sessions: dict[int, tuple[float, float, np.ndarray]] = field(default_factory=dict)
    sums: list[tuple[int, Expectation]] = field(default_factory=list)

    def read(self, kind: str, first: Integers, second: Integers) -> np.ndarray:
        keys = zip(first.tolist(), second.tolist(), strict=True)
        return np.array([self.states.get((kind, *key), np.zeros(WIDTH)) for key in keys]).reshape(-1, WIDTH)

    def add(self, seen: Sequence[Seen]) -> Advanced:
        """Advance by some observations and keep what came of it."""
        observations, inputs = columns(seen)
        nothing = (math.nan, 0.0, np.zeros(len(KINDS), np.int64))
        before = [self.sessions.get(each.session, nothing) for each in seen]
        standing = Standing(
            np.array([each.session in self.sessions for each in seen]),
            np.array([each[0] for each in before]),
            np.array([each[1] for each in before]),
            np.array([each[2] for each in before]),
        )
        same_night = None
        if self.sums:
            same_night = (self.sums[-1][0], self.sums[-2][1] if len(self.sums) > 1 else Expectation.empty())
        start = self.sums[-1][1] if self.sums else Expectation.empty()
        advanced = advance(observations, inputs, standing, self.read, start=start, same_night=same_night)
        for kind, states in advanced.states.items():
            keys = zip(states.first.tolist(), states.second.tolist(), strict=True)
            self.states |= {(kind, *key): state for key, state in zip(keys, states.state, strict=True)}
        found = advanced.observations
        for row, each in enumerate(seen):
            self.sessions[each.session] = (found.ratio[row], found.expected[row], advanced.position[row])
        self.sums = [each for each in self.sums if each[0] != advanced.expectations[0][0]] + advanced.expectations
        return advanced


def frame(rows: Sequence[tuple[int, int, int]], ids: Sequence[int] | None = None) -> Frame:
    """Rows with (student, topic, subject)."""
    table = np.array(rows, np.int64).reshape(-1, 3)
    numbers = np.arange(len(rows)) + 1000 if ids is None else np.array(ids)
    return Frame({"id": numbers, "student_id": table[:, 0], "topic_id": table[:, 1], "subject_key": table[:, 2]}, {})


EVERY_KEY = [(student, topic, topic % 2) for student in range(4) for topic in range(4)]


def looked_up(seen: Sequence[Seen], before: int) -> dict[str, np.ndarray]:
    """The features of every key at a moment, folded from scratch."""
    observations = Store().add(seen).observations
    moments = np.full(len(EVERY_KEY), before)
    found = with_history(frame(EVERY_KEY), observations, before=moments, sequences=True)
    return {name: found[name] for name in ALL}


@given(ledgers(), st.integers(0, 14))
def test_features_are_what_their_definition_says(seen: list[Seen], before: int) -> None:
    found = looked_up(seen, before)

    for row, (student, topic, subject) in enumerate(EVERY_KEY):
        expected = history(seen, student, topic, subject, before)
        assert {name: values[row] for name, values in found.items()} == pytest.approx(
            expected, rel=1e-5, abs=1e-6, nan_ok=True
        )


def test_a_small_example_by_hand() -> None:
    """Two sessions of one student and topic, estimated at 2 h: 4 h and, a night later, 1 h."""
    one = Seen(1, 7, 3, 0, night=10, hours=4.0, estimate=2.0, focus=60.0, difficulty=5.0)
    two = replace(one, session=2, night=20, hours=1.0)
    observations = Store().add([one, two]).observations

    found = with_history(frame([(7, 3, 0)]), observations, before=np.array([21]), sequences=True)

    # The design is (1, log 2, 0, ...): after the first, w z = log 2 z.z / (3 + z.z), and nothing was expected before.
    square = 1 + math.log(2) ** 2
    expectation = math.log(2) * square / (3 + square)
    residuals = math.log(2), -math.log(2) - expectation
    decay = 0.5**0.1
    assert found["student_history_count"][0] == pytest.approx(math.log(3))
    assert found["student_history_ratio"][0] == pytest.approx(0)
    assert found["student_history_residual"][0] == pytest.approx(sum(residuals) / 5, rel=1e-6)
    assert found["topic_recent_residual"][0] == pytest.approx(
        (residuals[0] * decay + residuals[1]) / (1 + decay), rel=1e-6
    )
    assert [found[f"previous_{step}_ratio"][0] for step in (1, 2)] == pytest.approx([-math.log(2), math.log(2)])
    assert np.isnan(found["previous_3_ratio"][0])


@given(ledgers(), st.data())
def test_what_was_observed_after_a_rows_night_changes_nothing_for_it(seen: list[Seen], data: st.DataObject) -> None:
    before = data.draw(st.integers(1, 13))
    past = [each for each in seen if each.night < before]
    later = [each for each in seen if each.night >= before]
    scrambled = past + [
        replace(each, hours=data.draw(st.floats(0.05, 24)), student=data.draw(st.integers(0, 3)))
        if each.session not in {one.session for one in past}
        else replace(each, hours=data.draw(st.one_of(st.none(), st.floats(0.05, 24))))
        for each in later
    ]
    if not past:
        return

    expected, found = looked_up(past, before), looked_up(scrambled, before)

    assert all(np.array_equal(found[name], expected[name], equal_nan=True) for name in ALL)


@given(ledgers(), st.data())
def test_night_by_night_is_the_same_as_from_scratch(seen: list[Seen], data: st.DataObject) -> None:
    whole, stepwise = Store(), Store()
    observations = whole.add(seen).observations
    cuts = sorted(data.draw(st.sets(st.integers(1, len(seen)), max_size=6)) | {len(seen)})
    expected = []
    for begin, end in zip([0, *cuts], cuts, strict=False):
        if begin < end:
            expected.append(stepwise.add(seen[begin:end]).observations.expected)

    assert stepwise.states.keys() == whole.states.keys()
    for key, state in whole.states.items():
        assert stepwise.states[key] == pytest.approx(state, rel=1e-9, abs=1e-9)
    assert np.concatenate(expected) == pytest.approx(observations.expected, rel=1e-9, abs=1e-9)


@given(ledgers())
def test_a_night_at_a_time_gives_the_same_bits_as_all_at_once(seen: list[Seen]) -> None:
    whole, stepwise = Store(), Store()
    whole.add(seen)
    for night in sorted({each.night for each in seen}):
        stepwise.add([each for each in seen if each.night == night])

    assert all(np.array_equal(stepwise.states[key], state) for key, state in whole.states.items())


def test_a_corrected_label_enters_as_if_it_had_been_right_at_once() -> None:
    others = [make(3, 1), make(6, 1, 5.0)]
    corrected = [make(0, 1, 9.0), *others, make(0, 4, 3.0)]
    right = [make(0, 1, 3.0), *others]

    found, expected = looked_up(corrected, 9), looked_up(right, 9)

    for name in HISTORY_FEATURES:
        assert found[name] == pytest.approx(expected[name], abs=1e-6)


def test_when_every_label_is_taken_back_nothing_is_left() -> None:
    seen = [make(session, 1 + session) for session in range(12)]
    seen += [replace(each, night=40 + each.session, hours=None) for each in seen]

    found = looked_up(seen, 99)

    assert all((found[name] == 0).all() for name in HISTORY_FEATURES)


def test_a_row_never_sees_its_own_label_whatever_its_date_became() -> None:
    observations = Store().add([make(4, 3), make(1, 5)]).observations

    found = with_history(
        frame([(1, 1, 1), (1, 1, 1)], ids=[1, 77]), observations, before=np.array([100, 100]), sequences=True
    )

    assert found["student_history_count"].tolist() == pytest.approx([math.log(2), math.log(3)])


def log(rows: int, seed: int = 0) -> tuple[Frame, np.ndarray]:
    """A log of sessions at random times and when each label became known."""
    random = np.random.default_rng(seed)
    dates = np.sort(random.integers(0, 60 * DAY, rows))
    hours = random.lognormal(0.5, 0.5, rows)
    found = {
        "id": np.arange(rows) + 1,
        "student_id": random.integers(1, 5, rows),
        "topic_id": random.integers(1, 6, rows),
        "subject": random.integers(-1, 2, rows).astype(np.int32),
        "session_date": dates,
        "actual_duration": hours,
        **{name: np.where(random.random(rows) < 0.2, np.nan, random.uniform(1, 5, rows)) for name in INPUTS},
    }
    return Frame(found, {"subject": ("Mathematics", "Physics")}), dates + (hours * HOUR).astype(np.int64)


def test_a_log_is_lived_in_nights_at_midnight() -> None:
    whole, known = log(200)

    found = history_from_log(whole, known)

    nights = -(-known // DAY) * DAY
    order = np.lexsort((whole["id"], whole["session_date"], nights))
    keys = subject_keys(whole)
    seen = [
        Seen(
            session=row,
            student=int(whole["student_id"][row]),
            topic=int(whole["topic_id"][row]),
            subject=int(keys[row]),
            night=int(nights[row]),
            hours=float(whole["actual_duration"][row]),
            estimate=float(whole["estimated_base_time"][row]),
            focus=float(whole["avg_focus_duration"][row]),
            difficulty=float(whole["difficulty_level"][row]),
        )
        for row in order
    ]
    for row in (0, 1, 57, 120, 199):
        expected = history(seen, seen_key(whole, row)[0], seen_key(whole, row)[1], int(keys[row]), dates(whole)[row])
        assert {name: found[name][row] for name in ALL} == pytest.approx(expected, rel=1e-5, abs=1e-6, nan_ok=True)


def seen_key(whole: Frame, row: int) -> tuple[int, int]:
    return int(whole["student_id"][row]), int(whole["topic_id"][row])


def dates(whole: Frame) -> list[int]:
    return [int(each) for each in whole["session_date"].astype(np.int64)]


@given(st.integers(0, 2**32 - 1), st.integers(1, 59))
def test_scrambling_the_labels_of_a_log_from_a_day_on_changes_no_row_before(seed: int, day: int) -> None:
    whole, known = log(80, seed=seed % 5)
    late = known > day * DAY
    hours = np.where(late, np.random.default_rng(seed).lognormal(0, 2, len(known)), whole["actual_duration"])

    before = history_from_log(whole, known)
    after = history_from_log(whole.with_columns(actual_duration=hours), known)

    rows = whole["session_date"].astype(np.int64) <= (day + 1) * DAY
    for name in ALL:
        assert np.array_equal(before[name][rows], after[name][rows], equal_nan=True)


def test_the_order_of_a_logs_rows_and_labels_to_come_change_nothing() -> None:
    whole, known = log(150)
    order = np.random.default_rng(1).permutation(150)
    planned = whole.take(order).with_columns(
        actual_duration=np.where(known > 50 * DAY, np.nan, whole["actual_duration"])[order]
    )

    found, expected = history_from_log(planned, known[order]), history_from_log(whole, known)

    rows = whole["session_date"].astype(np.int64)[order] < 50 * DAY
    assert rows.sum() > 100
    for name in ALL:
        assert np.array_equal(found[name][rows], expected[name][order][rows], equal_nan=True)


def test_a_log_of_nobody_and_of_labels_unknown_has_no_history() -> None:
    whole, known = log(5)
    empty = history_from_log(whole.take(np.zeros(5, bool)), known[:0])
    unknown = history_from_log(whole.with_columns(actual_duration=np.full(5, np.nan)), known)

    assert all(len(empty[name]) == 0 for name in ALL)
    assert all((unknown[name] == 0).all() for name in HISTORY_FEATURES)
    assert all(np.isnan(unknown[name]).all() for name in SEQUENCE_FEATURES)


@pytest.mark.parametrize("value", [0.0, -3.0, math.inf, math.nan])
def test_an_impossible_input_is_a_missing_one(value: float) -> None:
    found = log_inputs({name: np.array([value]) for name in INPUTS})

    assert np.isnan(found).all()


def test_an_absurd_input_is_limited() -> None:
    found = log_inputs({name: np.array([1e300, 1e-300]) for name in INPUTS})

    assert found.tolist() == [[7.0] * 3, [-7.0] * 3]


def test_a_key_of_a_subject_needs_no_vocabulary() -> None:
    subjects = Frame({"subject": np.array([1, 0, MISSING, UNSEEN], np.int32)}, {"subject": ("Physics", "Mathematics")})

    assert subject_keys(subjects).tolist() == [subject_key("Mathematics"), subject_key("Physics"), 0, 0]
    assert len({subject_key(name) for name in ("Physics", "physics", "Mathematics", "")}) == 4


def test_a_label_counts_from_the_first_night_at_or_after_it_became_known() -> None:
    moments = np.array([0, 1, DAY, DAY + 1]) + 5

    assert first_night(moments, anchor=5).tolist() == [5, DAY + 5, DAY + 5, 2 * DAY + 5]
    assert first_night(moments, anchor=5 + 40 * DAY).tolist() == first_night(moments, anchor=5).tolist()
