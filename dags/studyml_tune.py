"""# Search for better hyperparameters

Tries other settings of the network that is deployed, and writes down what each is worth. It changes nothing that
serves.

## What

`plan` records the trials, `trial` trains and judges one each (mapped, two at a time), `choose` compares them with the
current setting, which is trial 0, and logs a proposal: the ten best, whether the gain is more than luck, and the line
to set. Every trial is judged by its error out of fold (3 folds, whole students); the holdout is not touched. Results
are rows of `studyml.tuning_trials`. To serve a better setting is a person's decision: set the line, and let a training
and the gates judge it.

## When

Weekly, on Saturday at 03:00 UTC, and by hand. Unpaused only where somebody wants it: the whole grid is
28 trainings.

## Params

- `strategy`: `grid` (the guide's 27) or `random` (draws of width, dropout, learning rate and L2).
- `trials`: how many to try. Empty: the whole grid, or 20 draws.
- `seed`: what the draw and every training depend on.
- `architecture`: the architecture to tune. Empty: the configured one; where that is `auto`, the champion's.
- `recipe`: the recipe to tune, in the same way.
- `as_of`: the UTC instant up to which labels count. Empty: the time the run was due.

The same search on the same sessions is the same search: what is done is not trained again, and more trials are added.

## Example

    airflow dags trigger studyml_tune --conf '{"strategy": "random", "trials": 20, "seed": 7}'

## When it fails

Nothing that serves is touched: nothing is urgent. A trial that does not converge is a row with its reason, and no red
task. A red trial was killed or could not read: read the last line of its log, mend what it names, and *Clear* that
trial alone; `choose` follows. Finished trials are kept. More: the runbook, `docs/runbook.md`.
"""

from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task

from studyml_airflow.context import resolve_as_of
from studyml_airflow.defaults import TRAINING_TIMEOUT, as_of_param, dag_arguments
from studyml_airflow.settings import load_settings


@task
def plan() -> list[int]:
    """Record the trials and return their ids."""
    from studyml.steps.tune import plan_trials

    context = get_current_context()
    names = ("strategy", "trials", "seed", "architecture", "recipe")
    chosen = {name: context["params"][name] for name in names}
    trials = plan_trials(load_settings(), as_of=resolve_as_of(context), **chosen)
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
    """Compare the trials of a search; log the proposal and return it in short."""
    from studyml.steps.tune import choose_best

    found = choose_best(load_settings(), search_id=search_id)
    return {name: found[name] for name in ("search_id", "sentence", "line")}


@dag(
    dag_id="studyml_tune",
    schedule=CronTriggerTimetable("0 3 * * 6", timezone="UTC"),
    params={
        "strategy": Param("grid", type="string", enum=["grid", "random"], description="How to choose what is tried."),
        "trials": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=500,
            description="How many settings to try. Empty: the whole grid, or 20 draws.",
        ),
        "seed": Param(
            42, type="integer", minimum=0, maximum=2**31 - 1, description="What the draw and every training depend on."
        ),
        "architecture": Param(None, type=["null", "string"], description="Empty: the one that is deployed."),
        "recipe": Param(None, type=["null", "string"], description="Empty: the one that is deployed."),
        "as_of": as_of_param("the time the run was due"),
    },
    **dag_arguments(__doc__),
)
def studyml_tune() -> None:
    """Wire a search."""
    trials = plan()
    trial.expand(trial_id=trials) >> choose(trials["search_id"])


studyml_tune()
