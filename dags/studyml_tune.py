"""# Search for better hyperparameters

Tries other settings of the network, and writes down what each is worth. It changes nothing that serves.

## What

`plan` draws the trials from the search space, `trial` trains and judges one each (mapped, two at a time), `choose`
compares them and records the best. To serve a better setting is a person's decision.

## When

Weekly, on Saturday at 03:00 UTC, and by hand. Unpaused only where somebody wants it: it costs hours of processor time.

## Params

- `trials`: how many settings to try.
- `seed`: what the draw depends on; the same seed on the same data gives the same trials.
- `as_of`: the UTC instant up to which labels count. Empty: the time the run was due.

## Example

    airflow dags trigger studyml_tune --conf '{"trials": 20, "seed": 7}'

## When it fails

Nothing that serves is touched: nothing is urgent. Finished trials are kept. Read the last line of the red task's log,
mend what it names, and *Clear* that trial alone; `choose` follows. More: the runbook, `docs/runbook.md`.
"""

from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task

from studyml_airflow.context import resolve_as_of, utc_now
from studyml_airflow.defaults import TRAINING_TIMEOUT, as_of_param, dag_arguments
from studyml_airflow.settings import load_settings


@task
def plan() -> list[int]:
    """Draw the trials and return their ids."""
    from studyml.steps.tune import plan_trials

    context = get_current_context()
    trials = plan_trials(
        load_settings(),
        as_of=resolve_as_of(context),
        now=utc_now(),
        trials=context["params"]["trials"],
        seed=context["params"]["seed"],
    )
    # Only a task's return value can be mapped over; choose needs the search that the trials belong to.
    context["ti"].xcom_push(key="search_id", value=trials[0]["search_id"])
    return [trial["trial_id"] for trial in trials]


@task(execution_timeout=TRAINING_TIMEOUT, max_active_tis_per_dagrun=2)
def trial(trial_id: int) -> dict[str, Any]:
    """Train and judge one setting."""
    from studyml.steps.tune import run_trial

    return run_trial(load_settings(), trial_id=trial_id)


@task
def choose(search_id: str) -> dict[str, Any]:
    """Compare the trials of a search; return the best one's setting and figures."""
    from studyml.steps.tune import choose_best

    return choose_best(load_settings(), search_id=search_id)


@dag(
    dag_id="studyml_tune",
    schedule=CronTriggerTimetable("0 3 * * 6", timezone="UTC"),
    params={
        "trials": Param(12, type="integer", minimum=1, maximum=500, description="How many settings to try."),
        "seed": Param(42, type="integer", minimum=0, description="What the draw depends on."),
        "as_of": as_of_param("the time the run was due"),
    },
    **dag_arguments(__doc__),
)
def studyml_tune() -> None:
    """Wire a search."""
    trials = plan()
    trial.expand(trial_id=trials) >> choose(trials["search_id"])


studyml_tune()
