"""What counts as moved at its limits, of how few rows, and what rows of few students are worth."""

import numpy as np
import pytest

from studyml.frame import MISSING, UNSEEN, Frame
from studyml.monitoring.drift import FEWEST_ROWS, FeatureDrift, compare
from studyml.monitoring.profile import PREDICTED, build_reference
from tests.monitoring.samples import LEVELS, sample
from tests.monitoring.test_drift import BEFORE, NUMBERS, ROWS, changed, named, reference


def gap(values: np.ndarray) -> float:
    """A missing value of a column."""
    return MISSING if values.dtype.kind == "i" else np.nan


@pytest.mark.parametrize(
    ("reason", "figures", "counts"),
    [
        ("distribution", {"p_value": 0.0099, "psi": 0.1}, True),
        ("distribution", {"p_value": 0.01, "psi": 0.1}, False),
        ("distribution", {"p_value": 0.0099, "psi": 0.0999}, False),
        ("missing", {"missing_p_value": 0.0099, "missing_before": 0.25, "missing_now": 0.3125}, True),
        ("missing", {"missing_p_value": 0.01, "missing_before": 0.25, "missing_now": 0.3125}, False),
        ("missing", {"missing_p_value": 0.0099, "missing_before": 0.25, "missing_now": 0.2969}, False),
        ("missing", {"missing_p_value": 0.0099, "missing_now": 0.05}, True),
        ("unseen", {"unseen_p_value": 0.0099, "unseen_share": 0.05}, True),
        ("unseen", {"unseen_p_value": 0.01, "unseen_share": 0.05}, False),
        ("unseen", {"unseen_p_value": 0.0099, "unseen_share": 0.0499}, False),
    ],
)
def test_what_moved_is_beyond_one_percent_of_chance_and_large(
    reason: str, figures: dict[str, float], counts: bool
) -> None:
    found = FeatureDrift("energy_level", "number", 600, ROWS, judged=True, **figures)

    assert [name for name, holds in found.reasons.items() if holds] == ([reason] if counts else [])


def test_fewer_missing_values_than_in_training_are_no_news() -> None:
    feature = NUMBERS[0]
    before = changed(sample(ROWS, 1), feature, lambda values: np.where(np.arange(ROWS) % 5 == 0, np.nan, values))

    found = named(compare(reference(before), sample(600, 2)), feature)

    assert found.missing_p_value is not None
    assert found.missing_p_value < 0.01
    assert (found.missing_before, found.missing_now, found.moved) == (0.2, 0, False)


@pytest.mark.parametrize("feature", ["energy_level", "study_method"])
def test_the_index_counts_missing_values_as_a_part(feature: str) -> None:
    now = changed(sample(600, 2), feature, lambda values: np.where(np.arange(600) % 10 == 0, gap(values), values))

    # 10 % of the rows against half a row.
    assert named(compare(BEFORE, now), feature).psi == pytest.approx(0.1 * np.log(0.1 * ROWS / 0.5), rel=0.2)


def test_twenty_rows_are_judged() -> None:
    found = compare(BEFORE, sample(FEWEST_ROWS, 2))

    assert all(each.judged for each in found.features if each.feature in NUMBERS)


@pytest.mark.parametrize("feature", ["energy_level", "study_method"])
@pytest.mark.parametrize("known", [FEWEST_ROWS - 1, FEWEST_ROWS])
def test_of_fewer_than_twenty_known_values_only_that_the_others_are_missing_is_judged(feature: str, known: int) -> None:
    def gone(values: np.ndarray) -> np.ndarray:
        values[known:] = gap(values)
        return values

    found = named(compare(BEFORE, changed(sample(600, 2), feature, gone)), feature)

    assert (found.statistic is None, found.p_value is None) == (known < FEWEST_ROWS, known < FEWEST_ROWS)
    assert found.reasons["missing"]


def test_what_is_not_judged_comes_last() -> None:
    frame = sample(600, 2, own=False, students=FEWEST_ROWS - 1)

    judged = [each.judged for each in compare(reference(frame), frame).features]

    assert 0 < sum(judged) < len(judged)
    assert judged == sorted(judged, reverse=True)


def strange(frame: Frame, code: int, levels: tuple[str, ...] = LEVELS) -> Frame:
    """Every eighth session with another study method."""
    frame = changed(frame, "study_method", lambda codes: np.where(np.arange(len(codes)) % 8 == 0, code, codes))
    return Frame(frame.columns, {**frame.vocabularies, "study_method": levels})


