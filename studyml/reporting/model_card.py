"""The model card: what a version is, in words, from its metadata."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PREDICTORS = {
    "log_linear": "log-linear regression (reported, not a gate)",
    "median": "the training median",
    "estimate": "the topic's estimated_base_time",
}


def write_model_card(path: Path, metadata: Mapping[str, Any]) -> None:
    """Write the card of a network or a fallback as Markdown."""
    path.write_text(_card(metadata), encoding="utf-8")


def _card(metadata: Mapping[str, Any]) -> str:
    kind = "a fallback, the naive predictor" if metadata["is_fallback"] else f"a network, `{metadata['architecture']}`"
    sections = [
        [f"# {metadata['version']}"],
        [
            f"A study time predictor ({kind}, recipe `{metadata['recipe']}`). It says how many hours a planned study",
            "session will take, from what is known before the session.",
        ],
        _origin(metadata),
        _errors(metadata),
        _gates(metadata),
        ["## Inputs", "", *_inputs(metadata)],
        [
            "## Limits",
            "",
            "- Predictions lie between 0.1 and 24 hours.",
            "- It knows students and topics by their features only: about ones unlike those it learned from it says"
            " nothing sure.",
            "- `breaks_taken` is never used: it is known only after a session.",
        ],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _origin(metadata: Mapping[str, Any]) -> list[str]:
    lines = [
        f"- Trained at {_moment(metadata['trained_at'])} for the night of {_moment(metadata['as_of'])}.",
        f"- Learned from {metadata['training_samples']} labelled sessions.",
    ]
    if metadata.get("data_window"):
        first, last = metadata["data_window"]
        lines.append(f"- Its data, holdout included, are from {first[:10]} to {last[:10]}.")
    if metadata.get("why"):
        lines.append(f"- Why it serves: {metadata['why']}.")
    return lines


def _moment(text: str) -> str:
    return f"{text[:16].replace('T', ' ')} UTC"


def _errors(metadata: Mapping[str, Any]) -> list[str]:
    metrics = metadata.get("metrics") or {}
    baselines = {name: value for name, value in (metadata.get("baselines") or {}).items() if value is not None}
    if not baselines:
        return []
    rows = [(_PREDICTORS.get(name, name), value) for name, value in baselines.items()]
    if metrics.get("champion_mae") is not None:
        rows.append((f"the champion then, {metrics['champion_version']}", metrics["champion_mae"]))
    if not metadata["is_fallback"]:
        mae = metadata.get("mae")
        rows.append(("**this version**", float("inf") if mae is None else mae))
    shown = sorted(rows, key=lambda row: row[1])
    table = [f"| {name} | {'not finite' if value == float('inf') else f'{value:.3f}'} |" for name, value in shown]
    judged = "Chosen on" if metadata["is_fallback"] else "On"
    unseen = "" if metadata["is_fallback"] else ", the newest ones, from which it did not learn"
    lines = ["## Error", "", f"{judged} {metadata['holdout_samples']} labelled sessions{unseen}.", ""]
    lines += ["| predictor | MAE, hours |", "|---|---|", *table]
    if metadata.get("rmse") is not None:
        lines += ["", f"Its RMSE there is {metadata['rmse']:.3f} h."]
    if metrics.get("random_split_mae") is not None:
        lines += [
            "",
            f"On the guide's random split the MAE is {metrics['random_split_mae']:.3f} h: not comparable, since that",
            "lets the future into training.",
        ]
    return lines


def _gates(metadata: Mapping[str, Any]) -> list[str]:
    gates = metadata.get("gates")
    if not gates:
        return []
    return [
        "## Gates",
        "",
        *(f"- {'passed' if gate['passed'] else '**failed**'}: {gate['reason']}." for gate in gates),
    ]


def _inputs(metadata: Mapping[str, Any]) -> list[str]:
    levels: dict[str, list[str]] = {}
    for name in metadata["features"]:
        feature, _, level = name.partition("=")
        words = "whether it is missing" if level == "missing" else level
        levels.setdefault(feature, []).extend([words] if words else [])
    used = [f"- `{feature}`{': ' + ', '.join(known) if known else ''}" for feature, known in levels.items()]
    dropped = metadata.get("features_dropped") or {}
    return [*used, *(f"- not used: `{name}`, {reason}" for name, reason in dropped.items())]
