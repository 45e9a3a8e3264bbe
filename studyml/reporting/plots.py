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
    for name, words in (("mae", "training (with dropout)"), ("val_mae", "validation")):
        axes.plot(range(1, len(history[name]) + 1), history[name], label=words, marker=".")
    losses = np.asarray(history["val_loss"], np.float64)
    if np.isfinite(losses).any():
        kept = int(np.nanargmin(losses)) + 1
        axes.axvline(kept, color="grey", linewidth=1, linestyle="--", label=f"kept: epoch {kept}")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="epoch", ylabel="MAE (hours)", title="Learning curves")
    axes.legend()
    figure.savefig(path, dpi=120)


def plot_predicted_actual(path: Path, actual: Floats, predicted: Floats, mae: float | None) -> None:
    """Predicted against actual hours [n] of the holdout, with the line of a perfect prediction."""
    figure, axes = _figure()
    finite = np.isfinite(predicted)
    top = 1.05 * max(float(np.max(actual)), float(np.max(predicted[finite], initial=0)))
    axes.plot([0, top], [0, top], color="grey", linewidth=1, linestyle="--", label="perfect")
    axes.scatter(actual[finite], predicted[finite], s=14, alpha=0.6, label="session")
    axes.set(
        xlabel="actual (hours)",
        ylabel="predicted (hours)",
        title=_holdout_title(actual, mae),
        xlim=(0, top),
        ylim=(0, top),
        aspect="equal",
    )
    axes.legend(loc="upper left")
    figure.savefig(path, dpi=120)


def plot_residuals(path: Path, actual: Floats, predicted: Floats, mae: float | None) -> None:
    """Histogram of actual minus predicted hours [n] of the holdout; right of zero a session took longer."""
    figure, axes = _figure()
    finite = np.isfinite(predicted)
    residuals = actual[finite] - predicted[finite]
    axes.hist(residuals, bins=20)
    axes.axvline(0, color="grey", linewidth=1, linestyle="--")
    if len(residuals):
        median = float(np.median(residuals))
        axes.axvline(median, color="tab:orange", linewidth=1.5, label=f"median {median:+.2f} h")
        axes.legend()
    axes.set(xlabel="actual - predicted (hours)", ylabel="sessions", title=_holdout_title(actual, mae))
    figure.savefig(path, dpi=120)


def _holdout_title(actual: Floats, mae: float | None) -> str:
    words = "predictions are not finite" if mae is None else f"MAE {mae:.2f} h"
    return f"Holdout: {len(actual)} sessions, {words}"
