"""Train every recipe of the portfolio on the same rows, and choose the one with the lowest recent out-of-fold error."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studyml.errors import TrainingError
from studyml.evaluation.metrics import mean_absolute_error
from studyml.frame import Frame
from studyml.model.recipe import Recipe
from studyml.steps.fit_recipe import Fitted, fit_recipe, recent_rows
from studyml.steps.training_data import LABEL

_logger = logging.getLogger("studyml")
_TELL_SECONDS = 5.0


@dataclass(frozen=True)
class Entry:
    """One recipe of the portfolio and its out-of-fold MAE in hours; ``fitted`` is None where it could not train."""

    recipe: Recipe
    fitted: Fitted | None
    out_of_fold_mae: float
    recent_out_of_fold_mae: float
    note: str = ""

    def to_json(self, chosen: "Entry") -> dict[str, Any]:
        """What ``metadata.json`` holds under ``portfolio``."""
        return {
            "architecture": self.recipe.architecture,
            "recipe": self.recipe.name,
            "out_of_fold_mae": _finite(self.out_of_fold_mae),
            "recent_out_of_fold_mae": _finite(self.recent_out_of_fold_mae),
            "seconds": None if self.fitted is None else round(self.fitted.seconds, 1),
            "chosen": self is chosen,
            "note": self.note,
        }


def fit_portfolio(frame: Frame, recipes: Sequence[Recipe]) -> tuple[Entry, tuple[Entry, ...]]:
    """The chosen entry and all of them, trained on labelled rows, oldest first, with their history.

    Chosen is the lowest out-of-fold MAE on the newest rows: recipes that suit one log do worse on another
    (docs/decisions/0004). Raises TrainingError where no recipe can be trained.
    """
    entries = tuple(_fit(frame, recipe) for recipe in recipes)
    trained = [each for each in entries if each.fitted is not None]
    if not trained:
        raise TrainingError(entries[0].note)
    # A network that does not converge is chosen only where none does: the gates then say so.
    chosen = min(trained, key=lambda each: np.nan_to_num(each.recent_out_of_fold_mae, nan=np.inf))
    return chosen, entries


def _fit(frame: Frame, recipe: Recipe) -> Entry:
    name = f"{recipe.architecture}, recipe {recipe.name}"
    _logger.info("training %s on %d sessions", name, len(frame))
    told = time.monotonic()

    def progress(epoch: int, epochs: int, loss: float) -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL_SECONDS:
            told = time.monotonic()
            _logger.info("%s: epoch %d of at most %d, validation loss %.3f", name, epoch, epochs, loss)

    try:
        fitted = fit_recipe(frame, recipe, progress=progress)
    except TrainingError as error:
        _logger.info("%s is left out: %s", name, error)
        return Entry(recipe, None, np.nan, np.nan, str(error))
    hours, recent = frame[LABEL].astype(np.float64), recent_rows(frame)
    whole = mean_absolute_error(hours, fitted.out_of_fold)
    newest = mean_absolute_error(hours[recent], fitted.out_of_fold[recent])
    _logger.info("%s: out-of-fold MAE %.3f h, %.3f h on the newest rows (%.1f s)", name, whole, newest, fitted.seconds)
    return Entry(recipe, fitted, whole, newest)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
