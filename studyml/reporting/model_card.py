"""The model card: what a version is, in words, from its metadata."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_model_card(path: Path, metadata: Mapping[str, Any]) -> None:
    """Write the card of a network or a fallback as Markdown."""
    path.write_text(_card(metadata), encoding="utf-8")


def _card(metadata: Mapping[str, Any]) -> str:
    kind = "fallback (a naive predictor)" if metadata["is_fallback"] else f"{metadata['architecture']} network"
    lines = [
        f"# {metadata['version']}",
        "",
        f"A study time predictor: {kind}, recipe `{metadata['recipe']}`. It predicts how many hours a planned study",
        "session will take, from what is known before the session.",
        "",
        f"- Trained at {metadata['trained_at']} for the night of {metadata['as_of']}.",
        f"- Learned from {metadata['training_samples']} labelled sessions.",
    ]
    if metadata.get("mae") is not None:
        lines.append(f"- MAE {metadata['mae']:.3f} h on the newest labelled sessions, which it never saw.")
    lines += [f"- {name} predictor on the same sessions: MAE {value:.3f} h." for name, value in _baselines(metadata)]
    random_split = metadata.get("metrics", {}).get("random_split_mae")
    if random_split is not None:
        lines.append(f"- The guide's random split, which lets the future into training: MAE {random_split:.3f} h.")
    if metadata.get("why"):
        lines.append(f"- Chosen because: {metadata['why']}.")
    if metadata.get("gates"):
        lines += ["", "## Gates", ""]
        lines += [f"- {'passed' if gate['passed'] else '**failed**'}: {gate['reason']}" for gate in metadata["gates"]]
    lines += ["", "## Inputs", "", ", ".join(f"`{name}`" for name in metadata["features"]) or "none"]
    dropped = metadata.get("features_dropped") or {}
    lines += [f"- `{name}` is not used: {reason}." for name, reason in dropped.items()]
    lines += [
        "",
        "## Limits",
        "",
        "Predictions lie between 0.1 and 24 hours. `breaks_taken` is never used: it is only known after a session.",
        "The version says nothing about students or topics unlike those it learned from.",
        "",
    ]
    return "\n".join(lines)


def _baselines(metadata: Mapping[str, Any]) -> list[tuple[str, float]]:
    return list((metadata.get("baselines") or {}).items())
