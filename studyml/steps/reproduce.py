"""Train a version again from its own snapshot and settings, and say whether it predicts the same."""

import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from studyml.errors import RegistryError
from studyml.evaluation.holdout import FILE, read_holdout
from studyml.features.definition import derive
from studyml.frame import Frame
from studyml.model.recipe import Recipe
from studyml.model.saving import save
from studyml.registry.bundle import load_json
from studyml.registry.kept_snapshots import load_snapshot
from studyml.registry.versions import Version, find
from studyml.scoring.predictor import open_network, run_network
from studyml.settings import Settings
from studyml.steps.fit_recipe import fit_recipe, limited
from studyml.steps.lineage import code_version, libraries
from studyml.steps.newest_level import changes_of, with_newest_level
from studyml.steps.opening import artifact_store, own_database
from studyml.steps.serving import fetch_version

#: Predictions that differ by no more than this are the same, hours: what the same machine and libraries reach.
TOLERANCE_HOURS = 1e-6


def reproduce(settings: Settings, version: str) -> dict[str, Any]:
    """Rebuild a version in a temporary folder from its snapshot and compare the predictions of its holdout rows.

    Keys: version, agrees, rows, largest_difference_hours, tolerance_hours, and ``differs``, the libraries and the code
    version that are not those of then, as [then, now]. Nothing in the registry changes. Raises RegistryError for what
    was never trained, ArtifactError where the version or its snapshot is missing or damaged.
    """
    with own_database(settings) as connection:
        found = find(connection, version)
    _require_trained(found)
    folder = fetch_version(settings, found)
    metadata, holdout = load_json(folder / "metadata.json"), read_holdout(folder / FILE)
    frame = derive(load_snapshot(artifact_store(settings), metadata["snapshot_sha256"]))
    held = np.isin(frame["id"], holdout.session_id)
    recipe = recipe_of(metadata["hyperparameters"])
    with tempfile.TemporaryDirectory(prefix="studyml-") as temporary:
        hours = _again(Path(temporary), with_newest_level(frame, changes_of(metadata)), held, recipe)
    ids = frame["id"][held]
    order = np.argsort(ids)
    again = hours[order[np.searchsorted(ids, holdout.session_id, sorter=order)]]
    difference = float(np.max(np.abs(again - holdout.predicted["network"])))
    return {
        "version": version,
        "agrees": bool(difference <= TOLERANCE_HOURS),
        "rows": len(again),
        "largest_difference_hours": difference,
        "tolerance_hours": TOLERANCE_HOURS,
        "differs": _differs(settings, metadata),
    }


def recipe_of(hyperparameters: dict[str, Any]) -> Recipe:
    """The recipe that ``metadata.json`` holds, lists as tuples again; what no recipe has any more is left out."""
    names = {field.name for field in fields(Recipe)}
    given: dict[str, Any] = {
        name: tuple(x) if isinstance(x, list) else x for name, x in hyperparameters.items() if name in names
    }
    return Recipe(**given)


def _require_trained(version: Version) -> None:
    if version.is_fallback:
        raise RegistryError(f"{version.version} is a fallback, which is not trained: there is nothing to reproduce.")
    if version.artifact_uri is None:
        raise RegistryError(
            f"{version.version} has no files any more, or never had: there is nothing to compare a training with."
        )


def _again(folder: Path, frame: Frame, held: np.ndarray[Any, Any], recipe: Recipe) -> np.ndarray[Any, Any]:
    """Hours of the ``held`` rows, from the network that the others train, through the same export as ever."""
    fitted = fit_recipe(frame.take(~held), recipe)
    save(fitted.trained, folder)
    return limited(run_network(open_network(folder / "model.onnx"), fitted.encoder.encode(frame.take(held))))


def _differs(settings: Settings, metadata: dict[str, Any]) -> dict[str, list[Any]]:
    then, now = metadata["libraries"], libraries()
    found = {name: [then[name], now.get(name)] for name in then if then[name] != now.get(name)}
    code = metadata.get("lineage", {}).get("code_version"), code_version(settings)
    return found | ({"code_version": list(code)} if code[0] != code[1] else {})
