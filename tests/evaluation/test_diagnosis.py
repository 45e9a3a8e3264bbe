"""Bad data is recognised and named with figures; good data is not. Trainings are in test_learning_curves.py."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.evaluation.diagnosis import Evidence, diagnose, outlying
from studyml.evaluation.finding import Finding

#: Curves of a training that went well, for what only the rows say.
FINE: dict[str, Any] = {
    "members": [
        {"member": "fold 1", "loss": [9.0, 4.0, 2.2, *[2.0] * 20], "val_loss": [9.0, 4.5, 2.4, *[2.2] * 20]},
    ]
}


def evidence(seed: int = 1, *, rows: int = 600, students: int = 30, inputs: int = 12) -> Evidence:
    """A healthy log: lognormal durations around estimates, students who differ, standardised inputs."""
    random = np.random.default_rng(seed)
    student = random.integers(0, students, rows)
    estimate = random.uniform(2, 5, rows)
    expected = estimate * np.exp(random.normal(0, 0.3, students)[student])
    actual = expected * np.exp(random.normal(0, 0.25, rows))
    newest = np.arange(rows) >= rows * 4 // 5
    matrix = random.normal(0, 1, ((~newest).sum(), inputs))
    naive = {"median": np.full(rows, np.median(actual)), "estimate": estimate}
    names = [f"input {number}" for number in range(inputs)]
    return Evidence(
        actual, expected, naive, estimate, student, newest, (matrix - matrix.mean(0)) / matrix.std(0), names
    )


def found(kind: str, given: Evidence) -> Finding | None:
    return next((each for each in diagnose(FINE, given) if each.kind == kind), None)


@pytest.mark.parametrize("seed", range(20))
def test_good_data_gives_no_warning(seed: int) -> None:
    assert [each for each in diagnose(FINE, evidence(seed)) if each.severity == "warning"] == []


class TestTooFewRows:
    def test_under_a_hundred_rows_augmentation_is_offered(self) -> None:
        few = found("too_few_rows", evidence(rows=100))

        assert few is not None
        assert few.severity == "warning"
        assert few.sentence == ("80 training rows (6.7 for each of 12 inputs) are few: the guide asks for 100.")
        assert few.remedies[0] == (
            "synthetic rows beside the real ones: STUDYML_HYPERPARAMETERS='{\"augmentation\": 1.0}'"
        )

    def test_a_hundred_rows_are_enough(self) -> None:
        assert found("too_few_rows", evidence(rows=125)) is None

    def test_few_rows_for_each_input_are_reported(self) -> None:
        few = found("too_few_rows", evidence(rows=150, inputs=60))

        assert few is not None
        assert few.severity == "information"
        assert "2.0 for each of 60 inputs" in few.sentence


class TestUnscaledFeatures:
    def test_a_raw_column_among_standardised_ones_is_named_with_its_figures(self) -> None:
        whole = evidence()
        matrix = whole.inputs.copy()
        matrix[:, 3] = np.random.default_rng(0).integers(30, 121, len(matrix))  # minutes of focus, as they are
        raw = found("unscaled_features", replace(whole, inputs=matrix))

        assert raw is not None
        assert raw.severity == "warning"
        assert raw.sentence.startswith("1 of 12 inputs reach the network unscaled, the widest ")
        assert f"input 3 (mean {matrix[:, 3].mean():.3g}, deviation {matrix[:, 3].std():.3g})" in raw.sentence
        assert "StandardScaler" in raw.remedies[0]

    @pytest.mark.parametrize(("shift", "scale"), [(0.0, 100.0), (50.0, 1.0), (0.0, 0.001)])
    def test_orders_of_magnitude_apart_are_noticed_either_way(self, shift: float, scale: float) -> None:
        whole = evidence()
        matrix = whole.inputs.copy()
        matrix[:, 0] = matrix[:, 0] * scale + shift

        assert found("unscaled_features", replace(whole, inputs=matrix)) is not None

    def test_a_rare_level_standardised_and_clipped_is_no_fault(self) -> None:
        whole = evidence(rows=6000)
        level = (np.arange(len(whole.inputs)) < 10).astype(float)
        level = np.clip((level - level.mean()) / level.std(), -5, 5)
        matrix = np.column_stack([whole.inputs, level])

        assert found("unscaled_features", replace(whole, inputs=matrix, names=[*whole.names, "rare"])) is None

    def test_a_place_of_a_sequence_that_nobody_has_filled_yet_is_no_fault(self) -> None:
        whole = evidence()
        matrix = np.column_stack([whole.inputs, np.zeros(len(whole.inputs))])

        assert found("unscaled_features", replace(whole, inputs=matrix, names=[*whole.names, "previous_10"])) is None


class TestConstantFeatures:
    def test_they_are_named(self) -> None:
        given = replace(evidence(), constant={"age": "empty or constant in training"})
        constant = found("constant_features", given)

        assert constant is not None
        assert constant.sentence == (
            "1 features say nothing in the training rows and were dropped: age (empty or constant in training)."
        )

    def test_many_are_counted(self) -> None:
        given = replace(evidence(), constant={f"feature {number}": "empty" for number in range(9)})
        constant = found("constant_features", given)

        assert constant is not None
        assert constant.sentence.endswith("feature 5 (empty) and 3 more.")

    def test_none_are_no_finding(self) -> None:
        assert found("constant_features", evidence()) is None


class TestOutliers:
    def test_the_rule_is_the_guides(self) -> None:
        values = np.array([1.0, 2.0, 3.0, 4.0, 100.0])  # quartiles 2 and 4: beyond 7 or below -1

        assert outlying(values, 1.5).tolist() == [False, False, False, False, True]

    @given(st.lists(st.floats(0.1, 24), min_size=4, max_size=50), st.floats(0.5, 2))
    def test_the_rule_does_not_depend_on_the_unit(self, hours: list[float], factor: float) -> None:
        values = np.array(hours)
        minutes = values * 64 * factor if factor == 1 else values * 64  # a power of two: exact

        assert (outlying(minutes, 1.5) == outlying(values, 1.5)).all()

    def test_timers_that_ran_on_are_a_warning_with_counts_on_both_scales(self) -> None:
        whole = evidence()
        actual = whole.actual.copy()
        actual[::20] = 23.9  # one in twenty
        out = found("outliers", replace(whole, actual=actual, estimate=actual))

        assert out is not None
        assert out.severity == "warning"
        hours, logs = outlying(actual, 1.5), outlying(np.log(actual), 1.5)
        assert f"among 600 durations: {hours.sum()} ({hours.mean():.1%}) on the scale of hours" in out.sentence
        assert f"{logs.sum()} ({logs.mean():.1%}) on that of their logarithm" in out.sentence
        assert out.remedies[1].endswith('STUDYML_HYPERPARAMETERS=\'{"outliers": "remove"}\'')

    def test_timers_are_seen_beside_their_estimates_where_long_sessions_are_usual(self) -> None:
        random = np.random.default_rng(1)
        estimate = np.exp(random.normal(1, 0.8, 600))
        actual = estimate * np.exp(random.normal(0, 0.2, 600))
        actual[::20] *= 4
        given = replace(evidence(), actual=actual, estimate=estimate)
        out = found("outliers", given)

        assert out is not None
        assert out.severity == "warning"
        assert re.search(r"3\d \([56]\.\d%\) on that of hours over estimate beside the student's usual", out.sentence)
        without = found("outliers", replace(given, estimate=np.full(600, np.nan)))
        assert without is not None
        assert without.severity == "information"

    def test_a_student_who_takes_ten_times_as_long_as_others_is_no_outlier(self) -> None:
        whole = evidence()
        actual = np.where(whole.groups == 3, whole.actual * 10, whole.actual)
        out = found("outliers", replace(whole, actual=actual))

        assert out is not None
        assert re.search(r"[0-9] \([01]\.\d%\) on that of hours over estimate beside", out.sentence)

    def test_a_long_tail_in_hours_alone_is_only_information(self) -> None:
        out = found("outliers", evidence())

        assert out is not None
        assert out.severity == "information"

    def test_even_durations_have_none(self) -> None:
        hours = np.random.default_rng(1).uniform(2, 4, 600)

        assert found("outliers", replace(evidence(), actual=hours, estimate=np.full(600, 3.0))) is None


class TestTargetShift:
    def shifted(self, factor: float, rows: int = 600) -> Evidence:
        whole = evidence(rows=rows)
        return replace(whole, actual=np.where(whole.newest, whole.actual * factor, whole.actual))

    def test_newest_sessions_that_take_longer_than_their_estimates_say(self) -> None:
        shift = found("target_shift", self.shifted(1.5))

        assert shift is not None
        assert shift.severity == "warning"
        assert shift.sentence.startswith("The newest 120 sessions take 1.")
        assert "times the estimate in the middle, the 480 before them" in shift.sentence
        assert "STUDYML_RECIPE=history" in shift.remedies[1]

    def test_so_do_shorter_ones(self) -> None:
        assert found("target_shift", self.shifted(1 / 1.5)) is not None

    def test_without_estimates_hours_are_compared(self) -> None:
        whole = self.shifted(1.7)
        shift = found("target_shift", replace(whole, estimate=np.full(600, np.nan)))

        assert shift is not None
        assert " hours in the middle" in shift.sentence

    def test_longer_sessions_on_longer_topics_are_no_shift(self) -> None:
        whole = self.shifted(1.5)
        estimate = np.where(whole.newest, whole.estimate * 1.5, whole.estimate)

        assert found("target_shift", replace(whole, estimate=estimate)) is None

    def test_many_rows_do_not_ring_on_a_shift_of_three_percent(self) -> None:
        assert found("target_shift", self.shifted(1.03, rows=100_000)) is None


class TestErrorsOutOfFold:
    def test_a_network_that_is_no_better_than_the_estimate_underfits(self) -> None:
        whole = evidence()
        under = found("underfitting", replace(whole, predicted=whole.estimate * 1.02))

        assert under is not None
        ours = np.abs(whole.actual - whole.estimate * 1.02).mean()
        assert f"the network is off by {ours:.2f} h, the estimate by" in under.sentence
        assert "more neurons: STUDYML_HYPERPARAMETERS='{\"neurons\": 256}'" in under.remedies

    def test_a_network_far_behind_the_median_did_not_converge(self) -> None:
        whole = evidence()
        astray = diagnose(FINE, replace(whole, predicted=np.full(600, 24.0)))

        assert astray[0].kind == "poor_convergence"
        assert "24" not in astray[0].kind
        assert "where saying the median every time has" in astray[0].sentence

    def test_rows_without_a_prediction_are_not_judged(self) -> None:
        whole = evidence()
        predicted = np.where(whole.newest, np.nan, whole.predicted)

        assert found("underfitting", replace(whole, predicted=predicted)) is None


def test_warnings_come_first() -> None:
    given = replace(evidence(), constant={"age": "empty"})

    assert [each.severity for each in diagnose(FINE, given)] == ["warning", "information"]


def test_a_finding_is_json() -> None:
    assert Finding("outliers", "warning", "So it is.", ("do this",)).to_json() == {
        "kind": "outliers",
        "severity": "warning",
        "sentence": "So it is.",
        "remedies": ["do this"],
    }
