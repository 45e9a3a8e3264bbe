"""What to do about a finding: the guide's remedies (guide.md, Troubleshooting) as settings of this product."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from studyml.hyperparameters import WITHOUT_EFFECT


@dataclass(frozen=True)
class Remedy:
    """A hyperparameter and the guide's value of it; ``change`` says which way it must lead to be a remedy."""

    words: str
    name: str
    value: float | str
    change: Literal["more", "less", "other"]

    def helps(self, current: Any) -> bool:
        """Whether it changes the ``current`` value (None: not set) the right way."""
        if current is None or self.change == "other":
            return bool(current != self.value)
        return bool(self.value > current if self.change == "more" else self.value < current)


OVERFITTING = (
    Remedy("more dropout", "dropout", 0.4, "more"),
    Remedy("L2 regularisation", "l2", 0.01, "more"),
    Remedy("fewer neurons", "neurons", 64, "less"),
    Remedy("fewer layers", "layers", 2, "less"),
    Remedy("early stopping", "stop_patience", 10, "less"),
)
LONGER = Remedy("more epochs", "epochs", 300, "more")
UNDERFITTING = (
    Remedy("more neurons", "neurons", 256, "more"),
    Remedy("more layers", "layers", 5, "more"),
    Remedy("less dropout", "dropout", 0.1, "less"),
    Remedy("no L2 regularisation", "l2", 0.0, "less"),
    LONGER,
    Remedy("Adam's usual learning rate", "learning_rate", 0.001, "other"),
)
CONVERGENCE = (
    Remedy("a smaller learning rate", "learning_rate", 0.0001, "less"),
    Remedy("a learning rate that falls on a plateau", "schedule", "plateau", "other"),
    Remedy("gradients clipped", "clipnorm", 1.0, "less"),
    Remedy("another initialisation", "initializer", "he_normal", "other"),
)
UNFINISHED = (LONGER, Remedy("a larger learning rate", "learning_rate", 0.001, "more"))
FEW_ROWS = (
    Remedy("synthetic rows beside the real ones", "augmentation", 1.0, "more"),
    Remedy("fewer neurons", "neurons", 32, "less"),
)
OUTLIERS = (Remedy("training without the outliers (the holdout keeps them)", "outliers", "remove", "other"),)


def settings_for(
    remedies: Sequence[Remedy], current: Mapping[str, Any], configured: Mapping[str, Any] = MappingProxyType({})
) -> tuple[str, ...]:
    """The remedies that change something for the ``current`` recipe and its architecture, each with its setting.

    ``configured`` is what the setting holds already, and keeps.

    >>> print(*settings_for(OVERFITTING[:2], {"dropout": 0.1, "l2": 0.03}))
    more dropout: STUDYML_HYPERPARAMETERS='{"dropout": 0.4}'
    """
    ignored = WITHOUT_EFFECT.get(current.get("architecture", ""), frozenset())
    return tuple(
        f"{each.words}: STUDYML_HYPERPARAMETERS='{json.dumps({**configured, each.name: each.value})}'"
        for each in remedies
        if each.name not in ignored and each.helps(current.get(each.name))
    )
