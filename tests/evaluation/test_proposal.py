"""Which trial is proposed: only one that is better than the current setting by more than luck."""

import numpy as np
import pytest

from studyml.evaluation.proposal import Measured, propose


def trial(number: int, *folds: float) -> Measured:
    return Measured(number, {"dropout": number / 100} if number else {}, float(np.mean(folds)), folds)


CURRENT = trial(0, 1.1, 1.2, 1.3)  # its standard error: 0.1 / sqrt(3) = 0.058


def test_a_gain_beyond_one_standard_error_is_worth_a_training() -> None:
    found = propose([CURRENT, trial(1, 1.0, 1.1, 1.2)])

    assert found.is_worth_it
    assert found.best.number == 1
    assert found.gain == pytest.approx(0.1)
    assert found.standard_error == pytest.approx(0.1 / np.sqrt(3))
    assert found.sentence == (
        "The best has 1.100 h against 1.200 h of the current setting, a gain of 0.100 h, more than one standard error"
        " (0.058 h): worth a training."
    )


def test_a_gain_within_one_standard_error_is_taken_for_luck() -> None:
    found = propose([CURRENT, trial(1, 1.05, 1.15, 1.25)])

    assert not found.is_worth_it
    assert found.best.number == 1
    assert found.sentence.startswith("Keep the current setting: the best has 1.150 h against 1.200 h")


def test_a_current_setting_that_is_the_best_is_kept() -> None:
    found = propose([trial(1, 1.5, 1.5, 1.5), CURRENT])

    assert found.best is CURRENT
    assert not found.is_worth_it
    assert found.gain == 0
    assert found.sentence.startswith("Keep the current setting: of all that were tried it is the best")


def test_the_table_has_the_ten_best_the_best_first() -> None:
    found = propose([CURRENT, *(trial(number, number, number, number) for number in range(20, 0, -1))])

    assert [each.number for each in found.table] == [1, 0, *range(2, 10)]


def test_without_figures_of_the_current_setting_the_best_is_shown_as_that() -> None:
    found = propose([trial(3, 1.0, 1.0, 1.0)])

    assert found.current is None
    assert found.is_worth_it
    assert found.sentence == "The current setting has no figures of its own; the best of 1 has 1.000 h."


def test_the_deviation_is_that_of_the_folds() -> None:
    assert CURRENT.deviation == pytest.approx(0.1)
