"""The rule that is told all: its evidence, how rarely it rings for nothing, and how soon it sees a change."""

import numpy as np
import pytest

from benchmarks.alerts.errors import ERRORS_GROW, ErrorPool
from benchmarks.alerts.measure import Case
from benchmarks.alerts.oracle import alarms, log_likelihood_ratio, moved, oracle, silverman

ROWS = 60_000


def errors(random: np.random.Generator, centre: float) -> np.ndarray:
    """Relative errors of either sign whose size is log-normal with a spread of 0.5."""
    return random.lognormal(centre, 0.5, ROWS) * random.choice([-1, 1], ROWS)


@pytest.fixture(scope="module")
def pool() -> ErrorPool:
    random = np.random.default_rng(2)
    predicted = random.uniform(1, 3, 5000)
    actual = predicted * random.lognormal(0, 0.3, 5000)
    return ErrorPool("drawn", actual, predicted, np.array([0]), np.array([5000]), np.arange(5000))


@pytest.mark.parametrize("shift", [0.2, 0.5])
def test_the_evidence_of_two_log_normals_is_a_line_in_the_logarithm_of_the_error(shift: float) -> None:
    random = np.random.default_rng(0)
    before = errors(random, 0.0)
    width = silverman(np.log(np.abs(before)))
    evidence = log_likelihood_ratio(errors(random, shift), before, width)

    # The kernel widens both: variances add up.
    sizes = np.linspace(-0.5, 0.5 + shift, 20)
    line = shift * (sizes - shift / 2) / (0.5**2 + width**2)
    assert evidence(np.exp(sizes)) == pytest.approx(line, abs=0.1)
    assert evidence(-np.exp(sizes)) == pytest.approx(line, abs=0.1)


def test_equal_samples_say_nothing_and_a_sign_does() -> None:
    before = errors(np.random.default_rng(1), 0.0)

    assert log_likelihood_ratio(before, before, 0.1)(before) == pytest.approx(0.0, abs=1e-9)
    evidence = log_likelihood_ratio(np.abs(before), before, 0.1)
    assert evidence(np.abs(before)).mean() == pytest.approx(np.log(2), rel=0.02)
    assert (evidence(before[before < 0]) < -10).all()


@pytest.mark.parametrize("width", [0.2, 0.6])
def test_what_the_rule_sees_is_distributed_as_it_is_told(width: float) -> None:
    """Else it could tell the few rows of a log apart. The mean of a likelihood ratio is 1 where nothing changed."""
    random = np.random.default_rng(3)
    few = errors(random, 0.0)[:40]
    seen = moved(random, np.tile(few, 5_000), width)

    evidence = log_likelihood_ratio(few * 1.5, few, width)
    assert np.exp(evidence(seen)).mean() == pytest.approx(1.0, abs=0.02)
    assert ((seen > 0) == np.tile(few > 0, 5_000)).all()
    assert np.exp(evidence(np.tile(few, 5_000))).mean() < 0.98


def test_what_speaks_against_a_change_is_forgotten_and_an_alarm_starts_anew() -> None:
    assert alarms(np.array([-100.0, 1.0, 1.0, 1.0, 1.5]), 2.5) == [3]
    assert alarms(np.full(9, 1.0), 2.5) == [2, 5, 8]
    assert alarms(np.full(9, -1.0), 2.5) == []


def test_more_labels_larger_changes_and_more_false_alarms_are_seen_sooner(pool: ErrorPool) -> None:
    def days(rate: float, by: float, alarms_a_year: float = 0.1) -> float:
        case = Case(pool.name, "even", rate)
        return oracle(pool, case, ERRORS_GROW, by, alarms_a_year=alarms_a_year, years=60, seed=1).days

    assert days(20, 0.5) < days(2, 0.5) < days(2, 0.2)
    assert days(2, 0.2, alarms_a_year=2) < days(2, 0.2)
