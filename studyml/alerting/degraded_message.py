"""Messages about a degraded model: opened, and recovered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from studyml.alerting.message import Links, Message, compose, have_it, moment

#: How every title about a degradation itself begins, whatever its figures.
DEGRADED_TITLE = "predictions degraded"
#: When a person is asked, once for an incident: of a retraining that is ahead, and of one that was decided.
NO_HELP_YET, A_PERSON = "when the retraining did not help", "when a person has to decide"
#: Where each promotion is approved by a person.
TO_APPROVE = f"when a version waits for approval, {NO_HELP_YET}"


@dataclass(frozen=True)
class Findings:
    """What a message about a degradation rests on.

    ``verdict`` is a row of ``studyml monitor --json``: errors in hours, shares from 0 to 1; ``last_healthy`` is (as_of,
    MAE in hours) of the newest healthy night; ``slices`` and ``moved`` are sentences, the worst first; ``retraining``
    says what was done about it.

    ``all_served`` is the MAE, hours, and the outcomes of all that was served, where the verdict is on others: all that
    the version predicted.

    ``back_since`` is the night in which a problem that was over came back; ``judged_before`` whether any earlier night
    was judged; ``retraining_ahead`` whether a retraining has yet to be decided; ``asks`` when a person is asked, if so;
    ``waiting`` is the version that waits for approval.
    """

    verdict: Mapping[str, Any]
    since: datetime
    version: str
    window_days: int
    baseline_ratio: float
    last_healthy: tuple[datetime, float] | None
    all_served: tuple[float, int] | None = None
    slices: Sequence[str] = ()
    moved: Sequence[str] | None = None
    report: str | None = None
    run_id: str | None = None
    retraining: str = "a retraining is due for it, once; its version serves only if it passes the gates"
    back_since: datetime | None = None
    judged_before: bool = True
    retraining_ahead: bool = True
    asks: str = NO_HELP_YET
    waiting: str | None = None


def degraded_message(found: Findings, links: Links, *, incident_id: int, pages: bool) -> Message:
    """The message that opens an incident; ``incident_id`` 0 where it is not known yet."""
    verdict = found.verdict
    mae = verdict["rolling_mae"]
    return compose(
        f"{DEGRADED_TITLE} ({verdict['verdict']}): {_how_far(verdict)}",
        summary=(
            f"{_whose(found)} of the last {found.window_days} days were off by {mae:.2f} h on average (MAE)."
            f" The guide's limit is {verdict['threshold']:.2f} h, {found.baseline_ratio:g} x the baseline of"
            f" {verdict['baseline_mae']:.2f} h."
        ),
        facts=[
            f"How sure: {how_sure(verdict)}",
            *_direction(verdict),
            f"Since: {_since(found)}.",
            f"Version: {found.version}{_tested(verdict)}.",
            *_all_served(found),
            *_causes(found),
        ],
        done=[
            "Nothing is down: predictions are served as before, only less exact.",
            f"Done: {found.retraining}.",
            _what_comes(found, pages),
        ],
        steps=[
            have_it(incident_id),
            *_look(found),
        ],
        links=links.lines("degraded", "studyml_nightly", found.run_id, found.report),
    )


def _whose(found: Findings) -> str:
    return "Predicted study times" if found.all_served is None else f"Study times that {found.version} predicted"


def _all_served(found: Findings) -> list[str]:
    if found.all_served is None:
        return []
    mae, n = found.all_served
    return [f"All that was served in these days, by whichever version: off by {mae:.2f} h, over {n} outcomes."]


def _how_far(verdict: Mapping[str, Any]) -> str:
    if verdict["verdict"] == "confirmed" and verdict.get("error_ratio"):
        return f"errors {verdict['error_ratio']:.2f} x what is normal ({verdict['error_ratio_n']} outcomes)"
    mae = verdict["rolling_mae"]
    return f"off by {mae:.2f} h on average, {mae / verdict['baseline_mae']:.2f} x the baseline"


def how_sure(verdict: Mapping[str, Any]) -> str:
    """How much more than chance a verdict is, in words."""
    covered = verdict.get("coverage")
    labelled = "" if covered is None else f"; {covered:.0%} of the sessions that should have an outcome have one"
    counted = f"{verdict['n']} outcomes{labelled}. {_interval(verdict)}"
    ratio, limit = verdict.get("error_ratio"), verdict.get("error_ratio_limit")
    if ratio is None or limit is None:
        return f"by the guide's rule alone, {counted}"
    measured = (
        f"errors of this version are {ratio:.2f} x what they were when it was tested, over"
        f" {verdict['error_ratio_n']} outcomes of the last {verdict['error_ratio_days']} days; chance explains up to"
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


def _look(found: Findings) -> list[str]:
    if found.waiting is not None:
        return asked_to_approve(found.waiting)
    if not found.retraining_ahead:
        return ["Look for changed source data: see the runbook."]
    return [
        "When the night has finished, see what the retraining decided: studyml report",
        "If it was rejected, or the error jumped: look for changed source data, see the runbook.",
    ]


def asked_to_approve(version: str) -> list[str]:
    """What a person does about a version that waits for approval."""
    return [
        f"See what it does: studyml versions report {version}",
        f"Say yes or no in Airflow (Required Actions), or: studyml versions approve {version} --reason ...",
        "After yes by the command: studyml score",
    ]


def _since(found: Findings) -> str:
    since = f"the night of {moment(found.since)}"
    if found.back_since is not None:
        since = f"{since} at first; it was closed, and is back since the night of {moment(found.back_since)}"
    if found.last_healthy is None:
        none = "no earlier night was judged healthy"
        return f"{since}; {none if found.judged_before else 'no earlier night had enough outcomes to be judged'}"
    night, error = found.last_healthy
    # One healthy night alone does not end an incident.
    if found.back_since is None and night > found.since:
        return f"{since}; in between, the night of {moment(night)} was healthy, with {error:.2f} h"
    scope = "" if found.all_served is None else "all that was served was "
    return f"{since}; {scope}last healthy in the night of {moment(night)}, with {error:.2f} h"


def _tested(verdict: Mapping[str, Any]) -> str:
    expected = verdict.get("expected_mae")
    return "" if expected is None else f", which was off by {expected:.2f} h when it was tested"


def _causes(found: Findings) -> list[str]:
    worst = [f"Worst: {'; '.join(found.slices)}."] if found.slices else []
    if found.moved is None:
        return worst
    moved = "; ".join(found.moved) or "no feature beyond chance"
    return [*worst, f"Moved since training: {moved}."]


def _what_comes(found: Findings, pages: bool) -> str:
    first = "when nobody acknowledges it" if pages else "when it is confirmed"
    more = f", {found.asks}," if found.asks else ""
    return f"Another message comes only {first}{more} and when it is over."


def recovered_message(
    *,
    incident_id: int,
    opened_as_of: datetime,
    as_of: datetime,
    times_reopened: int,
    verdict: Mapping[str, Any],
    version: str,
    links: Links,
) -> Message:
    """The degradation is over, which came back ``times_reopened`` times."""
    lasted = f"It lasted from the night of {moment(opened_as_of)} to that of {moment(as_of)}."
    if times_reopened:
        times = "once" if times_reopened == 1 else f"{times_reopened} times"
        lasted = f"It was first found in the night of {moment(opened_as_of)}, and came back {times}."
    return compose(
        f"recovered: predictions are off by {verdict['rolling_mae']:.2f} h on average",
        summary=(
            f"Incident {incident_id} is resolved: {version} is healthy, off by {verdict['rolling_mae']:.2f} h on"
            f" average over {verdict['n']} outcomes."
        ),
        facts=[lasted],
        done=["Nothing is left to do."],
        links=links.lines("degraded", "studyml_nightly"),
    )
