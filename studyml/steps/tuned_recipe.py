"""Which recipe a search is about: the one that is deployed, unless another is named."""

from collections.abc import Mapping
from typing import Any

from studyml.database.connection import Connection
from studyml.errors import SettingsError
from studyml.hyperparameters import Hyperparameters
from studyml.model.recipe import ARCHITECTURES, RECIPES, Recipe, portfolio
from studyml.registry.versions import champion
from studyml.settings import Settings


def tuned_names(
    settings: Settings, connection: Connection, architecture: str | None, recipe: str | None
) -> tuple[str, str]:
    """The architecture and the recipe to tune: the named ones, by default the configured ones.

    What is ``auto`` is the champion's; without a champion that is a network, that of the portfolio's last,
    which trains on every log. Raises SettingsError for a name that there is not.
    """
    architecture, recipe = architecture or settings.architecture, recipe or settings.recipe
    for name, known in ((architecture, ARCHITECTURES), (recipe, tuple(RECIPES))):
        if name not in ("auto", *known):
            raise SettingsError(f"'{name}' cannot be tuned: choose one of auto, {', '.join(known)}.")
    present = champion(connection)
    if present is not None and not present.is_fallback:
        architecture = present.architecture if architecture == "auto" else architecture
        recipe = (present.recipe or recipe) if recipe == "auto" else recipe
    last = portfolio(architecture, recipe, settings.hyperparameters, seed=settings.seed)[-1]
    return last.architecture, last.name


def tuned_recipe(
    settings: Settings, architecture: str, recipe: str, parameters: Mapping[str, Any], *, seed: int
) -> Recipe:
    """A recipe with the configured hyperparameters and, over them, a trial's ``parameters``."""
    configured = settings.hyperparameters.model_dump(exclude_none=True)
    return portfolio(architecture, recipe, Hyperparameters(**{**configured, **parameters}), seed=seed)[0]
