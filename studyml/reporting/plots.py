"""Pictures of a version (guide.md, Performance Evaluation)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _figure() -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Without pyplot: no global state, and no window system is looked for.
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def plot_learning_curves(path: Path, history: Mapping[str, Sequence[float]]) -> None:
    """MAE by epoch in hours, training and validation."""
    figure, axes = _figure()
    for name, words in (("mae", "training"), ("val_mae", "validation")):
        axes.plot(range(1, len(history[name]) + 1), history[name], label=words)
    axes.set(xlabel="epoch", ylabel="MAE (hours)", title="Learning curves")
    axes.legend()
    figure.savefig(path, dpi=120)


def plot_predicted_actual(path: Path, actual: Floats, predicted: Floats, mae: float | None) -> None:
    """Predicted against actual hours [n] of the holdout, with the line of a perfect prediction."""
    figure, axes = _figure()
    finite = np.isfinite(predicted)
    top = float(np.max(actual)) * 1.05
    axes.plot([0, top], [0, top], color="grey", linewidth=1, linestyle="--")
    axes.scatter(actual[finite], predicted[finite], s=14, alpha=0.6)
    words = "predictions are not finite" if mae is None else f"MAE {mae:.2f} h"
    axes.set(
        xlabel="actual (hours)",
        ylabel="predicted (hours)",
        title=f"Holdout: {len(actual)} sessions, {words}",
        xlim=(0, top),
        ylim=(0, top),
    )
    figure.savefig(path, dpi=120)