def test_what_the_vocabulary_does_not_hold_was_never_seen_in_training() -> None:
    found = named(compare(BEFORE, strange(sample(600, 2), UNSEEN)), "study_method")

    assert (found.unseen, found.unseen_share, found.moved) == ({}, 0.125, True)
    assert found.sentence == "study_method: values never seen in training in 12 % of sessions"


@pytest.mark.parametrize(("code", "levels"), [(4, (*LEVELS, "flashcards")), (UNSEEN, LEVELS)])
def test_where_training_held_unlisted_values_nobody_knows_which_are_new(code: int, levels: tuple[str, ...]) -> None:
    before = reference(strange(sample(ROWS, 1), UNSEEN))

    found = named(compare(before, strange(sample(600, 2), code, levels)), "study_method")

    assert (found.unseen, found.unseen_share, found.unseen_p_value) == ({}, 0, None)


def test_of_many_new_levels_the_five_most_frequent_are_kept_the_most_first() -> None:
    counts = {"a1": 10, "a2": 60, "a3": 20, "a4": 50, "a5": 30, "a6": 40}
    codes = np.repeat(np.arange(4, 10), list(counts.values())).astype(np.int32)
    now = sample(600, 2)
    now = Frame({**now.columns, "study_method": np.concatenate([codes, now["study_method"][len(codes) :]])},
                {**now.vocabularies, "study_method": (*LEVELS, *counts)})  # fmt: skip

    found = named(compare(BEFORE, now), "study_method")

    assert found.unseen is not None
    assert list(found.unseen.items()) == [(name, counts[name] / 600) for name in ("a2", "a4", "a6", "a5", "a3")]
    assert found.unseen_share == sum(counts.values()) / 600


class TestFewStudentsEachAlikeInAllTheyDo:
    """A hundred students, of whom each fills in a session always in the same way."""

    @staticmethod
    def habits(rows: int, seed: int, students: int = 100) -> Frame:
        frame = sample(rows, seed, own=False, students=students)
        random, student = np.random.default_rng(9), frame["student_id"]
        level = random.integers(1, 6, students)[student].astype(np.float64)
        blank = (random.random(students) < 0.1)[student]
        # What those say who do not leave it blank has nothing to do with who they are.
        said = np.where(blank, np.nan, frame["distraction_level"])
        return frame.with_columns(energy_level=level, distraction_level=said)

    @pytest.mark.parametrize(("feature", "value"), [("energy_level", 5.0), ("distraction_level", np.nan)])
    def test_one_of_them_who_studies_a_lot_this_week_moves_nothing(self, feature: str, value: float) -> None:
        half = np.arange(300) < 150
        now = self.habits(3_000, 2).take(np.arange(300))
        now = now.with_columns(
            student_id=np.where(half, 7, now["student_id"]), **{feature: np.where(half, value, now[feature])}
        )
        before = reference(self.habits(3_000, 1))

        found = named(compare(before, now), feature)

        assert found.psi > 0.1
        assert not found.moved

    @pytest.mark.parametrize(("feature", "value"), [("energy_level", 5.0), ("distraction_level", np.nan)])
    def test_where_all_of_them_return_as_often_as_before_what_they_do_otherwise_is_found(
        self, feature: str, value: float
    ) -> None:
        now = self.habits(300, 2, students=10)
        now = now.with_columns(**{feature: np.where(np.arange(300) % 3 == 0, value, now[feature])})

        assert named(compare(reference(self.habits(3_000, 1, students=10)), now), feature).moved

    def test_whose_sessions_alone_have_a_prediction_counts_for_what_they_are_worth(self) -> None:
        def longer(frame: Frame) -> np.ndarray:
            return frame["energy_level"].astype(np.float64)

        before, now = self.habits(3_000, 1), self.habits(3_000, 2).take(np.arange(300))
        now = now.with_columns(student_id=np.where(np.arange(300) < 150, now["student_id"], 7))
        predicted = np.where(np.arange(300) < 150, np.nan, 5.0)

        found = named(
            compare(build_reference(before, predicted=longer(before), actual=longer(before)), now, predicted), PREDICTED
        )

        assert found.psi > 0.1
        assert not found.moved
