"""Failed tasks that have succeeded since: their incident is over once none of them is left."""

from studyml.alerting.incidents import TASK_FAILED, add_figures, open_of_kind
from studyml.alerting.lifecycle import Moment
from studyml.alerting.messages import UPKEEP_DAG
from studyml.database.connection import Connection
from studyml.settings import Settings
from studyml.steps.report_over import is_of_this_night, report_over


def end_failures(settings: Settings, connection: Connection, at: Moment, *, upkeep: bool, note: str) -> None:
    """Strike out the failed tasks of the weekly upkeep, or all others, and resolve their incident if none is left.

    Upkeep says nothing of nights, nor a night of it. What this very night found stays. The caller commits.
    """
    present = open_of_kind(connection, TASK_FAILED)
    if present is None or is_of_this_night(connection, present, at):
        return
    failed = {task for task, error in present.figures.items() if error is not None}
    ended = {task for task in failed if task.startswith(f"{UPKEEP_DAG}.") == upkeep}
    if failed - ended:
        add_figures(connection, present.id, dict.fromkeys(ended))
    elif ended or not failed:
        report_over(settings, connection, TASK_FAILED, at, note=note)
