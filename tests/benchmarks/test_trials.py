"""The simulated trials: the challenger is as much worse as said, and the rule tells much worse from better."""

import numpy as np
import pytest

from benchmarks.trials import School, measure, pairs_of


@pytest.mark.parametrize("truth", [0.95, 1.0, 1.1])
def test_the_challengers_errors_are_the_champions_times_the_truth(truth: float) -> None:
    found = pairs_of(School(2000, 100), truth, 200_000, np.random.default_rng(1))
    champion, challenger = (np.abs(found.actual - each).mean() for each in (found.champion, found.challenger))
    assert challenger / champion == pytest.approx(truth, abs=0.01)


def test_a_better_challenger_is_promoted_and_a_worse_one_is_not() -> None:
    better, worse = (
        measure(School(20, 20), truth, rounds=10, minimum=100, days=30, planned=True) for truth in (0.95, 1.15)
    )
    assert better["promoted"] >= 0.7
    assert worse["promoted"] <= 0.1
    assert worse["promoted"] + worse["retired"] == 1
