"""Messages of every kind but a degraded model: what broke, what it means, what to do, and that it is over."""

from collections.abc import Sequence
from datetime import datetime

from studyml.alerting.degraded_message import asked_to_approve
from studyml.alerting.incidents import (
    CONTRACT_BROKEN,
    DEGRADED,
    NIGHT_MISSING,
    NO_NEW_LABELS,
    RETRAINING_FAILING,
    SCORING_LATE,
    TASK_FAILED,
    Incident,
)
from studyml.alerting.message import Links, Message, compose, have_it, moment

#: The section of the runbook about each kind.
SECTIONS = {
    DEGRADED: "degraded",
    CONTRACT_BROKEN: "data-contract-broken",
    NO_NEW_LABELS: "no-new-labels",
    RETRAINING_FAILING: "retraining-keeps-failing",
    SCORING_LATE: "scoring-late-or-incomplete",
    NIGHT_MISSING: "a-night-did-not-run",
    TASK_FAILED: "task-failed",
}
WAITING_SECTION = "a-candidate-waits-for-approval"
WAITING_TITLE = "a new version waits for approval while predictions are degraded"
#: What the breaker does (registry/retraining.breaker_open).
NOT_STARTED = "No other retraining is started on the same data: it takes enough new labels, or studyml retrain --force."
_WHOLE = "Nothing is lost: analysts read the newest predictions that are whole."
#: In place of an Airflow run, where there is none.
WITHOUT_AIRFLOW = "studyml night, without Airflow"
#: What is over by itself once a night finishes does not tell of the weekly upkeep, and the other way round.
UPKEEP_DAG = "studyml_maintenance"
#: How the work of a DAG is done by hand.
_BY_HAND = {
    UPKEEP_DAG: "studyml maintain",
    "studyml_score": "studyml score",
    "studyml_retrain": "studyml retrain",
    "studyml_approve": "studyml versions approve or reject",
    "studyml_tune": "studyml tune",
    "studyml_alerts": "studyml alerts deliver",
}


def failure_message(
    *,
    dag_id: str,
    task_id: str,
    dag_run_id: str,
    as_of: datetime,
    error: str,
    links: Links,
    kind: str = TASK_FAILED,
    recorded: bool = True,
) -> Message:
    """A task that failed for good, with ``kind`` contract_broken since the study app's tables are not as promised.

    Not ``recorded``: our database cannot be used, so that there is no incident.
    """
    broken = kind == CONTRACT_BROKEN
    why = ": the study app's tables are not as promised" if broken else ""
    closes = "a later night finishes without a failed task"
    if broken or dag_id == UPKEEP_DAG:
        closes = "two nights in a row find nothing wrong" if broken else f"{dag_id} ends without a failure"
    by_hand = _BY_HAND.get(dag_id, "studyml night")
    first = "Tell the study app's owners what the error says." if broken else "Do what the error says."
    incident = (
        f"While its incident is open no further message comes about this task. It closes by itself when {closes}."
        if recorded
        else "No incident was opened, since our database cannot be used. For an hour this machine tells you of no other"
        " task of this run."
    )
    return compose(
        f"{dag_id}.{task_id} failed{why}",
        summary=f"The task {task_id} of {dag_id} failed and is not tried again by itself:\n\n{error}",
        facts=[f"Night: {moment(as_of)}.", f"Run: {dag_run_id}."],
        done=[
            _WHOLE if recorded else "While our database cannot be used, analysts may get no predictions.",
            incident,
        ],
        steps=[
            first,
            f"Clear the red task in Airflow, or run {by_hand} again: every task can be repeated, and what follows it"
            " runs too.",
        ],
        links=links.lines(SECTIONS[kind], dag_id, None if dag_run_id == WITHOUT_AIRFLOW else dag_run_id),
    )


