"""# One night: observe, judge, retrain if due, predict

Keeps the study time predictor good and its predictions fresh, without anybody watching.

## What

1. `start_night` checks database, schema and settings, and writes down whether this night is a *replay* (older than
   the newest finished night). A replay recomputes verdict and predictions, and never promotes, pages or uses up labels.
2. `observe` records the outcomes that arrived, `judge` compares them with the predictions served, `notify` sends what
   there is to say.
3. `retrain` runs when 50 new labelled sessions (`STUDYML_RETRAIN_MIN_LABELS`) came in, or the verdict is degraded.
   Not due: its tasks are skipped, the log of `retrain.check` has the count, and the run is a success.
4. With `STUDYML_PROMOTION=challenger`, `decide_challenger` comes before: it promotes the version on trial, retires it,
   or lets the trial go on. With `approve`, `ask` tells `studyml_approve` about a candidate that waits.
5. `score` predicts all planned sessions in ranges and swaps them in at once. Nothing planned is a success: an empty
   night is published.
6. `finish` marks the night finished and calls `STUDYML_HEARTBEAT_URL`. `announce` (after a retraining) and
   `announce_challenger` (after a trial) tell other DAGs about a new champion, only after its predictions are out.

## When

Daily at 01:00 UTC, one night at a time, never for missed days (the newest night makes up for them).

## Params

- `as_of`: the UTC instant to live. Empty: the end of the data interval; without an interval the time the run was due.
- `architecture`: what is trained, should it come to that: `mlp`, `ensemble`, `lstm`, `attention`, or `auto`. Empty: the
  setting.
- `recipe`: how: `guide`, `selected`, `history`, or `auto`, a portfolio of which the best is chosen. Empty: the setting.
- `hyperparameters`: changes to every recipe, instead of the setting's. Empty: the setting.
- `training_from`: learn from sessions since this UTC date only, after a change of more than length. Empty: the setting.

## Example

    airflow dags trigger studyml_nightly --conf '{"as_of": "2026-03-01T01:00:00Z"}'

## When it fails

Open the red task (not an orange *upstream_failed* one) and read the last line of its log: it names the thing and the
cure. Mend it, then *Clear* that task: everything is safe to repeat, and what follows it runs again.

| red task | meanwhile |
|---|---|
| `start_night` | Nothing else ran. Yesterday's predictions stay up. |
| `observe`, `judge` | Predictions are fresh. Nothing was judged or retrained, and the night is not finished. |
| `notify` | Messages are kept and sent by the next night. The night is not finished. |
| `retrain.*` | The champion stays, predictions are fresh, the night is finished. The run is failed to be seen. |
| `decide_challenger` | The trial goes on, the champion stays, nothing is retrained, predictions are fresh. |
| `score.*` | The old predictions stay up, whole. The night is not finished. |
| `finish` | Everything is done but the heartbeat was not sent: expect the watchdog to ring. |
| `announce*`, `ask` | Everything is done in this night; other DAGs were not told about the new champion or candidate. |

More, step by step: the runbook, `docs/runbook.md`.
"""

from typing import Any

from airflow.sdk import CronDataIntervalTimetable, TriggerRule, dag, get_current_context, setup, task

from studyml_airflow.context import resolve_as_of, utc_now
from studyml_airflow.defaults import as_of_param, dag_arguments, training_params
from studyml_airflow.retrain_group import announce, ask, retrain_group
from studyml_airflow.score_group import score_group
from studyml_airflow.settings import load_settings


@setup
@task
def start_night() -> bool:
    """Open the night; return whether it is a replay.

    A setup task: without it nothing runs, whatever a later task's trigger rule says, and clearing any later task
    runs it again, so that an old night cleared today is known to be a replay.
    """
    from studyml.steps.start_night import start_night as step

    run_id = get_current_context()["run_id"]
    return step(load_settings(), as_of=resolve_as_of(), now=utc_now(), dag_run_id=run_id)


@task
def observe() -> dict[str, Any]:
    """Record new and changed outcomes; return their counts."""
    from studyml.steps.observe import observe as step

    return step(load_settings(), as_of=resolve_as_of(), now=utc_now())


@task
def judge() -> list[dict[str, Any]]:
    """Compare outcomes with the predictions served; return a verdict per scope."""
    from studyml.steps.monitor import monitor

    run_id = get_current_context()["run_id"]
    return monitor(load_settings(), as_of=resolve_as_of(), now=utc_now(), dag_run_id=run_id)


@task
def decide_challenger() -> dict[str, Any]:
    """Promote, retire or go on with the version on trial; return the decision and the figures behind it."""
    from studyml.steps.decide_challenger import decide_challenger as step

    found = step(load_settings(), as_of=resolve_as_of(), now=utc_now())
    return {**found, "champion": found["version"]}


@task
def notify() -> dict[str, Any]:
    """Deliver all that is waiting; return counts."""
    from studyml.steps.notify import notify as step

    return step(load_settings(), as_of=resolve_as_of(), now=utc_now())


@task
def finish() -> dict[str, Any]:
    """Mark the night finished and call the heartbeat address."""
    from studyml.steps.finish_night import finish_night

    return finish_night(load_settings(), as_of=resolve_as_of(), now=utc_now())


@dag(
    dag_id="studyml_nightly",
    schedule=CronDataIntervalTimetable("0 1 * * *", timezone="UTC"),
    params={
        "as_of": as_of_param("the end of the data interval, else the time the run was due"),
        **training_params(),
    },
    **dag_arguments(__doc__),
)
def studyml_nightly() -> None:
    """Wire one night."""
    judged = judge()
    notified = notify()
    trial = decide_challenger()
    decision = retrain_group()
    # Predictions are wanted whatever happened to judging and retraining; start_night as setup is the only brake.
    published = score_group(plan_trigger_rule=TriggerRule.ALL_DONE)

    observed = observe()
    start_night() >> observed >> judged >> [notified, decision.operator.task_group, published.operator.task_group]
    # A trial that was decided decides whether a retraining is due, and which versions predict.
    observed >> trial >> [decision.operator.task_group, published.operator.task_group]
    decision.operator.task_group >> published.operator.task_group
    [notified, published] >> finish()
    # Leaves after retraining and trial: when one failed its leaf cannot run, and so the run ends failed.
    published >> [
        announce(decision),
        announce.override(task_id="announce_challenger")(trial),  # type: ignore[attr-defined]
        ask(decision),
    ]


studyml_nightly()
