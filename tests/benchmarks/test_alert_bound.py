"""What no rule can beat: the divergence of two samples, and the days that follow from it."""

import numpy as np
import pytest

from benchmarks.alerts.bound import bound, divergence
from benchmarks.alerts.errors import ERRORS_GROW, ErrorPool

ROWS = 60_000


def errors(random: np.random.Generator, centre: float) -> np.ndarray:
    """Relative errors of either sign whose size is log-normal with a spread of 0.5."""
    return random.lognormal(centre, 0.5, ROWS) * random.choice([-1, 1], ROWS)


@pytest.mark.parametrize("shift", [0.2, 0.5])
def test_the_divergence_of_two_log_normals_is_half_the_square_of_their_distance(shift: float) -> None:
    random = np.random.default_rng(0)
    after, before = errors(random, shift), errors(random, 0.0)

    # The kernel widens both: 0.5 squared and 0.15 squared add up.
    assert divergence(after, before) == pytest.approx(shift**2 / (2 * (0.5**2 + 0.15**2)), rel=0.05)


def test_equal_samples_do_not_diverge_and_a_change_of_sign_does() -> None:
    before = errors(np.random.default_rng(1), 0.0)

    assert divergence(before, before) == pytest.approx(0.0, abs=1e-9)
    assert divergence(np.abs(before), before) == pytest.approx(np.log(2), rel=0.02)


def test_ours_knowing_all_is_3_3_standard_errors_off_after_so_many_outcomes() -> None:
    random = np.random.default_rng(3)
    predicted = random.uniform(1, 3, ROWS)
    actual = predicted * (1 + random.uniform(-0.5, 0.5, ROWS))
    pool = ErrorPool("drawn", actual, predicted, np.array([0]), np.array([ROWS]), np.arange(ROWS))

    found = bound(pool, ERRORS_GROW, 0.5, 2.0, 0.1)

    # |relative error| is uniform from 0 to 0.5, then to 0.75 (the bits below 0 h aside).
    outcomes = 2 * found.ours_knowing_all
    standard_error = 0.5 / np.sqrt(12) / np.sqrt(outcomes)
    assert (0.375 - 0.25) / standard_error == pytest.approx(3.3, rel=0.05)


def test_more_labels_and_larger_changes_are_seen_sooner() -> None:
    random = np.random.default_rng(2)
    predicted = random.uniform(1, 3, 5000)
    actual = predicted * random.lognormal(0, 0.3, 5000)
    one = np.array([0]), np.array([5000])
    pool = ErrorPool("drawn", actual, predicted, *one, np.arange(5000))

    days = {(by, rate): bound(pool, ERRORS_GROW, by, rate, 0.1).days for by in (0.2, 0.5) for rate in (2, 20)}

    assert days[0.5, 20] < days[0.5, 2] < days[0.2, 2]
    assert days[0.5, 2] / days[0.5, 20] == pytest.approx(10 * np.log(7300) / np.log(73_000))
