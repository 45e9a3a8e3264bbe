"""The pictures of a version can be drawn from anything a training ends with, and show what they say."""

from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from studyml.reporting import plots

HISTORIES: list[dict[str, Any]] = [
    {"members": [{"member": "fold 1", "loss": losses, "val_loss": losses, "best_epoch": 1}], "learning_rate": rates}
    for losses in ([3.0, 2.0, 2.5], [1.0], [None, None], [2.0, float("nan"), float("inf")])
    for rates in ([], [1e-3], [1e-3, 5e-4])
]


def words(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def ink(figure: Any) -> float:
    """Share of the picture that is not white."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return float((np.asarray(canvas.buffer_rgba())[..., :3] < 250).any(axis=-1).mean())


@pytest.mark.parametrize("curves", HISTORIES)
def test_learning_curves_are_drawn_for_any_history(curves: dict[str, Any]) -> None:
    assert ink(plots.learning_curves(curves)) > 0.005


def member(**curves: list[float]) -> dict[str, Any]:
    return {"member": "a", "loss": [9.0, 4, 1], "val_loss": [9.0, 4, 6], "best_epoch": 2, **curves}


def test_every_member_is_drawn_with_the_epoch_whose_weights_were_kept() -> None:
    hours = member(mae=[3.0, 2, 1], val_mae=[3.0, 2, 2.5])

    (axes,) = plots.learning_curves({"members": [hours, hours, hours]}).axes

    assert axes.get_ylabel() == "MAE (hours)"
    assert words(axes) == ["training, 3 members", "validation, 3 members", "lowest validation"]
    kept = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "o"]
    assert kept == [[[2, 2]]] * 3
    assert len(axes.lines) == 9


def test_losses_of_another_unit_than_hours_are_called_losses() -> None:
    (axes,) = plots.learning_curves({"members": [member(mae=[3.0, 2, 1], val_mae=[3.0, 2, 2.5]), member()]}).axes

    assert axes.get_ylabel() == "loss"


def test_a_learning_rate_that_changed_is_drawn_below() -> None:
    figure = plots.learning_curves({"members": [member()], "learning_rate": [1e-3, 1e-3, 5e-4]})

    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "rate"]


def test_every_finite_prediction_lies_inside_the_picture() -> None:
    (axes,) = plots.predicted_actual(np.array([1.0, 2.0, 4.0]), np.array([1.0, np.nan, 20.0])).axes

    assert axes.get_ylim()[1] > 20
    assert axes.get_xlim() == axes.get_ylim()
    assert len(axes.collections[0].get_offsets()) == 2


def test_of_many_sessions_a_sample_of_all_is_drawn() -> None:
    (axes,) = plots.predicted_actual(np.arange(50_000) / 5000, np.arange(50_000) / 5000).axes

    shown = axes.collections[0].get_offsets()[:, 0]
    assert len(shown) == plots.MAXIMUM_POINTS
    assert shown.min() < 0.1
    assert shown.max() > 9.9


def test_nothing_finite_still_gives_a_picture() -> None:
    assert ink(plots.predicted_actual(np.array([1.0, 2.0]), np.full(2, np.nan))) > 0.005


def test_residuals_are_drawn_as_counted() -> None:
    found = {"histogram": {"edges": [-1.0, 0.0, 1.0], "counts": [2, 5]}, "median": 0.5}

    (axes,) = plots.residual_histogram(found).axes

    assert [bar.get_height() for bar in axes.patches] == [2, 5]
    assert words(axes) == ["median +0.50 h"]


def test_bars_are_the_most_important_ones_with_the_first_on_top_and_names_are_no_formulas() -> None:
    rows = [(f"$x^{{ {number}", 20.0 - number, 0.1) for number in range(20)]

    figure = plots.bars(rows, "hours")
    (axes,) = figure.axes

    assert len(axes.patches) == plots.MAXIMUM_BARS
    assert axes.patches[-1].get_width() == 20
    assert ink(figure) > 0.01


@pytest.mark.parametrize("missing", [None, "holdout", "out_of_fold"])
def test_coverage_is_drawn_for_the_parts_that_were_measured(missing: str | None) -> None:
    coverage = [{"nominal": nominal, "actual": nominal - 0.1, "standard_error": 0.02} for nominal in (0.8, 0.9)]
    part = {"part": 1, "parts": 1, "from_hours": 1, "to_hours": 2, "rows": 30, "coverage": coverage}
    measured = {"reliability": coverage, "by_predicted_length": [part]}
    found = {name: None if name == missing else measured for name in ("holdout", "out_of_fold")}

    lengths, curve = plots.coverage_by_length(found), plots.reliability(found)

    assert [axes.get_title(loc="left") for axes in lengths.axes] == [
        name.replace("_", " ") for name in found if name != missing
    ]
    assert ink(lengths) > 0.005
    assert ("holdout" in words(curve.axes[0])) is (missing != "holdout")
