"""Messages about a degraded model: opened, no better after a retraining, recovered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from studyml.alerting.message import Links, Message, compose, moment


@dataclass(frozen=True)
class Findings:
    """What a message about a degradation rests on.

    ``verdict`` is a row of ``studyml monitor --json``: errors in hours, shares from 0 to 1; ``last_healthy`` is (as_of,
    MAE in hours) of the newest healthy night; ``slices`` and ``moved`` are sentences, the worst first; ``retraining``
    says what was done about it.
    """

    verdict: Mapping[str, Any]
    since: datetime
    version: str
    window_days: int
    baseline_ratio: float
    last_healthy: tuple[datetime, float] | None
    slices: Sequence[str] = ()
    moved: Sequence[str] | None = None
    report: str | None = None
    run_id: str | None = None
    retraining: str = "a retraining is due for it, once; its version serves only if it passes the gates"


def degraded_message(found: Findings, links: Links, *, incident_id: int, pages: bool) -> Message:
    """The message that opens an incident; ``incident_id`` 0 where it is not known yet."""
    verdict = found.verdict
    mae = verdict["rolling_mae"]
    return compose(
        f"predictions degraded ({verdict['verdict']}): off by {mae:.2f} h on average, {_how_far(verdict)}",
        summary=(
            f"Predicted study times of the last {found.window_days} days were off by {mae:.2f} h on average (MAE)."
            f" The guide's limit is {verdict['threshold']:.2f} h, {found.baseline_ratio:g} x the baseline of"
            f" {verdict['baseline_mae']:.2f} h."
        ),
        facts=[
            f"How sure: {_how_sure(verdict)}",
            *_direction(verdict),
            f"Since: the night of {moment(found.since)}; {_before(found.last_healthy)}.",
            f"Version: {found.version}{_tested(verdict)}.",
            *_causes(found),
        ],
        done=[
            "Nothing is down: predictions are served as before, only less exact.",
            f"Done: {found.retraining}.",
            _what_comes(pages),
        ],
        steps=[
            f"Say that you have it: studyml alerts ack {incident_id or 'ID'}",
            "When the night has finished, see what the retraining decided: studyml report",
            "If it was rejected, or the error jumped: look for changed source data, see the runbook.",
        ],
        links=links.lines("degraded", "studyml_nightly", found.run_id, found.report),
    )


def _how_far(verdict: Mapping[str, Any]) -> str:
    if verdict["verdict"] == "confirmed" and verdict.get("error_ratio"):
        return f"{verdict['error_ratio']:.2f} x what is normal for the version"
    return f"{verdict['rolling_mae'] / verdict['baseline_mae']:.2f} x the baseline"


def _how_sure(verdict: Mapping[str, Any]) -> str:
    covered = verdict.get("coverage")
    labelled = "" if covered is None else f"; {covered:.0%} of the sessions that should have an outcome have one"
    counted = f"{verdict['n']} outcomes{labelled}. {_interval(verdict)}"
    ratio, limit = verdict.get("error_ratio"), verdict.get("error_ratio_limit")
    if ratio is None or limit is None:
        return f"by the guide's rule alone, {counted}"
    measured = (
        f"errors of this version are {ratio:.2f} x what they were when it was tested, over"
        f" {verdict['error_ratio_n']} outcomes of {verdict['error_ratio_days']} days; chance explains up to"
        f" {limit:.2f} x"
    )
    if verdict["verdict"] == "confirmed":
        return f"beyond chance: {measured}. {counted}"
    return f"by the guide's rule alone, which also rings for healthy models: {measured}. {counted}"


def _interval(verdict: Mapping[str, Any]) -> str:
    lower, upper = verdict.get("rolling_mae_lower"), verdict.get("rolling_mae_upper")
    bounds = "" if lower is None or upper is None else f"The true MAE is between {lower:.2f} and {upper:.2f} h (95 %)."
    return bounds or f"RMSE {verdict['rolling_rmse']:.2f} h."


def _direction(verdict: Mapping[str, Any]) -> list[str]:
    bias = verdict.get("rolling_bias")
    if bias is None:
        return []
    return [f"Direction: sessions took {abs(bias):.2f} h {'longer' if bias > 0 else 'less'} than predicted on average."]


def _before(last_healthy: tuple[datetime, float] | None) -> str:
    if last_healthy is None:
        return "no night before it was judged healthy"
    return f"last healthy in the night of {moment(last_healthy[0])}, with {last_healthy[1]:.2f} h"


def _tested(verdict: Mapping[str, Any]) -> str:
    expected = verdict.get("expected_mae")
    return "" if expected is None else f", which was off by {expected:.2f} h when it was tested"


def _causes(found: Findings) -> list[str]:
    worst = [f"Worst: {'; '.join(found.slices)}."] if found.slices else []
    if found.moved is None:
        return worst
    moved = "; ".join(found.moved) or "no feature beyond chance"
    return [*worst, f"Moved since training: {moved}."]


def _what_comes(pages: bool) -> str:
    more = (
        "when nobody acknowledges it, when the retraining did not help, and when it is over"
        if pages
        else "when it is confirmed, when the retraining did not help, and when it is over"
    )
    return f"Another message comes only {more}."


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
        "so is the version that its retraining brought",
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
    "abandoned": "was abandoned",
    "tried": "was on trial",
    "declined": "passed the gates and waited for approval",
}


def no_better_message(
    *, incident_id: int, came_to: str, reasons: Sequence[str], version: str | None, links: Links
) -> Message:
    """A retraining for the degradation did not end it: a person has to decide.

    ``came_to``: rejected, served (and degraded since), tried, declined, failed, or abandoned, which is a failure too.
    """
    title, what, follows = _NO_HELP.get(came_to, _NO_HELP["failed"])
    if came_to == "served":
        facts = [f"{version} passed the gates, and is off by more than its limit since."]
    else:
        facts = [f"The candidate{f' {version}' if version else ''} {_SAID.get(came_to, 'failed')}.", *reasons]
    return compose(
        title,
        summary=f"The model is degraded (incident {incident_id}), and {what}.",
        facts=facts,
        done=[follows],
        steps=[
            f"See what it did: studyml versions report {version}" if version else "studyml report",
            "Look for a change in the source data: see the runbook.",
            "Try other settings by hand: studyml retrain --force",
        ],
        links=links.lines("degraded", "studyml_nightly"),
    )


def recovered_message(
    *, incident_id: int, opened_as_of: datetime, as_of: datetime, verdict: Mapping[str, Any], version: str, links: Links
) -> Message:
    """The degradation is over."""
    return compose(
        f"recovered: predictions are off by {verdict['rolling_mae']:.2f} h on average",
        summary=(
            f"Incident {incident_id} is resolved: {version} is healthy, off by {verdict['rolling_mae']:.2f} h on"
            f" average over {verdict['n']} outcomes."
        ),
        facts=[f"It lasted from the night of {moment(opened_as_of)} to that of {moment(as_of)}."],
        done=["Nothing is left to do."],
        links=links.lines("degraded", "studyml_nightly"),
    )
