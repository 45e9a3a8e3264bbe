"""# Ask a person about a candidate

With `STUDYML_PROMOTION=approve`, a candidate that passed the gates serves only after a person said so.

## What

`present` finds the candidate that waits and writes down its evaluation. `approve` waits for a person: open the task
(or *Required Actions*), read, and press *Approve* or *Reject*. *Approve*: `promote` verifies the files, judges again
where another champion serves by now, and makes it champion; `studyml_score` predicts anew. *Reject*, or no answer
within `STUDYML_APPROVAL_HOURS` of the retraining's decision: `keep_champion` records who said so, and nothing changes
for users.

A newer candidate that passes takes the place of the one that waits, and is asked about at once. What is answered to
the older question then, or to one that `studyml versions approve` or `reject` answered before, changes nothing: the
task is skipped, and the last line of its log says so.

## When

When a retraining has brought a candidate that waits (the Asset `studyml_candidate`), and by hand. Nights go on
meanwhile.

## Params

- `version`: the candidate to ask about. Empty: the one that waits.

## Example

    airflow dags trigger studyml_approve

## When it fails

The champion stays and the candidate waits on. Read the last line of the red task's log, mend what it names, and *Clear*
that task. Without Airflow: `studyml versions approve VERSION --reason WHY`, or `reject`. More: the runbook,
`docs/runbook.md`.
"""

from typing import Any

from airflow.sdk import Param, TriggerRule, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from studyml_airflow.approval import ANSWER, CandidateApproval, skipped_when_settled
from studyml_airflow.assets import CANDIDATE, CHAMPION
from studyml_airflow.context import utc_now
from studyml_airflow.defaults import dag_arguments
from studyml_airflow.settings import load_settings


@task.short_circuit
def present() -> dict[str, str] | None:
    """Return version, subject, body and deadline of the question, or None where no candidate waits."""
    from studyml.steps.approve_version import waiting_candidate

    return waiting_candidate(load_settings(), get_current_context()["params"]["version"])


@task(outlets=[CHAMPION])
def promote(question: dict[str, str], answer: dict[str, Any], *, outlet_events: Any) -> dict[str, Any]:
    """Promote the approved candidate and emit the champion's Asset; skipped where it was rejected after all."""
    from studyml.steps.approve_version import approve_version

    with skipped_when_settled():
        done = approve_version(
            load_settings(), question["version"], now=utc_now(), actor=who(answer), reason="approved in Airflow"
        )
    if not done["promoted"]:
        raise AirflowSkipException(f"Judged again and rejected: {'; '.join(done['reasons'])}")
    outlet_events[CHAMPION].extra = {"version": done["version"]}
    return done


@task(trigger_rule=TriggerRule.NONE_FAILED)
def keep_champion(question: dict[str, str]) -> bool:
    """Record that the candidate was rejected, and by whom; nothing to do where it was approved."""
    from studyml.steps.approve_version import reject_version

    # Read here and not handed over: a task directly below ``approve`` is skipped by it when the answer is no.
    answer = get_current_context()["ti"].xcom_pull(task_ids="approve", key=ANSWER)
    if answer["chosen_options"] == [CandidateApproval.APPROVE]:
        raise AirflowSkipException("Approved: nothing is to be kept.")
    version = question["version"]
    reason = "rejected in Airflow" if answer["responded_by_user"] else "nobody answered before the deadline"
    if not reject_version(load_settings(), version, actor=who(answer), reason=reason):
        raise AirflowSkipException(
            f"The answer came too late: {version} was decided already, see 'studyml versions show {version}'."
        )
    return True


def who(answer: dict[str, Any]) -> str:
    """The name of the person who answered; studyml's own where nobody did."""
    user = answer["responded_by_user"]
    return str(user["name"] or user["id"]) if user else "studyml"


@dag(
    dag_id="studyml_approve",
    schedule=[CANDIDATE],
    params={
        "version": Param(
            None, type=["null", "string"], pattern=r"^v_\d{8}_\d{6}$", description="Empty: the one that waits."
        )
    },
    # A newer candidate takes the place of one that waits: it must not queue behind that one's question, for days.
    **{**dag_arguments(__doc__), "max_active_runs": 16},
)
def studyml_approve() -> None:
    """Wire the question."""
    question = present()
    approve = CandidateApproval(
        task_id="approve",
        subject="{{ ti.xcom_pull('present')['subject'] }}",
        body="{{ ti.xcom_pull('present')['body'] }}",
        defaults=CandidateApproval.REJECT,
        deadline="{{ ti.xcom_pull('present')['deadline'] }}",
    )
    question >> approve
    promote(question, approve.output) >> keep_champion(question)


studyml_approve()
