"""What a training is told: the guide's network and training set-up, with its defects mended."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of one training; the defaults are the guide's (guide.md, Model Architecture, Training Process).

    ``plateau_minimum_rate`` is below Adam's rate: the guide's 0.001 equals it, so its plateau could never reduce.
    """

    architecture: str = "mlp"
    layers: tuple[int, ...] = (128, 64, 32, 16)
    dropouts: tuple[float, ...] = (0.3, 0.2, 0.2, 0.0)
    learning_rate: float = 0.001
    epochs: int = 150
    batch_size: int = 32
    validation_fraction: float = 0.2
    stop_patience: int = 15
    plateau_patience: int = 10
    plateau_factor: float = 0.2
    plateau_minimum_rate: float = 1e-5
    seed: int = 42
