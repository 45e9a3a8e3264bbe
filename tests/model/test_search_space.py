"""What a search tries: the guide's grid or documented draws, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.errors import SettingsError
from studyml.model.search_space import DROPOUTS, L2_WEIGHTS, LEARNING_RATES, WIDTHS, configurations


def test_the_grid_is_the_guides() -> None:
    found = configurations("grid", None, 42)

    assert list(found) == list(range(1, 28))
    assert {tuple(each.values()) for each in found.values()} == {
        (neurons, dropout, rate)
        for neurons in (32, 64, 128)
        for dropout in (0.1, 0.2, 0.3)
        for rate in (0.001, 0.01, 0.1)
    }


@given(st.sampled_from(["grid", "random"]), st.integers(0, 2**31 - 1), st.integers(1, 27), st.integers(0, 10))
def test_more_trials_begin_with_those_of_fewer(strategy: str, seed: int, fewer: int, more: int) -> None:
    some, many = configurations(strategy, fewer, seed), configurations(strategy, fewer + more, seed)

    assert len(some) == fewer
    assert list(many.items())[:fewer] == list(some.items())


def test_another_seed_tries_others() -> None:
    for strategy in ("grid", "random"):
        assert configurations(strategy, 5, 1) != configurations(strategy, 5, 2)


def test_random_draws_follow_their_documented_distributions() -> None:
    found = list(configurations("random", 2000, 7).values())
    rates = np.log([each["learning_rate"] for each in found])
    weights = np.log([each["l2"] for each in found])
    dropouts = np.array([each["dropout"] for each in found])

    assert {each["neurons"] for each in found} == set(WIDTHS)
    for logs, (lowest, highest) in ((rates, LEARNING_RATES), (weights, L2_WEIGHTS)):
        assert np.log(lowest) <= logs.min() < logs.max() <= np.log(highest)
        assert np.mean(logs < np.log(lowest * highest) / 2) == pytest.approx(0.5, abs=0.05)
    assert DROPOUTS[0] <= dropouts.min() < dropouts.max() <= DROPOUTS[1]
    assert dropouts.mean() == pytest.approx(np.mean(DROPOUTS), abs=0.02)


def test_an_unknown_strategy_is_a_sentence() -> None:
    with pytest.raises(SettingsError, match=r"^strategy 'best' is not one: choose grid or random\.$"):
        configurations("best", None, 1)


def test_what_would_change_nothing_is_not_tried() -> None:
    grid = configurations("grid", None, 42, without={"neurons", "layers", "dropout"})

    assert sorted(each["learning_rate"] for each in grid.values()) == [0.001, 0.01, 0.1]
    assert all(list(each) == ["learning_rate"] for each in grid.values())
    for each in configurations("random", 3, 42, without={"neurons"}).values():
        assert list(each) == ["dropout", "learning_rate", "l2"]
