"""Failed tasks that have succeeded since: their incident is over once none of them is left."""

from studyml.alerting.incidents import TASK_FAILED, Incident, add_event, open_of_kind, set_failures
from studyml.alerting.lifecycle import ACTOR, Moment, resolve
from studyml.alerting.message import Links
from studyml.alerting.messages import UPKEEP_DAG, over_message
from studyml.database.connection import Connection
from studyml.settings import Settings
from studyml.steps.report_over import is_of_this_night

#: Begins the note of the event that strikes out tasks: what fails after it is news.
ENDED = "ended since: "


def end_nights_failures(settings: Settings, connection: Connection, at: Moment, *, note: str) -> None:
    """Strike out every failed task but those of the weekly upkeep, of which a night says nothing. The caller commits.

    What this very night found stays, and so does what a later night found.
    """
    present = open_of_kind(connection, TASK_FAILED)
    if present is None or at.is_before(present.updated_as_of) or is_of_this_night(connection, present, at):
        return
    _end(settings, connection, present, {task for task in present.figures if not _is_upkeep(task)}, at, note)


def end_upkeeps_failures(settings: Settings, connection: Connection, at: Moment, *, note: str) -> None:
    """Strike out the failed tasks of the weekly upkeep, which has just ended well. The caller commits."""
    present = open_of_kind(connection, TASK_FAILED)
    if present is not None:
        _end(settings, connection, present, {task for task in present.figures if _is_upkeep(task)}, at, note)


def _end(
    settings: Settings, connection: Connection, incident: Incident, ended: set[str], at: Moment, note: str
) -> None:
    left = {task: error for task, error in incident.figures.items() if task not in ended}
    if not left:
        message = over_message(incident, note=note, links=Links(settings.runbook_url, settings.airflow_url))
        resolve(connection, incident, at, actor=ACTOR, note=note, message=message)
    elif ended:
        set_failures(connection, incident.id, left, title=f"{next(reversed(left))} failed")
        words = f"{ENDED}{', '.join(sorted(ended))}; {note}"
        add_event(connection, incident.id, event="updated", as_of=at.as_of, now=at.now, actor=ACTOR, note=words)


def _is_upkeep(task: str) -> bool:
    return task.startswith(f"{UPKEEP_DAG}.")
