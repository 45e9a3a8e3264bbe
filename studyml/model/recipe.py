"""What a training is told: architectures, the guide's recipe with its defects mended, and the ones that measure better.

``guide``: the guide's network and training set-up (guide.md, Model Architecture, Training Process).
``selected``: SiLU, standardised log target, squared error, a light L2 penalty, on the inputs that a lasso keeps, among
them products of features that tell more together: the best where sessions follow from what is known of student and
topic. ``history``: every input, absolute and squared error in equal parts, and
a strong L2 penalty: the best where students return and differ. Both train a fixed number of epochs on a falling
learning rate, so that no validation row has a say in when to stop and the out-of-fold errors are honest.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import ValidationError

from studyml.errors import SettingsError
from studyml.hyperparameters import Hyperparameters

ARCHITECTURES = ("mlp", "ensemble", "lstm", "attention")
#: Folds of a training: each of the members leaves one out.
FOLDS = 5
#: Rows at which a recipe's ``l2`` is meant; the penalty falls with the root of the rows, as chance does.
_L2_ROWS = 600
_SMALLEST_BATCH, _LARGEST_BATCH, _BATCHES = 64, 8192, 10
#: Beyond so many rows the epochs fall, so that the time per session does not grow.
_EPOCH_ROWS = 10_000


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of one training; the defaults are the guide's.

    ``batch_size`` and ``epochs`` None: they follow the number of rows. ``stop_patience`` None: no early stopping.
    ``plateau_minimum_rate`` is below Adam's rate: the guide's 0.001 equals it, so its plateau could never reduce.
    """

    architecture: str = "mlp"
    name: str = "guide"
    inputs: Literal["guide", "selected", "history"] = "guide"
    layers: tuple[int, ...] = (128, 64, 32, 16)
    dropouts: tuple[float, ...] = (0.3, 0.2, 0.2, 0.0)
    activation: str = "relu"
    initializer: Literal["glorot_uniform", "he_normal"] = "glorot_uniform"
    target: Literal["hours", "log"] = "hours"
    loss: Literal["mse", "mae", "mixed"] = "mse"
    l2: float = 0.0
    learning_rate: float = 0.001
    clipnorm: float | None = None
    schedule: Literal["constant", "cosine", "plateau"] = "plateau"
    epochs: int | None = 150
    batch_size: int | None = 32
    stop_patience: int | None = 15
    plateau_patience: int = 10
    plateau_factor: float = 0.2
    plateau_minimum_rate: float = 1e-5
    augmentation: float = 0.0
    outliers: Literal["keep", "remove"] = "keep"
    seed: int = 42

    def batch_at(self, rows: int) -> int:
        """Rows per step: a power of two that grows with ``rows`` where the recipe leaves it open."""
        if self.batch_size is not None:
            return self.batch_size
        wanted = 2 ** int(math.log2(max(1, rows // _BATCHES)))
        return int(min(max(wanted, _SMALLEST_BATCH), _LARGEST_BATCH))

    def epochs_at(self, rows: int) -> int:
        """Epochs: fewer for very many rows where the recipe leaves it open."""
        if self.epochs is not None:
            return self.epochs
        return max(8, round(40 * min(1.0, math.pow(_EPOCH_ROWS / rows, 0.35))))

    def l2_at(self, rows: int) -> float:
        """The penalty for ``rows`` training rows."""
        return self.l2 * min(1.0, math.sqrt(_L2_ROWS / rows))


_SMOOTH = Recipe(
    inputs="selected",
    name="selected",
    dropouts=(0.1, 0.05, 0.05, 0.0),
    activation="silu",
    target="log",
    l2=0.003,
    schedule="cosine",
    epochs=None,
    batch_size=None,
    stop_patience=None,
)
RECIPES = {
    "guide": Recipe(),
    "selected": _SMOOTH,
    "history": replace(_SMOOTH, inputs="history", name="history", loss="mixed", l2=0.01),
}
#: What the setting ``auto`` stands for: the default portfolio.
AUTO_ARCHITECTURES, AUTO_RECIPES = ("ensemble",), ("selected", "history")


def portfolio(architecture: str, recipe: str, changes: Hyperparameters, *, seed: int) -> tuple[Recipe, ...]:
    """The recipes to train; ``auto`` stands for several, of which the lowest recent out-of-fold error is chosen."""
    architectures = AUTO_ARCHITECTURES if architecture == "auto" else (architecture,)
    names = AUTO_RECIPES if recipe == "auto" else (recipe,)
    if architecture == "lstm" and recipe == "auto":
        names = ("history",)  # a sequence of a student's sessions is history
    chosen = [replace(RECIPES[name], architecture=each, seed=seed) for each in architectures for name in names]
    return tuple(with_hyperparameters(each, changes) for each in chosen)


def with_hyperparameters(recipe: Recipe, changes: Hyperparameters | Mapping[str, Any]) -> Recipe:
    """The recipe with what a person or a search changed; scaled layers keep the recipe's proportions.

    Raises SettingsError where a value is impossible or its name is none.
    """
    if not isinstance(changes, Hyperparameters):
        try:
            changes = Hyperparameters.model_validate(changes)
        except ValidationError as error:
            first = error.errors()[0]
            raise SettingsError(f"hyperparameter {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    given: dict[str, Any] = changes.model_dump(exclude_none=True)
    count, neurons, dropout = given.pop("layers", None), given.pop("neurons", None), given.pop("dropout", None)
    layers = recipe.layers
    if count is not None:
        layers = tuple(max(4, layers[0] >> step) for step in range(count))
    if neurons is not None:
        layers = tuple(max(4, units * neurons // layers[0]) for units in layers)
    dropouts = tuple((recipe.dropouts + (0.0,) * len(layers))[: len(layers)])
    if dropout is not None:
        dropouts = (*(dropout for _ in layers[:-1]), 0.0)
    return replace(recipe, layers=layers, dropouts=dropouts, **given)
