"""What a person should know of a version: the sentences of its report, made from the figures in it."""

from collections.abc import Iterator, Mapping
from typing import Any

#: The error that the guide reports for its network, hours: on a random split of its own simulated sessions.
GUIDE_MAE = 0.99
NAMES = {
    "network": "the network",
    "median": "the training median",
    "estimate": "the topic's estimated_base_time",
    "log_linear": "log-linear regression",
    "champion": "the champion of that night",
}
#: A coverage further from the nominal one than this many standard errors is not chance.
SURE = 2.0
_ABSENT = {
    "learning_curves": "The files of this version hold no learning curves.",
    "cross_validation": "The files of this version hold no out-of-fold predictions, so there is no cross-validation.",
    "importance": "The importance of the features was not measured for this version.",
    "diagnosis": "The training of this version was not diagnosed.",
}
#: What only a trained network has.
_OF_NETWORKS = ("learning_curves", "cross_validation", "importance", "diagnosis")


def add_words(document: dict[str, Any]) -> dict[str, Any]:
    """The document with its verdict, its headline, what a person should know, and what is missing."""
    absent = [] if document["is_fallback"] else [_ABSENT[name] for name in _OF_NETWORKS if document[name] is None]
    return document | {
        "verdict": _verdict(document),
        "headline": _headline(document),
        "know": list(_know(document)),
        "weakest": [slice_words(*each) for each in worst_slices(document["slices"] or [])],
        "missing": [*absent, *document["missing"]],
    }


def _verdict(document: Mapping[str, Any]) -> dict[str, Any]:
    gates = document["gates"]
    if document["is_fallback"]:
        return {"passed": None, "sentence": "A fallback: the naive predictor that serves until a network is better."}
    if not gates:
        return {"passed": None, "sentence": "It has not been judged by the gates."}
    failed = [gate for gate in gates if not gate["passed"]]
    if not failed:
        return {"passed": True, "sentence": f"It passed all {len(gates)} gates."}
    words = "; ".join(str(gate["reason"]) for gate in failed)
    return {"passed": False, "sentence": f"It failed {len(failed)} of {len(gates)} gates: {words}."}


def _headline(document: Mapping[str, Any]) -> str:
    rows = document["holdout_rows"]
    if not rows:
        return "There is no labelled session to judge it on."
    if document["errors"] is None:
        return f"Its predictions for the {rows} held-out sessions are not all finite: it has no error to report."
    own = _own(document)
    judged = "sessions it was chosen on" if document["is_fallback"] else "newest sessions, which it never saw"
    others = [
        f"{each['ratio']:.2f} times that of {NAMES.get(each['predictor'], each['predictor'])} ({each['mae']:.2f} h)"
        for each in document["errors"]
        if not each["own"] and each["ratio"] is not None and each["predictor"] in ("median", "estimate", "champion")
    ]
    difference = own["mae"] - GUIDE_MAE
    more = "more" if difference > 0 else "less"
    word = "as much as" if abs(difference) < 0.005 else f"{abs(difference):.2f} h {more} than"
    return (
        f"Its mean absolute error on the {rows:,} {judged}, is {own['mae']:.2f} h"
        f"{': ' + _listed(others) if others else ''}; that is {word} the guide's {GUIDE_MAE} h,"
        " which a random split of simulated sessions gave."
    )


def _know(document: Mapping[str, Any]) -> Iterator[str]:
    yield from _levels(document["level_changes"] or [])
    if document["errors"] is None:
        return
    left = document["residuals"]
    yield (
        f"Half of its predictions are within {_length(left['half_within_hours'])} of what the session took, nine of"
        f" ten within {_length(left['nine_of_ten_within_hours'])}."
    )
    yield _bias(left)
    if document["cross_validation"] is not None:
        yield from _folds(document["cross_validation"])
    yield from _weakest(document["slices"])
    yield from _newcomers(document["slices"])
    yield from _intervals(document["calibration"])


def _levels(changes: list[dict[str, Any]]) -> Iterator[str]:
    """What happened on each day of change, and what was made of the sessions before the newest."""
    factors = [*(each["factor"] for each in changes), 1.0]
    for each, before, after in zip(changes, factors, factors[1:], strict=False):
        yield f"From {each['since'][:10]} on sessions take {before / after:.2f} times as long as before."
    if changes:
        sessions = sum(each["sessions"] for each in changes)
        yield (
            f"It learned from, and its folds are judged on, the {sessions:,} training sessions before"
            f" {changes[-1]['since'][:10]} as if they had been like those since."
        )


