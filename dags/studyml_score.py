"""# Predict the newest night again

Brings the predictions of the newest finished night up to the present champion.

## What

`choose` finds the newest night, then the same scoring as in a night: plan, predict in ranges, swap in at once. Readers
see all of the old predictions or all of the new ones.

## When

When a champion was promoted outside a night (the Asset `studyml_champion`), and by hand. After a promotion within a
night there is nothing to do: `choose` says so in its log, the rest is skipped, and the run is a success.

## Params

- `as_of`: the night to predict again, a UTC instant. Empty: the newest night.

## Example

    airflow dags trigger studyml_score

## When it fails

The old predictions stay up, whole. Read the last line of the red task's log, mend what it names, and *Clear* that
task; one failed range can be cleared alone. More: the runbook, `docs/runbook.md`.
"""

import logging

from airflow.sdk import dag, get_current_context, task

from studyml_airflow.assets import CHAMPION
from studyml_airflow.context import resolve_as_of
from studyml_airflow.defaults import as_of_param, dag_arguments
from studyml_airflow.score_group import score_group
from studyml_airflow.settings import load_settings


@task.short_circuit
def choose() -> str | None:
    """Return the night to predict again, or None where there is nothing to do; say which."""
    from studyml.steps.newest_night import already_scored, newest_night

    context = get_current_context()
    log = logging.getLogger("studyml")
    if context["params"]["as_of"]:
        return resolve_as_of(context).isoformat()
    settings = load_settings()
    as_of = newest_night(settings)
    if as_of is None:
        log.info("No night was lived yet: nothing to predict again. The first run of studyml_nightly will predict.")
        return None
    if context["triggering_asset_events"] and already_scored(settings, as_of=as_of):
        log.info("The night of %s already has the predictions of the present champion: nothing to do.", as_of)
        return None
    return as_of.isoformat()


@dag(
    dag_id="studyml_score",
    schedule=[CHAMPION],
    params={"as_of": as_of_param("the newest night")},
    **dag_arguments(__doc__),
)
def studyml_score() -> None:
    """Wire a scoring outside a night."""
    score_group(night=choose())


studyml_score()
