"""Pictures of a version (guide.md, Performance Evaluation): figures from the evaluation document and its rows.

Every figure is drawn in the colours of the light theme; ``reporting.pictures`` writes it as a PNG or as an SVG that
follows the reader's theme.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: The light theme; ``pictures`` knows what each is in the dark.
INK, MUTED, GRID = "#1f2328", "#6e7781", "#d8dee4"
BLUE, ORANGE, GREEN, PURPLE = "#0969da", "#bc4c00", "#1a7f37", "#8250df"
#: Points that a scatter shows; more rows are sampled evenly, and the picture says so.
MAXIMUM_POINTS = 1200
#: Bars that a chart of importance shows.
MAXIMUM_BARS = 12
_PREDICTORS = {
    "network": ("network", BLUE),
    "median": ("median", MUTED),
    "estimate": ("estimate", ORANGE),
    "log_linear": ("log-linear", PURPLE),
}


def new_figure(width: float = 4.6, height: float = 3.4, rows: Sequence[float] = (1,)) -> tuple[Any, Any]:
    """A figure of width x height inches, and its panels below each other with the given heights."""
    from matplotlib.figure import Figure

    # Without pyplot: no global state, and no window system is looked for.
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(len(rows), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": rows})[:, 0]
    for each in axes:
        for side in ("top", "right"):
            each.spines[side].set_visible(False)
        for side in ("bottom", "left"):
            each.spines[side].set_color(MUTED)
        each.tick_params(colors=INK, labelsize=8)
        each.grid(color=GRID, linewidth=0.6)
        each.set_axisbelow(True)
    return figure, axes


def named_axes(axes: Any, x: str, y: str, *, legend: str | None = "best") -> None:
    """Name both axes, and say where the legend stands; None for none."""
    axes.set_xlabel(x, color=INK, fontsize=9)
    axes.set_ylabel(y, color=INK, fontsize=9)
    if legend and axes.get_legend_handles_labels()[1]:
        axes.legend(loc=legend, frameon=False, labelcolor=INK, fontsize=8)


def sampled(rows: int) -> NDArray[np.int64]:
    """Positions of the rows that a scatter shows."""
    return (
        np.arange(rows)
        if rows <= MAXIMUM_POINTS
        else np.arange(MAXIMUM_POINTS, dtype=np.int64) * rows // MAXIMUM_POINTS
    )


def learning_curves(curves: Mapping[str, Any]) -> Any:
    """Error by epoch of every member, training and validation, with the epochs kept; the learning rate below."""
    members = [each for each in curves["members"] if each.get("loss")]
    in_hours = bool(members) and all(each.get("mae") and each.get("val_mae") for each in members)
    training, validation = ("mae", "val_mae") if in_hours else ("loss", "val_loss")
    rates = [rate for rate in curves.get("learning_rate") or [] if rate]
    figure, axes = new_figure(rows=(4, 1) if len(set(rates)) > 1 else (1,))
    faint = 1.0 if len(members) < 2 else 0.6
    for number, each in enumerate(members):
        for name, words, color in ((training, "training", ORANGE), (validation, "validation", BLUE)):
            values = np.array([np.nan if value is None else value for value in each.get(name) or []], np.float64)
            values[~np.isfinite(values)] = np.nan
            label = (words if len(members) < 2 else f"{words}, {len(members)} members") if number == 0 else None
            axes[0].plot(np.arange(1, len(values) + 1), values, color=color, alpha=faint, linewidth=1.3, label=label)
            best = int(each.get("best_epoch") or 0)
            if name == validation and 1 <= best <= len(values):
                kept = "lowest validation" if number == 0 else None
                axes[0].plot(best, values[best - 1], "o", color=BLUE, markersize=5, label=kept)
    named_axes(axes[0], "" if len(axes) > 1 else "epoch", "MAE (hours)" if in_hours else "loss", legend="upper right")
    if len(axes) > 1:
        axes[1].step(np.arange(1, len(rates) + 1), rates, where="mid", color=MUTED, linewidth=1.2)
        axes[1].set_yscale("log")
        axes[1].minorticks_off()
        named_axes(axes[1], "epoch", "rate", legend=None)
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    return figure


def predicted_actual(actual: Floats, predicted: Floats) -> Any:
    """Predicted against actual hours [n], with the line of a perfect prediction."""
    figure, (axes,) = new_figure(height=4.2)
    finite = np.flatnonzero(np.isfinite(predicted))
    finite = finite[sampled(len(finite))]
    top = 1.05 * max(float(np.max(actual, initial=0.1)), float(np.max(predicted[finite], initial=0)))
    axes.plot([0, top], [0, top], color=ORANGE, linewidth=1.2, linestyle="--", label="perfect")
    axes.scatter(actual[finite], predicted[finite], s=16, alpha=0.5, color=BLUE, linewidth=0, label="session")
    axes.set(xlim=(0, top), ylim=(0, top), aspect="equal")
    named_axes(axes, "actual (hours)", "predicted (hours)", legend="upper left")
    return figure


def residual_histogram(found: Mapping[str, Any]) -> Any:
    """How often a session took so much longer (right of zero) or shorter than predicted."""
    figure, (axes,) = new_figure()
    edges = np.array(found["histogram"]["edges"])
    axes.bar(edges[:-1], found["histogram"]["counts"], np.diff(edges) * 0.94, align="edge", color=BLUE, alpha=0.8)
    axes.axvline(0, color=INK, linewidth=1, linestyle="--")
    axes.axvline(found["median"], color=ORANGE, linewidth=1.6, label=f"median {found['median']:+.2f} h")
    axes.grid(visible=False, axis="x")
    named_axes(axes, "actual − predicted (hours)", "sessions", legend="upper right")
    return figure


def residuals_predicted(actual: Floats, predicted: Floats, found: Mapping[str, Any]) -> Any:
    """Residuals [n] against predicted hours, with their median and middle 80 % along the prediction."""
    figure, (axes,) = new_figure()
    rows = sampled(len(actual))
    axes.scatter(predicted[rows], actual[rows] - predicted[rows], s=16, alpha=0.4, color=BLUE, linewidth=0)
    along = found["by_predicted"]
    at = [each["predicted"] for each in along]
    low, middle, high = ([each[f"quantile_{q}"] for each in along] for q in (10, 50, 90))
    axes.fill_between(at, low, high, color=ORANGE, alpha=0.18, linewidth=0, label="middle 80 %")
    axes.plot(at, middle, color=ORANGE, linewidth=1.8, marker="o", markersize=3, label="median")
    axes.axhline(0, color=INK, linewidth=1, linestyle="--")
    axes.ticklabel_format(useOffset=False)
    named_axes(axes, "predicted (hours)", "actual − predicted (hours)", legend="upper left")
    return figure


def cross_validation(found: Mapping[str, Any]) -> Any:
    """The MAE of each fold, beside the naive predictors on the same rows; the line is the mean over folds."""
    figure, (axes,) = new_figure(height=3.0)
    folds = found["folds"]
    for number, each in enumerate(found["summary"]):
        words, color = _PREDICTORS.get(each["predictor"], (each["predictor"], INK))
        values = [
            np.nan if fold["mae"][each["predictor"]] is None else fold["mae"][each["predictor"]] for fold in folds
        ]
        places = np.arange(1, len(folds) + 1) + 0.12 * (number - (len(found["summary"]) - 1) / 2)
        axes.plot(places, values, "o", color=color, markersize=7 if number == 0 else 5, label=words)
        if each["mean"] is not None:
            axes.axhline(each["mean"], color=color, linewidth=1.2, alpha=0.7, linestyle="-" if number == 0 else ":")
    axes.set_xticks(range(1, len(folds) + 1), [str(fold["fold"] + 1) for fold in folds])
    axes.set_ylim(bottom=0)
    axes.grid(visible=False, axis="x")
    named_axes(axes, "fold", "MAE (hours)", legend=None)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False, labelcolor=INK, fontsize=8)
    return figure


def reliability(calibration: Mapping[str, Any]) -> Any:
    """Actual against nominal coverage; on the diagonal an interval holds what it promises."""
    figure, (axes,) = new_figure(height=4.2)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="as promised")
    for name, words, color in (("holdout", "holdout", BLUE), ("out_of_fold", "out of fold", ORANGE)):
        part = calibration[name]
        if part is None:
            continue
        nominal = np.array([each["nominal"] for each in part["reliability"]])
        actual = np.array([each["actual"] for each in part["reliability"]])
        chance = 2 * np.array([each["standard_error"] for each in part["reliability"]])
        if name == "holdout":
            axes.fill_between(
                nominal,
                nominal - chance,
                nominal + chance,
                color=MUTED,
                alpha=0.18,
                linewidth=0,
                label="chance, holdout",
            )
        axes.plot(nominal, actual, color=color, marker="o", markersize=4, linewidth=1.4, label=words)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    _percent(axes.xaxis)
    _percent(axes.yaxis)
    named_axes(axes, "promised coverage", "sessions inside", legend="upper left")
    return figure


def coverage_by_length(calibration: Mapping[str, Any]) -> Any:
    """Coverage of the 80 % and the 90 % interval along the predicted length, with what chance allows."""
    known = [name for name in ("holdout", "out_of_fold") if calibration[name] is not None]
    figure, panels = new_figure(height=0.6 + 1.8 * len(known), rows=(1,) * len(known))
    for axes, name in zip(panels, known, strict=True):
        parts = calibration[name]["by_predicted_length"]
        for number, color in ((0, BLUE), (1, ORANGE)):
            nominal = parts[0]["coverage"][number]["nominal"]
            axes.axhline(nominal, color=color, linewidth=1, linestyle="--", alpha=0.8)
            axes.errorbar(
                # Side by side, and where each part is among the others: the two panels can have unlike many.
                [(each["part"] - 0.5) / each["parts"] + (number - 0.5) * 0.025 for each in parts],
                [each["coverage"][number]["actual"] for each in parts],
                yerr=[2 * each["coverage"][number]["standard_error"] for each in parts],
                fmt="o",
                color=color,
                elinewidth=1,
                markersize=4,
                label=f"{100 * nominal:.0f} % interval",
            )
        axes.set_title(name.replace("_", " "), color=INK, fontsize=9, loc="left")
        axes.set_ylim(min(0.5, *(each["coverage"][0]["actual"] for each in parts)) - 0.03, 1.09)
        axes.grid(visible=False, axis="x")
        _percent(axes.yaxis)
        named_axes(axes, "", "sessions inside", legend=None)
    panels[0].legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, labelcolor=INK, fontsize=8, borderpad=0
    )
    panels[-1].set_xlim(0, 1)
    panels[-1].set_xticks([0.05, 0.5, 0.95], ["shortest", "predicted length", "longest"])
    return figure


def bars(rows: Sequence[tuple[str, float, float]], title: str) -> Any:
    """Horizontal bars of (name, value, deviation), the most important on top."""
    shown = list(rows[:MAXIMUM_BARS])[::-1]
    figure, (axes,) = new_figure(height=1.0 + 0.24 * max(3, len(shown)))
    values, deviations = [row[1] for row in shown], [row[2] for row in shown]
    errors = {"xerr": deviations, "error_kw": {"ecolor": INK, "elinewidth": 1}} if any(deviations) else {}
    axes.barh(range(len(shown)), values, color=BLUE, alpha=0.85, height=0.68, **errors)
    axes.axvline(0, color=MUTED, linewidth=1)
    # A name may hold a dollar: it is no formula.
    axes.set_yticks(range(len(shown)), [_short(row[0]) for row in shown], parse_math=False)
    axes.grid(visible=False, axis="y")
    named_axes(axes, title, "", legend=None)
    return figure


def _short(name: str) -> str:
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
    return plain if len(plain) <= 28 else f"{plain[:27]}…"


def _percent(axis: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1, 0))