def _bias(left: Mapping[str, Any]) -> str:
    if left["standard_error"] is None:
        return f"Its mean residual is {left['mean']:+.2f} h; the students are too few to say whether that is chance."
    if abs(left["mean"]) <= SURE * left["standard_error"]:
        return f"It is neither too long nor too short beyond chance (mean residual {left['mean']:+.2f} h)."
    word = "longer" if left["mean"] > 0 else "shorter"
    return f"Sessions take {word} than it says: by {_length(abs(left['mean']))} in the mean, which is more than chance."


def _folds(found: Mapping[str, Any]) -> Iterator[str]:
    summary = {each["predictor"]: each for each in found["summary"]}
    own = summary["network"]
    naive = [each for each in (summary.get("median"), summary.get("estimate")) if each and each["mean"] is not None]
    if own["mean"] is None or not naive:
        return
    best = min(naive, key=lambda each: float(each["mean"]))
    spread = "" if own["deviation"] is None else f" ± {own['deviation']:.2f}"
    unseen = "that its networks had not learned from, though each was stopped where its own fold's error was lowest"
    if not found["stopped_on_own_fold"]:
        unseen = "that its networks had not seen"
    yield (
        f"Across {len(found['folds'])} folds of students {unseen}, the error is"
        f" {own['mean']:.2f}{spread} h; {NAMES[best['predictor']]} has {best['mean']:.2f} h there."
    )


def _judged(slices: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for dimension in slices:
        # Cut by what happened, every predictor looks weak at the ends: that names no weakness.
        if dimension["dimension"] != "actual_length":
            for each in dimension["slices"]:
                if not each["too_small"] and each["ratio"] is not None:
                    yield dimension["title"], each


def worst_slices(slices: list[dict[str, Any]], most: int = 3) -> list[tuple[str, dict[str, Any]]]:
    """The slices of enough rows where the version does worst against the naive predictor there, the worst first."""
    return sorted(_judged(slices), key=lambda found: -float(found[1]["ratio"]))[:most]


def _weakest(slices: list[dict[str, Any]]) -> Iterator[str]:
    found = worst_slices(slices, 1)
    if found:
        yield f"It is weakest for {slice_words(*found[0])}."
    worse = [each for _, each in _judged(slices) if each["verdict"] == "worse than naive"]
    count = len(list(_judged(slices)))
    if worse:
        yield (
            f"In {len(worse)} of {count} slices it is worse than the better naive predictor there; chance alone makes"
            f" about {max(1, round(count / 20))} of so many look so."
        )


def slice_words(title: str, found: Mapping[str, Any]) -> str:
    """One slice in words, with its interval and whether it may be chance."""
    interval = (
        ""
        if found["ratio_lower"] is None
        else f", 90 % interval {found['ratio_lower']:.2f} to {found['ratio_upper']:.2f}, {found['verdict']}"
    )
    name = found["label"] if found["label"].endswith(title.lower()) else f"{title.lower()} {found['label']}"
    return (
        f"{name} ({found['rows']} sessions): MAE {found['mae']:.2f} h,"
        f" {found['ratio']:.2f} times the better naive predictor there{interval}"
    )


def _newcomers(slices: list[dict[str, Any]]) -> Iterator[str]:
    for dimension in slices:
        if dimension["dimension"] != "student":
            continue
        found = {each["label"]: each for each in dimension["slices"]}
        known, new = found.get("returning student"), found.get("new student")
        if new is None:
            yield "Every student of the holdout had returned: it shows nothing about students without a past."
        elif known is None:
            yield "No student of the holdout had an outcome before: it shows nothing about returning students."
        else:
            few = ", too few to judge" if new["too_small"] else ""
            yield (
                f"For the {new['rows']} sessions of students without a past the MAE is {new['mae']:.2f} h{few}; for"
                f" returning students it is {known['mae']:.2f} h."
            )


def _intervals(calibration: Mapping[str, Any]) -> Iterator[str]:
    found = calibration["holdout"]
    if found is None:
        yield "The rows are too few to say whether its intervals hold what they promise."
        return
    parts: list[str] = []
    off: list[str] = []
    for each in found["overall"]:
        verb = "" if parts else " lie"
        parts.append(f"{100 * each['actual']:.0f} %{verb} in the {100 * each['nominal']:.0f} % interval")
        if abs(each["actual"] - each["nominal"]) > SURE * each["standard_error"]:
            off.append("too narrow" if each["actual"] < each["nominal"] else "too wide")
    words = "that is as promised, within chance"
    if off:
        words = f"these are {off[0]}, by more than chance; what serves was moved by it"
    yield f"Of the held-out sessions, {_listed(parts)}, where {found['source']}: {words}."


def _own(document: Mapping[str, Any]) -> Mapping[str, Any]:
    own: Mapping[str, Any] = next(each for each in document["errors"] if each["own"])
    return own


def _length(hours: float) -> str:
    return f"{hours * 60:.0f} minutes" if hours < 1 else f"{hours:.1f} h"


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
