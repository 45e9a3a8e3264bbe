"""The part of Airflow's REST API that ``make run`` needs: trigger a run, follow its tasks, say why one failed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from studyml import errors
from studyml.development.state import DevelopmentError

_ACTIVE = ("queued", "running")
FINISHED = ("success", "failed", "skipped", "upstream_failed", "removed")


@dataclass(frozen=True)
class TaskState:
    """One try of one task (``map_index`` -1 when it is not mapped) as Airflow sees it; ``seconds`` once it ended."""

    task_id: str
    map_index: int
    state: str
    try_number: int
    seconds: float | None


class AirflowClient:
    """A logged-in client; every method raises DevelopmentError when Airflow refuses or cannot be reached."""

    def __init__(self, base_url: str, user: str, password: str) -> None:
        self._user = user
        self._password = password
        # A proxy of the caller's environment has no business on the way to this machine.
        self._http = httpx.Client(base_url=base_url, timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def unhealthy(self, *, since: datetime) -> list[str]:
        """Components that have not reported themselves healthy after ``since``; all four before the server answers."""
        expected = {"metadatabase": "", "scheduler": "", "triggerer": "", "dag_processor": ""}
        try:
            health = self._http.get("/api/v2/monitor/health").json()
        except (httpx.TransportError, ValueError):
            return ["api-server"]
        missing = []
        for name in expected:
            report = health.get(name) or {}
            beat = report.get(f"latest_{name}_heartbeat")
            stale = name != "metadatabase" and (beat is None or datetime.fromisoformat(beat) < since)
            if report.get("status") != "healthy" or stale:
                missing.append(name.replace("_", "-"))
        return missing

    def dag_ids(self) -> list[str]:
        """Ids of all DAGs that were parsed so far."""
        return [dag["dag_id"] for dag in self._get("/api/v2/dags", limit=100)["dags"]]

    def import_errors(self) -> list[str]:
        """The last line of each DAG file's import error, with the file's name."""
        errors = self._get("/api/v2/importErrors")["import_errors"]
        return [f"{e['filename']}: {e['stack_trace'].strip().splitlines()[-1]}" for e in errors]

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler start runs of ``dag_id``, triggered ones included."""
        self._send("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
        """Start a run of ``dag_id`` with ``conf``."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)

    def run_state(self, dag_id: str, run_id: str) -> str:
        """State of a run: queued, running, success or failed."""
        return str(self._get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def fail_active_runs(self) -> int:
        """Mark every run as failed that a killed command left queued or running; returns their number.

        A run that waits for a person's answer waits on: nothing of it was interrupted, and nobody would ask again.
        """
        asking = self._get("/api/v2/dags/~/dagRuns/~/taskInstances", state="awaiting_input", limit=100)
        waiting = {(task["dag_id"], task["dag_run_id"]) for task in asking["task_instances"]}
        runs = self._get("/api/v2/dags/~/dagRuns", state=list(_ACTIVE), limit=100)["dag_runs"]
        left = [run for run in runs if (run["dag_id"], run["dag_run_id"]) not in waiting]
        for run in left:
            self._send("PATCH", f"/api/v2/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}", {"state": "failed"})
        return len(left)

    def task_states(self, dag_id: str, run_id: str) -> list[TaskState]:
        """All task instances of a run that have a state, in the order they started."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[dict[str, Any]] = []
        while True:
            page = self._get(path, limit=100, offset=len(found))
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                break
        found.sort(key=lambda task: task["start_date"] or "9999")
        return [
            TaskState(task["task_id"], task["map_index"], task["state"], task["try_number"], task["duration"])
            for task in found
            if task["state"]
        ]

    def error_of(self, dag_id: str, run_id: str, task: TaskState) -> str:
        """The sentence with which a task failed, from the end of its log."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task.task_id}/logs/{max(task.try_number, 1)}"
        content = self._get(path, map_index=task.map_index, full_content=True).get("content") or []
        events = [event for event in content if isinstance(event, dict)]
        for event in reversed(events):
            for detail in reversed(event.get("error_detail") or []):
                kind, words = str(detail.get("exc_type", "error")), str(detail.get("exc_value", ""))
                # Our own errors are whole sentences; a leading class name means a bug.
                return words if hasattr(errors, kind) else f"{kind}: {words}".strip()
        for event in reversed(events):
            if event.get("level") in ("error", "critical"):
                return str(event.get("event", ""))
        return "its log does not say why"

    def _get(self, path: str, **parameters: Any) -> dict[str, Any]:
        return self._answer(lambda: self._http.get(path, params=parameters, headers=self._headers()), path)

    def _send(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._answer(lambda: self._http.request(method, path, json=body, headers=self._headers()), path)

    def _headers(self) -> dict[str, str]:
        if "authorization" not in self._http.headers:
            answer = self._http.post("/auth/token", json={"username": self._user, "password": self._password})
            if answer.status_code != httpx.codes.CREATED:
                raise DevelopmentError(f"Airflow does not let {self._user} in (HTTP {answer.status_code}).")
            self._http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        return {"accept": "application/json"}

    def _answer(self, call: Callable[[], httpx.Response], path: str) -> dict[str, Any]:
        try:
            answer = call()
        except httpx.TransportError as error:
            raise DevelopmentError(f"Airflow does not answer at {self._http.base_url} ({error}).") from error
        if answer.is_error:
            raise DevelopmentError(f"Airflow refused {path} (HTTP {answer.status_code}): {_detail(answer)}.")
        value: dict[str, Any] = answer.json()
        return value


def _detail(answer: httpx.Response) -> str:
    try:
        detail = answer.json().get("detail", answer.text)
    except (ValueError, AttributeError):
        detail = answer.text
    return str(detail)[:500]
