"""Why a version predicts what it predicts: for all of its holdout, and for one planned session.

Everything goes through the served path (verified files, ONNX, output limits) with the derived features computed
again, so what is explained is what was served. Rows come from the version's snapshot.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.database.connection import Connection
from studyml.errors import ArtifactError, RegistryError
from studyml.evaluation.holdout import FILE, read_holdout
from studyml.evaluation.importance import importance
from studyml.features.definition import FEATURES, derive
from studyml.features.encoder import Encoder
from studyml.frame import Frame
from studyml.registry.bundle import load_json
from studyml.registry.kept_snapshots import has_snapshot, load_snapshot
from studyml.registry.versions import Version, champion, champion_at, find
from studyml.settings import Settings
from studyml.steps.opening import artifact_store, own_database
from studyml.steps.serving import ServedModel, fetch_version, open_version
from studyml.steps.training_data import LABEL

Progress = Callable[[str], None]
Floats = NDArray[np.float64]

#: What each derived column is derived from (``features.definition.derive``): it moves with these.
PARENTS = {
    "difficulty_focus_ratio": ("difficulty_level", "avg_focus_duration"),
    "energy_distraction_diff": ("energy_level", "distraction_level"),
    "hour_sin": ("time_of_day",),
    "hour_cos": ("time_of_day",),
}
#: Columns that begin so are one feature: a history is not known in part.
_HISTORIES = {
    "previous_": "previous_sessions",
    "student_subject_": "student_subject_history",
    "student_topic_": "student_topic_history",
    "student_": "student_history",
    "topic_": "topic_history",
}


@dataclass(frozen=True)
class Learned:
    """The rows of a version's snapshot: ``judged`` are those of its holdout, with ``actual`` hours [n]."""

    judged: Frame
    actual: Floats
    fitting: Frame


def explain(settings: Settings, *, version: str | None, as_of: datetime | None, progress: Progress) -> dict[str, Any]:
    """What a version's predictions rest on, measured on its holdout; by default the champion (of ``as_of``).

    Keys: version, architecture, recipe, is_fallback, mae, rows, importance (see ``evaluation.importance``), weights
    (the largest first-layer weight of a feature's inputs, where the version keeps them), dropped (features that the
    network does not see, with the reason); for a fallback only what it predicts, in ``words``.
    Raises RegistryError for an unknown version, ArtifactError where its files or its rows are gone.
    """
    with own_database(settings) as connection:
        found = _version(connection, version, as_of)
    model = open_version(settings, found)
    about = describe(found)
    if found.is_fallback:
        return about | {"words": f"{found.version} is a fallback: {fallback_words(found, model)}."}
    learned = read_learned(settings, found)
    progress(f"permuting and explaining {len(learned.judged)} held-out sessions of {found.version}")
    metadata = load_json(fetch_version(settings, found) / "metadata.json")
    measured = version_importance(model, learned, metadata.get("first_layer_weights"))
    return about | {
        "mae": measured["mae"],
        "rows": measured["rows"],
        "importance": measured,
        "weights": feature_weights(model.encoder, measured["weights"]),
        "dropped": unused_features(model.encoder),
    }


def version_importance(model: ServedModel, learned: Learned, weights: dict[str, float] | None) -> dict[str, Any]:
    """``evaluation.importance.importance`` of a version: also what an evaluation report holds."""
    groups = feature_groups(model.encoder)
    judged, fitting = base_columns(learned.judged, groups), base_columns(learned.fitting, groups)
    return importance(predictor(model), judged, learned.actual, fitting, groups, weights)


def predictor(model: ServedModel) -> Callable[[Frame], Floats]:
    """From rows to served hours [n], with everything derived from the features derived again."""
    return lambda frame: model.predict(derive(frame)).hours


def feature_groups(encoder: Encoder) -> dict[str, tuple[str, ...]]:
    """The features that the network sees, each with the columns that are known or unknown together."""
    used = {column for name in encoder.features for column in PARENTS.get(name, (name,))}
    in_order = [name for name in FEATURES if name in used] + sorted(used - set(FEATURES))
    groups: dict[str, tuple[str, ...]] = {}
    for column in in_order:
        feature = _feature_of(column)
        groups[feature] = (*groups.get(feature, ()), column)
    return groups


def feature_weights(encoder: Encoder, weights: list[dict[str, Any]]) -> dict[str, float]:
    """For each feature the largest first-layer weight of an input that is made of it; empty without weights."""
    known = {each["input"]: each["value"] for each in weights}
    found: dict[str, float] = {}
    for each in encoder.inputs:
        for column in (column for name in each.features for column in PARENTS.get(name, (name,))):
            feature = _feature_of(column)
            if each.name in known:
                found[feature] = max(found.get(feature, 0.0), known[each.name])
    return found


def unused_features(encoder: Encoder) -> dict[str, str]:
    """The features that the network does not see at all, with the encoder's reason."""
    used = feature_groups(encoder)
    dropped = {_feature_of(column): reason for column, reason in encoder.dropped.items() if column not in PARENTS}
    return {feature: reason for feature, reason in dropped.items() if feature not in used}


def _feature_of(column: str) -> str:
    if column in FEATURES:
        return column
    return next((feature for start, feature in _HISTORIES.items() if column.startswith(start)), column)


def base_columns(frame: Frame, groups: dict[str, tuple[str, ...]]) -> Frame:
    """The columns that a prediction needs, without those that are derived from others."""
    kept = {*FEATURES, *(column for columns in groups.values() for column in columns)}
    return Frame(
        {name: values for name, values in frame.columns.items() if name in kept},
        {name: levels for name, levels in frame.vocabularies.items() if name in kept},
    )


def read_learned(settings: Settings, version: Version) -> Learned:
    """The snapshot's rows of a published version; raises ArtifactError where they are no longer kept."""
    folder, store = fetch_version(settings, version), artifact_store(settings)
    sha256 = load_json(folder / "metadata.json")["snapshot_sha256"]
    gone = ArtifactError(
        f"the sessions that {version.version} was trained on are no longer kept, so nothing can be explained with"
        " them: take a newer version ('studyml versions list')."
    )
    if not has_snapshot(store, sha256):
        raise gone
    rows = load_snapshot(store, sha256)
    held = np.isin(rows["id"], read_holdout(folder / FILE).session_id)
    if held.all() or not held.any():
        raise gone
    judged = rows.take(held)
    return Learned(judged, judged[LABEL].astype(np.float64), rows.take(~held))


def describe(version: Version) -> dict[str, Any]:
    """The version as every explanation begins."""
    return {
        "version": version.version,
        "architecture": version.architecture,
        "recipe": version.recipe,
        "is_fallback": version.is_fallback,
    }


def fallback_words(version: Version, model: ServedModel) -> str:
    """What a fallback predicts, in words."""
    median = model.encoder.inputs[0].fill
    if version.recipe == "median":
        return f"it predicts the median of its training sessions, {median:.2f} h, for every session"
    return f"it predicts the topic's estimate, {median:.2f} h where a topic has none"


def _version(connection: Connection, name: str | None, as_of: datetime | None) -> Version:
    if name is not None:
        return find(connection, name)
    found = champion(connection) if as_of is None else champion_at(connection, as_of)
    if found is None:
        when = "yet" if as_of is None else f"at {as_of:%Y-%m-%d %H:%M} UTC"
        raise RegistryError(f"no version served {when}: run 'studyml retrain', the first publishes one.")
    return found
