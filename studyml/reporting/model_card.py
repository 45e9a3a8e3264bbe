"""The model card: what a version is, in words, from its metadata and its evaluation."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studyml.hyperparameters import WITHOUT_EFFECT

_PREDICTORS = {
    "log_linear": "log-linear regression (reported, not a gate)",
    "median": "the training median",
    "estimate": "the topic's estimated_base_time",
}
#: Where a recipe's field is called otherwise than the hyperparameter.
_AS_FIELD = {"dropout": "dropouts"}

_INTENDED = (
    "## Intended use",
    "",
    "- To plan: how long will this session of this student take?",
    "- Not for judging, grading, ranking or rewarding students or teachers: it predicts a length, not effort, ability"
    " or worth, and a session that takes longer than it says is no fault.",
    "- Not for anything that cannot bear an error as large as the one below.",
)
_LIMITS = (
    "## Limits",
    "",
    "- Predictions lie between 0.1 and 24 hours.",
    "- About students and topics unlike those it learned from it says nothing sure.",
    "- `breaks_taken` is never used: it is known only after a session.",
    "- It repeats what its data hold: where a group of students was recorded rarely, or differently, it is weaker.",
)
_ETHICS = (
    "## People in the data",
    "",
    "- No name and no e-mail address is in its files or its snapshot; sessions and students are numbers.",
)
_USES_HISTORY = (
    "- It uses what each student needed in earlier sessions, for that student's own predictions: `studyml explain"
    " --session ID` shows it."
)
_USES_GROUPS = (
    "- It uses the students' {used}: read its error by education level, in the evaluation, before relying on it for a"
    " group."
)
_CHECKING = (
    "## To check, to explain, to go back",
    "",
    "- Why it predicts what it predicts: `studyml explain --version {version}`, for one session with `--session ID`.",
    "- Whether its files are whole: `studyml versions verify {version}`.",
    "- To serve another version instead: `studyml versions promote VERSION --reason WHY`.",
)


def write_model_card(path: Path, metadata: Mapping[str, Any], evaluation: Mapping[str, Any] | None = None) -> None:
    """Write the card of a network or a fallback as Markdown; ``evaluation`` is its ``evaluation.json``."""
    path.write_text(_card(metadata, evaluation), encoding="utf-8")


def _card(metadata: Mapping[str, Any], evaluation: Mapping[str, Any] | None) -> str:
    kind = "a fallback, the naive predictor" if metadata["is_fallback"] else f"a network, `{metadata['architecture']}`"
    sections = [
        [f"# {metadata['version']}"],
        [
            f"A study time predictor ({kind}, recipe `{metadata['recipe']}`). It says how many hours a planned study",
            "session will take, from what is known before the session.",
        ],
        _INTENDED,
        ["## Data and training", "", *_origin(metadata), *_training(metadata)],
        _errors(metadata),
        _quality(evaluation),
        _gates(metadata),
        ["## Inputs", "", *_inputs(metadata)],
        _LIMITS,
        _ethics(metadata),
        _checking(metadata["version"], evaluation),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _ethics(metadata: Mapping[str, Any]) -> list[str]:
    meeting = {feature for pair in (metadata.get("products") or {}).values() for feature in pair}
    features = meeting | {name.partition("=")[0] for name in metadata["features"]}
    used = [words for name, words in (("age", "age"), ("education_level", "education level")) if name in features]
    history = any(name.startswith("previous_") or "_history_" in name or "_recent_" in name for name in features)
    lines = [*_ETHICS, *([_USES_HISTORY] if history else [])]
    return [*lines, *([_USES_GROUPS.format(used=" and ".join(used))] if used else [])]


def _checking(version: str, evaluation: Mapping[str, Any] | None) -> list[str]:
    heading, empty, *lines = (line.format(version=version) for line in _CHECKING)
    whole = f"- The whole evaluation: `evaluation.html` beside this file, or `studyml versions report {version}`."
    return [heading, empty, *([] if evaluation is None else [whole]), *lines]


def _training(metadata: Mapping[str, Any]) -> list[str]:
    lines = []
    tried = metadata.get("portfolio") or []
    if tried:
        names = ", ".join(f"`{each['architecture']}` × `{each['recipe']}`" for each in tried)
        lines.append(f"- Tried: {names}; taken was the one with the lowest out-of-fold error on the newest rows.")
    used = metadata.get("hyperparameters") or {}
    ignored = {_AS_FIELD.get(name, name) for name in WITHOUT_EFFECT.get(metadata["architecture"], ())}
    if used:
        words = ", ".join(
            f"{name} {value}" for name, value in used.items() if value is not None and name not in ignored
        )
        lines.append(f"- Trained with: {words}.")
    if metadata.get("seed") is not None:
        lines.append(f"- The same snapshot and the seed {metadata['seed']} give the same network on the same machine.")
    return lines


def _quality(evaluation: Mapping[str, Any] | None) -> list[str]:
    if evaluation is None or not evaluation.get("know"):
        return []
    lines = ["## What a person should know", "", evaluation["headline"], ""]
    lines += [f"- {_line(each)}" for each in evaluation["know"]]
    lines += [f"- Found in its training: {_line(each['sentence'])}" for each in evaluation.get("diagnosis") or []]
    if evaluation.get("weakest"):
        lines += ["", "Where it is weakest, against the better naive predictor on the same sessions:", ""]
        lines += [f"- {_line(each)}" for each in evaluation["weakest"]]
    return lines


def _line(words: str) -> str:
    """Words as one line of a list: a subject from the source cannot end it, nor become a tag."""
    return " ".join(words.split()).replace("<", "&lt;")


def _origin(metadata: Mapping[str, Any]) -> list[str]:
    lines = [
        f"- Trained at {_moment(metadata['trained_at'])} for the night of {_moment(metadata['as_of'])}.",
        f"- Learned from {metadata['training_samples']} labelled sessions.",
    ]
    if metadata.get("data_window"):
        first, last = metadata["data_window"]
        lines.append(f"- Its data, holdout included, are from {first[:10]} to {last[:10]}.")
    if metadata.get("training_from"):
        lines.append(f"- Sessions before {metadata['training_from']} were left out (`STUDYML_TRAINING_FROM`).")
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
    products: Mapping[str, list[str]] = metadata.get("products") or {}
    for name in (each for each in metadata["features"] if each not in products):
        feature, _, level = name.partition("=")
        words = "whether it is missing" if level == "missing" else level
        levels.setdefault(feature, []).extend([words] if words else [])
    used = [f"- `{feature}`{': ' + ', '.join(known) if known else ''}" for feature, known in levels.items()]
    pairs = Counter(tuple(pair) for pair in products.values())
    together = [
        f"- `{first}` with `{second}`, where they meet: {count} input{'s' * (count != 1)}"
        for (first, second), count in pairs.items()
    ]
    dropped = metadata.get("features_dropped") or {}
    return [*used, *together, *(f"- not used: `{name}`, {reason}" for name, reason in dropped.items())]
