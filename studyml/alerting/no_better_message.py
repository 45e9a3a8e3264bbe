"""The message that the retraining for a degradation did not end it: a person has to decide."""

from collections.abc import Mapping, Sequence
from typing import Any

from studyml.alerting.degraded_message import how_sure
from studyml.alerting.message import Links, Message, compose

_CHAMPION_STAYS = (
    "The champion goes on serving. For this incident no other retraining is made; enough new labels make one due."
)
#: What a retraining for a degradation came to: the title, what is said of it, and what follows.
_NO_HELP = {
    "rejected": (
        "the retraining did not help, a person is needed",
        "the retraining for it brought no better one",
        _CHAMPION_STAYS,
    ),
    "served": (
        "the new version is degraded too, a person is needed",
        "so is the version that was promoted since",
        "It goes on serving. For this incident no other retraining is made; enough new labels make one due.",
    ),
    "tried": (
        "the retraining did not help, a person is needed",
        "the trial of the version that its retraining brought is over: it does not serve",
        _CHAMPION_STAYS,
    ),
    "declined": (
        "the retraining did not help, a person is needed",
        "the version that its retraining brought was not approved",
        _CHAMPION_STAYS,
    ),
    "failed": (
        "the retraining keeps failing, a person is needed",
        "the retraining for it fails again and again",
        "The champion goes on serving. No other retraining is started on the same data: it takes enough new labels, or"
        " studyml retrain --force.",
    ),
}
_SAID = {
    "rejected": "was rejected",
    "tried": "was on trial",
    "declined": "passed the gates and waited for approval",
}
_ENDED = {"abandoned": "was killed"}
_OTHER_DATA = [
    "Look for a change in the source data: see the runbook.",
    "If sessions take longer or shorter for good, wait: a retraining follows as soon as it is sure, with 100"
    " labelled since at the earliest. Or try by hand: studyml retrain --force",
    "If more changed than that, learn from the sessions since alone, once there are about 200:"
    " studyml retrain --force --training-from DATE",
]
_WAIT_FOR_TRIAL = [
    "Wait for the end of that trial, which each night reports: studyml report",
    "Another retraining that passes takes its place: studyml retrain --force",
]


def no_better_message(
    *,
    incident_id: int,
    came_to: str,
    reasons: Sequence[str],
    version: str | None,
    links: Links,
    verdict: Mapping[str, Any] | None = None,
    on_trial: str | None = None,
) -> Message:
    """A retraining for the degradation did not end it.

    ``came_to``: rejected, served (and degraded since), tried, declined, failed, or abandoned, which is a failure too.
    ``verdict`` is the one on the version that served since; ``on_trial`` a version of a later retraining, which the
    next that passes would take the place of.
    """
    title, what, follows = _NO_HELP.get(came_to, _NO_HELP["failed"])
    steps = _OTHER_DATA
    if on_trial is not None:
        title = f"{title.partition(',')[0]}, another version is on trial"
        follows = f"The champion goes on serving, and {on_trial}, of a later retraining, is on trial."
        steps = _WAIT_FOR_TRIAL
    if verdict is not None:
        facts = [
            f"{version} passed the gates, and is off by {verdict['rolling_mae']:.2f} h on average since (MAE); the"
            f" guide's limit is {verdict['threshold']:.2f} h.",
            f"How sure: {how_sure(verdict)}",
        ]
    elif came_to in _SAID:
        facts = [f"The candidate{f' {version}' if version else ''} {_SAID[came_to]}.", *reasons]
    else:
        facts = [f"The retraining {_ENDED.get(came_to, 'failed')}.", *reasons]
        steps = ["Mend what it ended of, then: studyml retrain --force"]
    return compose(
        title,
        summary=f"The model is degraded (incident {incident_id}), and {what}.",
        facts=facts,
        done=[follows],
        steps=[
            f"See what it did: studyml versions report {version}" if version else "studyml report",
            *steps,
        ],
        links=links.lines("degraded", "studyml_nightly"),
    )
