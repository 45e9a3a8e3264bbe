"""A backtest in sentences: what a reader looks at first, what was assumed, what a rule and a decision mean."""

from collections.abc import Mapping, Sequence
from typing import Any

RULES = {"suspected": "the guide's rule", "confirmed": "beyond chance"}
DECISIONS = {
    "promoted": "promoted: it serves from this night on",
    "rejected": "rejected: the champion stays",
    "fallback": "no network passed: a naive predictor serves",
    "challenger": "challenger: it is tried beside the champion",
    "awaiting_approval": "awaiting approval: the champion stays until a person approves",
    "failed": "failed: the champion stays",
}
REASONS = {
    "first": "no version served yet",
    "new_labels": "enough new labels",
    "degraded": "the predictions had degraded",
    "forced": "asked for",
}


def headline(document: Mapping[str, Any]) -> str:
    """What the nights came to, in one sentence; hours."""
    found, served = document["summary"], document["served"]
    more = found["escalations"]
    again = f" (and {counted(more, 'time')} more, since nobody acknowledges here)" if more else ""
    calls = (
        f"In {counted(found['nights'], 'night')} this would have paged you {counted(found['pages'], 'time')}{again} and"
        f" opened {counted(found['tickets'], 'ticket')}; {counted(found['promoted'], 'network')}"
        f" {'was' if found['promoted'] == 1 else 'were'} promoted"
    )
    if not served["n"]:
        return f"{calls}; no session that was predicted had an outcome."
    mae = served["mae"]
    return (
        f"{calls}; the predictions served had a mean absolute error of {mae['served']:.2f} h, against"
        f" {mae['median']:.2f} h of the median and {mae['estimate']:.2f} h of the topic's estimate."
    )


def promotions(deployments: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The changes by which a network came to serve: by its retraining's gates, or at the end of its trial.

    >>> promotions([{"action": "promote", "is_fallback": True}, {"action": "challenge", "is_fallback": False}])
    []
    """
    return [each for each in deployments if each["action"] == "promote" and not each["is_fallback"]]


#: Below this share of its limit, the guide's rule would let an error grow for long before it says a word.
_FAR = 0.67


def findings(document: Mapping[str, Any]) -> list[str]:
    """What a person should know before switching on, beyond the figures; nothing where nothing stands out."""
    judged = [night for night in document["nights"] if night["rolling_mae"] is not None]
    found = []
    if judged:
        worst = max(judged, key=lambda night: night["rolling_mae"] / night["threshold"])
        mae, limit = worst["rolling_mae"], worst["threshold"]
        if mae < _FAR * limit:
            found.append(
                f"The rolling error was never above {mae:.2f} h, and the guide's rule speaks from {limit:.2f} h on: it"
                f" would stay silent while the error grew to {limit / mae:.1f} times that. Set STUDYML_BASELINE_MAE to"
                " what these predictions reach."
            )
    against = document["served"]["against"]
    level = [name for name, each in against.items() if each["ratio"] is not None and each["ratio"] > _NO_BETTER]
    if level:
        found.append(
            f"What was served is hardly better than the {' and the '.join(level)}: on this log a network has little to"
            " learn from."
        )
    return found


#: A ratio of errors above this is no gain worth a network.
_NO_BETTER = 0.97


def counted(number: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "night"), counted(2, "night"), counted(1200, "outcome")
    ('1 night', '2 nights', '1,200 outcomes')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def assumptions(label_delay_hours: float, window_days: int) -> list[str]:
    """What history does not tell and a backtest has to assume."""
    return [
        f"A label arrives {label_delay_hours:g} hours after the end of its session (--label-delay): the study app does"
        " not keep when it really came. No label was ever corrected or removed.",
        "Every session was planned before the first night, and what is known of it, its student and its topic was"
        " known then as it is today.",
        "One night a day, at 01:00 UTC, and none was missed. Nobody acknowledged, silenced or resolved an incident, and"
        " nobody promoted a version by hand.",
        f"The median is that of all labels observed by the night of each prediction; median and estimate are judged on"
        f" the same sessions as what was served. Rolling figures are over {window_days} days of sessions.",
        "Other thresholds are held against the errors as they were: what else they would have caused, such as another"
        " retraining, is not replayed.",
    ]


def ratio_words(ratio: float | None) -> str:
    """A threshold for a person; None: the night's own limit.

    >>> ratio_words(1.25), ratio_words(None)
    ('1.25', 'beyond chance')
    """
    return "beyond chance" if ratio is None else f"{ratio:g}"


def verdict_words(verdict: str) -> str:
    """A verdict for a person.

    >>> verdict_words("insufficient_data")
    'insufficient data'
    """
    return verdict.replace("_", " ")