def unjudged_message(why: str, *, as_of: datetime, incident_id: int, links: Links) -> Message:
    """There is no verdict, since data that it rests on are impossible."""
    return compose(
        "the night could not be judged",
        summary=f"Nobody knows whether the model is healthy: {why}.",
        facts=[f"Since: the night of {moment(as_of)}."],
        done=["Predictions go out as before. Neither a recovery nor a degradation is seen until this is mended."],
        steps=[
            have_it(incident_id),
            "See which outcomes and predictions: the query in the runbook.",
            "Judge again: clear judge in Airflow",
        ],
        links=links.lines(SECTIONS[CONTRACT_BROKEN], "studyml_nightly"),
    )


def unplanned_message(found: Sequence[str], *, as_of: datetime, incident_id: int, links: Links) -> Message:
    """There is nothing to predict where there was much before; ``found`` says how much."""
    return compose(
        "no session is planned any more",
        summary="The study app plans no session, so that analysts read no prediction.",
        facts=[*found, f"Since: the night of {moment(as_of)}."],
        done=["The incident closes by itself when sessions are planned again, or after a week without any."],
        steps=[
            have_it(incident_id),
            "Ask the study app's owners whether that is so, as after the end of a term.",
        ],
        links=links.lines(SECTIONS[CONTRACT_BROKEN], "studyml_nightly"),
    )


def contract_message(
    found: Sequence[str], *, as_of: datetime, incident_id: int, links: Links, unscored: bool = False
) -> Message:
    """Too much of the source data cannot be used (``found``: sentences).

    ``unscored``: most planned sessions got no prediction for it.
    """
    missed = "Analysts read nothing of those sessions until a night, or studyml score, can predict them."
    consequence = "most planned sessions got no prediction: " if unscored else ""
    return compose(
        f"{consequence}the study app's data break the data contract",
        summary="More of the study app's data than usual cannot be used.",
        facts=[*found, f"Since: the night of {moment(as_of)}."],
        done=[
            *([missed] if unscored else []),
            "Rows that cannot be used are quarantined with their reason, not dropped; a wrong input counts as missing.",
            "The incident closes by itself when new rows are as they should be, two nights in a row.",
        ],
        steps=[
            have_it(incident_id),
            "See which columns and reasons: the query in the runbook.",
            "Tell the study app's owners; what they correct is taken over by the next night.",
        ],
        links=links.lines(SECTIONS[CONTRACT_BROKEN], "studyml_nightly"),
    )


def no_labels_message(
    *, days: float, newest: datetime, due: int, as_of: datetime, incident_id: int, links: Links
) -> Message:
    """No session got an outcome for days; ``due`` sessions should have one."""
    return compose(
        f"no new outcome for {days:.0f} days",
        summary=f"No session has got an outcome for {days:.0f} days: nobody knows how good the predictions are now.",
        facts=[
            f"Newest outcome: seen in the night of {moment(newest)}.",
            f"Sessions dated since then, up to {moment(as_of)}: {due}.",
        ],
        done=["Predictions go out as before. Without new outcomes nothing newer is judged, and nothing retrained."],
        steps=[
            have_it(incident_id),
            "Ask the study app's owners whether sessions are still recorded and their durations still written.",
        ],
        links=links.lines(SECTIONS[NO_NEW_LABELS], "studyml_nightly"),
    )


def retraining_message(*, times: int, reasons: Sequence[str], stopped: bool, incident_id: int, links: Links) -> Message:
    """Retrainings failed or were rejected again and again; ``reasons`` of the newest first."""
    stays = "The champion goes on serving."
    breaker = NOT_STARTED if stopped else "The next retraining is due with enough new labels."
    return compose(
        f"{times} retrainings in a row brought no new version{', no other is started' if stopped else ''}",
        summary=f"The last {times} retrainings failed or were rejected by the gates.",
        facts=list(reasons),
        done=[stays, breaker],
        steps=[
            have_it(incident_id),
            "Read the reasons above; the runbook says what each asks for.",
        ],
        links=links.lines(SECTIONS[RETRAINING_FAILING], "studyml_nightly"),
    )


