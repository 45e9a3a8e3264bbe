"""# Between nights: notice, escalate, deliver

Notices what a night cannot tell about itself, and sends what the alert addresses have not accepted yet.

## What

1. Opens the incident of a night that is missing for 26 hours, and of one that has no complete predictions two hours
   after it began (`STUDYML_SCORING_LATE_HOURS`); closes them when that is over.
2. Escalates pages that nobody acknowledged for four hours (`STUDYML_ESCALATE_AFTER_HOURS`).
3. Sends every message of the outbox that is due: new ones, and those that an address did not accept before (tried again
   after 1, 2, 4 … minutes, at most 6 hours, for 14 days). Each address gets each message once it accepts it.

The night's own task `notify` does the same, but once a night. A scheduler that is down runs no DAG: let cron on another
machine run `studyml alerts deliver` as well.

## When

Every 10 minutes, and by hand.

## Params

None: it acts for now, not for a night.

## Example

    airflow dags trigger studyml_alerts

## When it fails

A receiver that is down does not fail it: the message waits. It fails when the database cannot be reached or a setting
is wrong; the last line of the log says which. One message goes out about it, none while the database is away. The
next run does what this one could not: nothing needs to be cleared. More: the runbook, `docs/runbook.md`, section
"Messages not delivered".
"""

from airflow.sdk import CronTriggerTimetable, dag, task

from studyml_airflow.context import utc_now
from studyml_airflow.defaults import DELIVERY_TIMEOUT, dag_arguments
from studyml_airflow.settings import load_settings


@task(execution_timeout=DELIVERY_TIMEOUT)
def deliver() -> dict[str, int]:
    """Notice, escalate and send what is due; return how many messages were sent, wait, and were given up."""
    from studyml.steps.deliver_alerts import deliver_alerts

    return deliver_alerts(load_settings(), now=utc_now())


@dag(
    dag_id="studyml_alerts",
    schedule=CronTriggerTimetable("*/10 * * * *", timezone="UTC"),
    **dag_arguments(__doc__),
)
def studyml_alerts() -> None:
    """Wire what happens between nights."""
    deliver()


studyml_alerts()
