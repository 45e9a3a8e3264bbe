"""What a search tries: the guide's grid, or draws from distributions; keys are hyperparameters of a recipe."""

import itertools
from collections.abc import Collection
from typing import Any, Literal, get_args

import numpy as np

from studyml.errors import SettingsError

Strategy = Literal["grid", "random"]
STRATEGIES: tuple[str, ...] = get_args(Strategy)

#: The guide's grid (guide.md, Hyperparameter Tuning).
GRID: dict[str, tuple[float, ...]] = {
    "neurons": (32, 64, 128),
    "dropout": (0.1, 0.2, 0.3),
    "learning_rate": (0.001, 0.01, 0.1),
}
#: Trials of a random search where nobody says how many.
RANDOM_TRIALS = 20
#: A random trial: one of these widths, a uniform dropout, and a learning rate and an L2 weight with uniform logarithms.
WIDTHS = (16, 32, 64, 128, 256)
DROPOUTS = (0.0, 0.5)
LEARNING_RATES = (1e-4, 1e-1)
L2_WEIGHTS = (1e-5, 1e-1)


def configurations(
    strategy: str, trials: int | None, seed: int, *, without: Collection[str] = ()
) -> dict[int, dict[str, Any]]:
    """Hyperparameters by number of the trial, from 1: the whole grid or ``trials`` of it, or so many random draws.

    ``without``: those that would change nothing. The same seed gives the same ones, and more trials begin with those
    of fewer. Raises SettingsError for a strategy
    that there is not.
    """
    if strategy not in STRATEGIES:
        raise SettingsError(f"strategy '{strategy}' is not one: choose {' or '.join(STRATEGIES)}.")
    if strategy == "random":
        count = RANDOM_TRIALS if trials is None else trials
        drawn = {number: _draw(np.random.default_rng([seed, number])) for number in range(1, count + 1)}
        return {number: {name: each[name] for name in each if name not in without} for number, each in drawn.items()}
    axes = {name: values for name, values in GRID.items() if name not in without}
    grid = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    order = np.random.default_rng(seed).permutation(len(grid))[:trials]
    return {number: grid[position] for number, position in enumerate(order.tolist(), start=1)}


def _draw(random: np.random.Generator) -> dict[str, Any]:
    return {
        "neurons": int(random.choice(WIDTHS)),
        "dropout": round(float(random.uniform(*DROPOUTS)), 2),
        "learning_rate": _log_uniform(random, *LEARNING_RATES),
        "l2": _log_uniform(random, *L2_WEIGHTS),
    }


def _log_uniform(random: np.random.Generator, lowest: float, highest: float) -> float:
    """A number whose logarithm is uniform, with two digits, so that the line to set can be read."""
    drawn = float(np.exp(random.uniform(np.log(lowest), np.log(highest))))
    return float(f"{drawn:.1e}")
