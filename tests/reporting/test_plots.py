"""The pictures of a version can be drawn from anything a training ends with."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from studyml.reporting.plots import plot_learning_curves, plot_predicted_actual, plot_residuals

ACTUAL = np.array([1.0, 2.0, 4.0])


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved."""
    figures: list[Figure] = []
    save = Figure.savefig

    def remembering(self: Figure, *args: object, **kwargs: object) -> None:
        figures.append(self)
        save(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "savefig", remembering)
    return figures


def ink(path: Path) -> float:
    """Share of the picture that is not white."""
    return float((imread(path)[..., :3] < 0.99).any(axis=-1).mean())


@pytest.mark.parametrize("losses", [[3.0, 2.0, 2.5], [1.0], [np.nan], [2.0, np.nan, np.inf]])
def test_learning_curves_are_drawn_for_any_history(tmp_path: Path, losses: list[float]) -> None:
    history = dict.fromkeys(("loss", "mae", "val_loss", "val_mae"), losses)

    plot_learning_curves(tmp_path / "curves.png", history)

    assert ink(tmp_path / "curves.png") > 0.01


def test_the_epoch_whose_weights_were_kept_is_marked(tmp_path: Path, drawn: list[Figure]) -> None:
    history = {"mae": [3, 2, 1.0], "val_mae": [3, 2, 2.5], "val_loss": [9, 4, 6.0]}

    plot_learning_curves(tmp_path / "curves.png", history)

    (axes,) = drawn[0].axes
    assert axes.get_ylabel() == "MAE (hours)"
    assert "kept: epoch 2" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_every_finite_prediction_lies_inside_the_picture(tmp_path: Path, drawn: list[Figure]) -> None:
    plot_predicted_actual(tmp_path / "scatter.png", ACTUAL, np.array([1.0, np.nan, 20.0]), None)

    (axes,) = drawn[0].axes
    assert axes.get_ylim()[1] > 20
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_title() == "Holdout: 3 sessions, predictions are not finite"


def test_residuals_are_actual_less_predicted(tmp_path: Path, drawn: list[Figure]) -> None:
    plot_residuals(tmp_path / "residuals.png", ACTUAL, ACTUAL - 0.5, 0.5)

    (axes,) = drawn[0].axes
    assert "median +0.50 h" in [text.get_text() for text in axes.get_legend().get_texts()]
    assert axes.get_title() == "Holdout: 3 sessions, MAE 0.50 h"


def test_nothing_finite_still_gives_pictures(tmp_path: Path) -> None:
    nothing = np.full(3, np.nan)

    plot_predicted_actual(tmp_path / "scatter.png", ACTUAL, nothing, None)
    plot_residuals(tmp_path / "residuals.png", ACTUAL, nothing, None)

    assert ink(tmp_path / "scatter.png") > 0.01
    assert ink(tmp_path / "residuals.png") > 0.005
