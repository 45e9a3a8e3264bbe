"""# Retrain by hand

The same retraining as in a night, when you do not want to wait for one.

## What

Observes the outcomes that arrived, then checks whether a retraining is due, trains a candidate aside, judges it by the
gates, and promotes it, tries it beside the champion, lets it wait for a person (`STUDYML_PROMOTION`), or keeps the
champion. Every run ends in a decision with its reasons (`studyml report`). A
promotion starts `studyml_score`, which predicts the newest night again with the new champion.

## When

By hand only. Nights and this DAG exclude each other step by step, so both may run.

## Params

- `reason`: why, in your words; it is kept with the decision.
- `force`: retrain though it is not due. The gates hold all the same.
- `as_of`: the UTC instant up to which labels count. Empty: the time the run was due. An instant before the newest
  finished night is a replay: nothing is promoted.
- `architecture`: what is trained: `mlp`, `ensemble`, `lstm`, `attention`, or `auto`. Empty: the setting.
- `recipe`: how: `guide`, `selected`, `history`, or `auto`, a portfolio of which the best is chosen. Empty: the setting.
- `hyperparameters`: changes to every recipe, instead of the setting's. Empty: the setting.
- `training_from`: learn from sessions since this UTC date only, after a change of more than length. Empty: the setting.

## Example

    airflow dags trigger studyml_retrain --conf '{"force": true, "recipe": "history", "hyperparameters": {"l2": 0.03}}'

## When it fails

The champion keeps serving: nothing is urgent. Read the last line of the red task's log, mend what it names, and
*Clear* that task. All skipped after `check` is not a failure: the log of `check` says how many labels are missing.
A rejected candidate is not a failure either: the reasons are in the report. More: the runbook, `docs/runbook.md`.
"""

from typing import Any

from airflow.sdk import Param, dag, task

from studyml_airflow.context import resolve_as_of, utc_now
from studyml_airflow.defaults import as_of_param, dag_arguments, training_params
from studyml_airflow.retrain_group import announce, ask, retrain_group
from studyml_airflow.settings import load_settings


@task
def observe() -> dict[str, Any]:
    """Record new and changed outcomes, so that the newest labels count; return their counts."""
    from studyml.steps.observe import observe as step

    return step(load_settings(), as_of=resolve_as_of(), now=utc_now())


@dag(
    dag_id="studyml_retrain",
    schedule=None,
    params={
        "reason": Param(None, type=["null", "string"], maxLength=500, description="Why, kept with the decision."),
        "force": Param(False, type="boolean", description="Retrain though it is not due; the gates hold all the same."),
        "as_of": as_of_param("the time the run was due"),
        **training_params(),
    },
    **dag_arguments(__doc__),
)
def studyml_retrain() -> None:
    """Wire a retraining by hand."""
    decision = retrain_group()
    observe() >> decision.operator.task_group
    announce(decision)
    ask(decision)


studyml_retrain()
