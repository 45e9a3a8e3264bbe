"""Errors by slice: every session is in one slice of each cut, and a weak slice is told from chance."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from studyml.evaluation.gates import Holdout
from studyml.evaluation.slices import MAXIMUM_LEVELS, dimensions, slice_errors, verdict
from studyml.evaluation.spread import resampling
from studyml.frame import MISSING, UNSEEN, Frame

DAY = 24 * 3600 * 1_000_000


def holdout(actual: np.ndarray, network: np.ndarray, median: float = 3.0) -> Holdout:
    ids = np.arange(len(actual))
    others = {"median": np.full(len(actual), median), "estimate": np.full(len(actual), 100.0)}
    return Holdout(ids, ids % 20, ids * DAY, actual, {"network": network, **others})


def features(subjects: np.ndarray, levels: tuple[str, ...]) -> Frame:
    return Frame({"subject": subjects.astype(np.int32)}, {"subject": levels})


def cut(judged: Holdout, frame: Frame | None) -> dict[str, list[dict[str, object]]]:
    cuts, _ = dimensions(judged.actual, judged.predicted["network"], frame)
    drawn = resampling(judged.student_id, judged.session_date, seed=1)
    return {each["dimension"]: each["slices"] for each in slice_errors(judged, "network", cuts, drawn)}


@given(
    st.lists(
        st.tuples(st.floats(0.1, 24), st.floats(0.1, 24), st.integers(UNSEEN, 19), st.floats(0, 5)),
        min_size=1,
        max_size=150,
    )
)
@example([(8.6875, 1.0, 0, 0.0), (8.69140625, 1.0, 0, 0.0)])  # both read 8.69 h: one slice
def test_every_session_is_in_exactly_one_slice_of_each_cut(rows: list[tuple[float, float, int, float]]) -> None:
    actual, network, subject, count = (np.array(values) for values in zip(*rows, strict=True))
    frame = features(subject, tuple(f"subject {number}" for number in range(20)))
    frame = frame.with_columns(student_history_count=count)

    found = cut(holdout(actual, network), frame)

    assert set(found) == {"predicted_length", "actual_length", "subject", "student"}
    for slices in found.values():
        assert sum(each["rows"] for each in slices) == len(rows)  # type: ignore[misc]
        total = sum(each["rows"] * each["mae"] for each in slices)  # type: ignore[operator,misc]
        assert total == pytest.approx(np.abs(actual - network).sum())
        assert len({each["label"] for each in slices}) == len(slices)
    assert len(found["subject"]) <= MAXIMUM_LEVELS


def test_a_slice_is_held_against_the_better_naive_predictor_there_and_says_which_way_it_errs() -> None:
    actual = np.array([2.0, 4.0] * 50)
    judged = holdout(actual, np.where(actual == 4, 3.0, 2.5))
    frame = features(np.arange(100) % 2, ("short", "long"))

    short, long = cut(judged, frame)["subject"]

    assert (short["label"], short["rows"], short["mae"], short["median_residual"]) == ("short", 50, 0.5, -0.5)
    assert (long["label"], long["mae"], long["median_residual"]) == ("long", 1.0, 1.0)
    assert (short["naive"], short["naive_mae"], short["ratio"]) == ("median", 1.0, 0.5)
    assert short["verdict"] == "better than naive"


def test_a_planted_weakness_is_found_and_only_there() -> None:
    random = np.random.default_rng(0)
    subject = random.integers(0, 4, 400)
    actual = random.uniform(1, 6, 400)
    error = random.normal(0, np.where(subject == 2, 5.0, 0.3))
    judged = holdout(actual, actual + error, median=3.5)

    found = {
        each["label"]: each["verdict"] for each in cut(judged, features(subject, ("a", "b", "weak", "d")))["subject"]
    }

    assert found.pop("weak") == "worse than naive"
    assert set(found.values()) == {"better than naive"}


def test_missing_and_unknown_levels_are_slices_of_their_own_and_small_ones_are_marked() -> None:
    subject = np.array([0] * 40 + [MISSING] * 12 + [UNSEEN] * 3)

    found = {
        each["label"]: each
        for each in cut(holdout(np.full(55, 2.0), np.full(55, 2.5)), features(subject, ("x",)))["subject"]
    }

    assert {name: each["rows"] for name, each in found.items()} == {
        "x": 40,
        "(missing)": 12,
        "(not in the vocabulary)": 3,
    }
    assert [name for name, each in found.items() if each["too_small"]] == ["(not in the vocabulary)"]
    assert found["(not in the vocabulary)"]["verdict"] == "too few rows to judge"


def test_rare_levels_share_a_slice() -> None:
    subject = np.concatenate([np.arange(30), np.zeros(50), np.ones(40)])

    found = cut(holdout(np.full(120, 2.0), np.full(120, 2.5)), features(subject, tuple(f"s{n}" for n in range(30))))

    labels = [each["label"] for each in found["subject"]]
    assert labels[:2] == ["s0", "s1"]
    assert labels[-1] == f"({30 - MAXIMUM_LEVELS + 1} other levels)"


def test_new_students_are_those_without_an_outcome_before() -> None:
    frame = Frame({"student_history_count": np.log1p(np.array([0.0] * 30 + [1.0] * 30))}, {})

    found = {each["label"]: each["rows"] for each in cut(holdout(np.full(60, 2.0), np.full(60, 2.5)), frame)["student"]}

    assert found == {"returning student": 30, "new student": 30}


def test_what_the_rows_do_not_hold_is_said() -> None:
    cuts, absent = dimensions(np.ones(30), np.ones(30), None)

    assert [each.name for each in cuts] == ["predicted_length", "actual_length"]
    assert any("subject" in sentence for sentence in absent)
    assert len(absent) == 5


def test_a_prediction_that_never_changes_is_one_length() -> None:
    cuts, _ = dimensions(np.linspace(1, 5, 200), np.full(200, 3.0), None)

    assert cuts[0].levels == ("3.00 to 3.00 h",)
    assert len(cuts[1].levels) == 5


@pytest.mark.parametrize(
    ("rows", "lower", "upper", "words"),
    [
        (9, 0.1, 0.2, "too few rows to judge"),
        (50, 0.8, 0.99, "better than naive"),
        (50, 1.01, 1.2, "worse than naive"),
        (50, 0.9, 1.1, "may be chance"),
        (50, None, None, "fewer than 5 students or weeks: chance cannot be told"),
    ],
)
def test_the_verdict_follows_the_interval(rows: int, lower: float | None, upper: float | None, words: str) -> None:
    assert verdict(rows, lower, upper) == words
