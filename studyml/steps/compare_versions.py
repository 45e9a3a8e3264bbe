"""What differs between two versions, and which of them is closer on rows that both predicted unseen."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.errors import ArtifactError
from studyml.evaluation.gates import Holdout, compared_rows
from studyml.evaluation.holdout import FILE, read_holdout
from studyml.evaluation.metrics import mean_absolute_error
from studyml.evaluation.paired import compare, groups_of
from studyml.registry.bundle import load_json
from studyml.registry.versions import Version, find
from studyml.settings import Settings
from studyml.steps.opening import own_database
from studyml.steps.serving import fetch_version

Floats = NDArray[np.float64]
_HOURS = tuple[Floats, Floats]


def compare_versions(settings: Settings, first: str, second: str) -> dict[str, Any]:
    """What differs between two versions: ``differences`` (section, name, first, second) and ``paired``.

    ``paired``: both on the rows that both predicted without having learned from them: rows, first_mae and second_mae
    in hours, ratio (second over first) and its one-sided 90 % upper bound; None where there are no such rows.
    ``notes`` say what could not be compared, where files were removed by policy or are damaged.
    """
    with own_database(settings) as connection:
        versions = (find(connection, first), find(connection, second))
    notes: list[str] = []
    read = [_files(settings, each, notes) for each in versions]
    facts = [_facts(version, metadata) for version, (metadata, _) in zip(versions, read, strict=True)]
    return {
        "first": first,
        "second": second,
        "differences": _differences(*facts),
        "paired": _paired(versions, read[0][1], read[1][1], settings.seed),
        "notes": notes,
    }


def _files(settings: Settings, version: Version, notes: list[str]) -> tuple[dict[str, Any], Holdout | None]:
    """Metadata and holdout of a version; nothing of one whose files are not there."""
    if version.artifact_uri is None:
        notes.append(f"{version.version} has no files any more, or never had: only what the registry knows is compared")
        return {}, None
    try:
        folder = fetch_version(settings, version)
    except ArtifactError as error:
        notes.append(str(error))
        return {}, None
    holdout = read_holdout(folder / FILE) if (folder / FILE).is_file() else None
    return load_json(folder / "metadata.json"), holdout


def _facts(version: Version, metadata: dict[str, Any]) -> dict[tuple[str, str], Any]:
    lineage = version.lineage or metadata.get("lineage", {})
    sections: dict[str, dict[str, Any]] = {
        "version": {
            **{name: getattr(version, name) for name in ("status", "architecture", "recipe", "is_fallback")},
            "code_version": lineage.get("code_version"),
            "seed": lineage.get("seed", metadata.get("seed")),
        },
        "data": {
            **{name: getattr(version, name) for name in ("training_from", "training_through", "training_rows")},
            "holdout_rows": version.holdout_rows,
            "snapshot": version.metrics.get("snapshot_sha256"),
            "level_changes": metadata.get("level_changes") or [],
        },
        "metric": {name: value for name, value in version.metrics.items() if isinstance(value, int | float)},
        "gate": {str(each["gate"]): "passed" if each["passed"] else "failed" for each in version.gates},
        "feature": dict.fromkeys(metadata.get("features", ()), "used"),
        "hyperparameter": metadata.get("hyperparameters", {}),
        "setting": lineage.get("settings", {}),
        "library": lineage.get("libraries", metadata.get("libraries", {})),
    }
    return {(section, name): value for section, found in sections.items() for name, value in found.items()}


def _differences(first: dict[tuple[str, str], Any], second: dict[tuple[str, str], Any]) -> list[dict[str, Any]]:
    names = list(dict.fromkeys([*first, *second]))
    order = {section: number for number, section in enumerate(dict.fromkeys(section for section, _ in names))}
    return [
        {"section": key[0], "name": key[1], "first": first.get(key), "second": second.get(key)}
        for key in sorted(names, key=lambda key: order[key[0]])
        if first.get(key) != second.get(key)
    ]


def _paired(
    versions: tuple[Version, Version], first: Holdout | None, second: Holdout | None, seed: int
) -> dict[str, Any] | None:
    found = _same_rows(versions, first, second)
    if found is None:
        return None
    rows, (ours, theirs) = found
    errors = [np.abs(hours - rows.actual) for hours in (ours, theirs)]
    comparison = compare(errors[1], errors[0], groups_of(rows.student_id, rows.session_date), seed=seed)
    return {
        "rows": comparison.rows,
        "first_mae": mean_absolute_error(rows.actual, ours),
        "second_mae": mean_absolute_error(rows.actual, theirs),
        "ratio": comparison.ratio,
        "upper_bound": comparison.upper_bound,
    }


def _same_rows(
    versions: tuple[Version, Version], first: Holdout | None, second: Holdout | None
) -> tuple[Holdout, _HOURS] | None:
    """The rows, and the hours of both: where one was judged against the other that holdout, else what both held out."""
    if second is not None and versions[1].metrics.get("champion_version") == versions[0].version:
        rows = compared_rows(second, "champion")
        return _if_any(rows, rows.predicted["champion"], rows.predicted["network"])
    if first is not None and versions[0].metrics.get("champion_version") == versions[1].version:
        rows = compared_rows(first, "champion")
        return _if_any(rows, rows.predicted["network"], rows.predicted["champion"])
    if first is None or second is None:
        return None
    _, left, right = np.intersect1d(first.session_id, second.session_id, return_indices=True)
    if len(left) == 0:
        return None
    newer = second if versions[1].version > versions[0].version else first
    places = right if newer is second else left
    rows = newer.take(places)
    hours = [
        holdout.predicted[_own(version, holdout)][at]
        for version, holdout, at in zip(versions, (first, second), (left, right), strict=True)
    ]
    return rows, (hours[0], hours[1])


def _if_any(rows: Holdout, first: Floats, second: Floats) -> tuple[Holdout, _HOURS] | None:
    return (rows, (first, second)) if len(rows.actual) else None


def _own(version: Version, holdout: Holdout) -> str:
    return "network" if "network" in holdout.predicted and not version.is_fallback else str(version.recipe)
