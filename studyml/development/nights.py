"""Nights, lived by the DAG ``studyml_nightly`` of a running Airflow, with their progress shown task by task."""

import re
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from studyml.development.airflow import Airflow
from studyml.development.rest_client import FINISHED, AirflowClient, TaskState
from studyml.development.state import DevelopmentError
from studyml.errors import StudymlError

NIGHTLY = "studyml_nightly"
_PARSE_SECONDS = 120
_LONG_SECONDS = 5
_MARKS = {"success": "✓", "failed": "✗", "skipped": "– skipped", "upstream_failed": "– not run", "removed": "– removed"}

Say = Callable[[str], None]


class NightFailedError(StudymlError):
    """A night ended as failed; the message says in which task and why."""


def parse_as_of(text: str, now: datetime) -> datetime:
    """An instant from ISO 8601, UTC unless it says otherwise; raises DevelopmentError, also for one in the future."""
    try:
        instant = datetime.fromisoformat(text)
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise DevelopmentError(
            f"AS_OF={text} is not a time: write it like 2026-03-01 or 2026-03-01T01:00:00Z."
        ) from None
    if instant > now:
        raise DevelopmentError(f"AS_OF={text} is in the future: choose a night up to now.")
    return instant


def choose_nights(
    newest: datetime | None, lived: datetime | None, wanted: datetime | None, now: datetime
) -> list[datetime]:
    """Which nights to live, in order.

    ``wanted`` alone if given. Otherwise the end of the ``newest`` labelled day and, before it, the night a week
    earlier, unless the newest finished night (``lived``) is past that one: living it again would be a replay.
    Where ``lived`` is past the newest label, it is lived again itself. Without any label: last midnight, for which
    predictions can still be made.
    """
    if wanted is not None:
        return [wanted]
    if newest is None:
        return [now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)]
    if lived is not None and lived > newest:
        return [lived]
    first = newest - timedelta(days=7)
    return [newest] if lived is not None and lived >= first else [first, newest]


def wait_for_dags(airflow: Airflow, client: AirflowClient, wanted: str = NIGHTLY) -> None:
    """Wait until the DAG ``wanted`` was parsed; raises DevelopmentError with the DAG files' errors."""
    deadline = time.monotonic() + _PARSE_SECONDS
    while wanted not in client.dag_ids():
        airflow.check_alive()
        errors = client.import_errors()
        if errors:
            raise DevelopmentError(f"A DAG file cannot be imported: {errors[0]}.")
        if time.monotonic() > deadline:
            raise DevelopmentError(f"The DAG {wanted} did not appear: see {airflow.state_dir / 'logs'}.")
        time.sleep(0.3)


def live_night(airflow: Airflow, client: AirflowClient, as_of: datetime, say: Say, dag_id: str = NIGHTLY) -> None:
    """Trigger one night and follow it to its end; raises NightFailedError with each failed task's sentence."""
    stamp = as_of.astimezone(UTC).isoformat().replace("+00:00", "Z")
    run_id = re.sub(r"[^A-Za-z0-9_.~-]", "", f"night_{stamp}_by_hand_{time.time():.0f}")
    client.trigger(dag_id, run_id, {"as_of": stamp})
    follower = _Follower(say)
    while True:
        # The state first: what the tasks did before it was read is then always shown.
        state = client.run_state(dag_id, run_id)
        tasks = client.task_states(dag_id, run_id)
        follower.show(tasks)
        if state in ("success", "failed"):
            break
        airflow.check_alive()
        time.sleep(0.5)
    if state == "failed":
        failed = [task for task in tasks if task.state == "failed"]
        reasons = [f"{task.task_id}: {client.error_of(dag_id, run_id, task)}" for task in failed]
        raise NightFailedError(f"The night {stamp} failed in {'; '.join(reasons) or 'no task of its own'}")


class _Follower:
    """Shows each change of a task once."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._shown: set[tuple[str, str]] = set()
        self._since: dict[str, float] = {}

    def show(self, tasks: list[TaskState]) -> None:
        parts: dict[str, list[TaskState]] = defaultdict(list)
        for task in tasks:
            parts[task.task_id].append(task)
        for task_id, group in parts.items():
            states = {task.state for task in group}
            if states <= set(FINISHED):
                self._once(task_id, "ended", _ended(task_id, group))
            elif "up_for_retry" in states:
                tries = max(task.try_number for task in group)
                self._once(task_id, f"retry {tries}", f"  {task_id} ✗ try {tries} failed, will be tried again")
            elif "running" in states:
                since = self._since.setdefault(task_id, time.monotonic())
                if time.monotonic() - since > _LONG_SECONDS:
                    self._once(task_id, "running", f"  {task_id} is running")

    def _once(self, task_id: str, what: str, line: str) -> None:
        if (task_id, what) not in self._shown:
            self._shown.add((task_id, what))
            self._say(line)


def _ended(task_id: str, group: list[TaskState]) -> str:
    worst = next(
        state
        for state in ("failed", "upstream_failed", "removed", "skipped", "success")
        if state in {t.state for t in group}
    )
    seconds = max(task.seconds or 0 for task in group)
    parts = f", {len(group)} parts" if len(group) > 1 else ""
    took = f" {seconds:.0f} s" if worst in ("success", "failed") else ""
    return f"  {task_id} {_MARKS[worst]}{took}{parts}"
