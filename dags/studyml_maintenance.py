"""# Tidy up and verify

Keeps disk and database from growing without end, and finds damage before it is needed.

## What

Removes artifacts of old versions (`STUDYML_KEEP_VERSIONS`, `STUDYML_KEEP_SERVED_DAYS`) and old nights of predictions
(`STUDYML_PREDICTION_RETENTION_DAYS`), verifies the files of every version that is kept, and compares all labels with
the study app's, not only the recent ones. The champion, the challenger and what a rollback may need are never removed.

## When

Weekly, on Sunday at 04:00 UTC, and by hand.

## Params

- `as_of`: the UTC instant from which ages count. Empty: the time the run was due.

## Example

    airflow dags trigger studyml_maintenance

## When it fails

Serving goes on: nothing is urgent, but a damaged version named in the last line of the log cannot be rolled back to.
Mend what it names and *Clear* the task: it is safe to repeat. More: the runbook, `docs/runbook.md`.
"""

from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task

from studyml_airflow.context import resolve_as_of, utc_now
from studyml_airflow.defaults import MAINTENANCE_TIMEOUT, as_of_param, dag_arguments
from studyml_airflow.settings import load_settings


@task(execution_timeout=MAINTENANCE_TIMEOUT)
def maintain() -> dict[str, Any]:
    """Prune by policy, verify what is kept, compare all labels; return counts."""
    from studyml.steps.maintain import maintain as step

    return step(load_settings(), as_of=resolve_as_of(), now=utc_now())


@dag(
    dag_id="studyml_maintenance",
    schedule=CronTriggerTimetable("0 4 * * 0", timezone="UTC"),
    params={"as_of": as_of_param("the time the run was due")},
    **dag_arguments(__doc__),
)
def studyml_maintenance() -> None:
    """Wire the weekly maintenance."""
    maintain()


studyml_maintenance()