def waiting_message(*, version: str, deadline: datetime, incident_id: int, links: Links) -> Message:
    """While the model is degraded, a candidate that passed the gates waits for a person."""
    return compose(
        WAITING_TITLE,
        summary=f"The model is degraded (incident {incident_id}). {version} passed the gates and waits for a person.",
        facts=[f"Without an answer it is rejected after {moment(deadline)}."],
        done=["The champion goes on serving."],
        steps=asked_to_approve(version),
        links=links.lines(WAITING_SECTION, "studyml_approve"),
    )


def scoring_message(*, as_of: datetime, found: str, incident_id: int, links: Links) -> Message:
    """A night's predictions are late or incomplete."""
    return compose(
        f"no complete predictions for the night of {moment(as_of)}",
        summary=f"The night of {moment(as_of)} has no complete predictions. {found}",
        done=[
            _WHOLE,
            "The incident closes by itself when a night's predictions are complete.",
        ],
        steps=[
            have_it(incident_id),
            "See which task is red or still running in Airflow, and read the last line of its log.",
            "Predict now: clear score.plan, trigger studyml_score, or run studyml score",
        ],
        links=links.lines(SECTIONS[SCORING_LATE], "studyml_nightly"),
    )


def night_missing_message(
    *, last_as_of: datetime, finished_at: datetime, hours: float, incident_id: int, links: Links
) -> Message:
    """No night has finished for too long."""
    return compose(
        f"no night has finished for {hours:.0f} h",
        summary=f"The last night that finished was that of {moment(last_as_of)}, {hours:.0f} h ago.",
        facts=[f"It finished at {moment(finished_at)}; a night is due every 24 h."],
        done=[
            _WHOLE,
            "What was not observed, judged or retrained since then, the next night makes up for.",
            "The incident closes by itself when a night finishes.",
        ],
        steps=[
            have_it(incident_id),
            "Is studyml_nightly paused, still running, or red? Is the scheduler up?",
            "If Airflow stays down: studyml night",
        ],
        links=links.lines(SECTIONS[NIGHT_MISSING], "studyml_nightly"),
    )


def over_message(incident: Incident, *, note: str, links: Links, by_hand: bool = False) -> Message:
    """An incident is over, and why; closed ``by_hand`` its problem may be there still."""
    done = [*_left(incident), *(["If its problem is found again, you are told."] if by_hand else [])]
    return compose(
        f"over: {incident.title}",
        summary=f"Incident {incident.id} is resolved: {note}.",
        facts=[_since(incident)],
        done=done or ["Nothing is left to do."],
        links=links.lines(SECTIONS[incident.kind], "studyml_nightly"),
    )


def _left(incident: Incident) -> list[str]:
    """What a problem that is over leaves behind."""
    if incident.kind == CONTRACT_BROKEN:
        return [
            "What was refused stays in studyml.quarantined_rows until the study app corrects it: see the query in the"
            " runbook."
        ]
    if incident.kind == SCORING_LATE:
        return ["If that night itself did not finish, the next one observes and judges what it left."]
    if incident.kind == TASK_FAILED and not all(task.startswith(f"{UPKEEP_DAG}.") for task in incident.figures):
        return ["What was not due since has not run again, such as a retraining: if it fails then, you are told anew."]
    return []


def _since(incident: Incident) -> str:
    if not incident.times_reopened:
        return f"It was open since {moment(incident.opened_at)}."
    times = "once" if incident.times_reopened == 1 else f"{incident.times_reopened} times"
    return f"It was first opened at {moment(incident.opened_at)}, and came back {times}."


def escalation_message(incident: Incident, *, hours: float, links: Links) -> Message:
    """Nobody has acknowledged a page."""
    return compose(
        f"not acknowledged for over {hours:g} h: {incident.title}",
        summary=f"Nobody has acknowledged incident {incident.id} for over {hours:g} h. It is about: {incident.title}.",
        facts=[
            _since(incident),
            *([f"Version: {incident.model_version}."] if incident.model_version else []),
        ],
        steps=[
            have_it(incident.id),
            f"Read what was sent about it: studyml alerts show {incident.id}",
        ],
        links=links.lines(SECTIONS[incident.kind], "studyml_nightly"),
    )
