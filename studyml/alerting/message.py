"""The text of a message: what broke, how far, since when, how sure, which version, what was done, what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Links:
    """Where a message sends its reader: the runbook, and the Airflow UI or an empty text."""

    runbook_url: str
    airflow_url: str

    def lines(self, section: str, dag_id: str) -> list[str]:
        """The last lines of a message."""
        found = [f"Runbook: {self.runbook_url}#{section}"]
        if self.airflow_url:
            found.append(f"Airflow: {self.airflow_url.rstrip('/')}/dags/{dag_id}")
        return found


def degraded_message(
    figures: Mapping[str, Any],
    *,
    as_of: datetime,
    version: str,
    last_healthy: tuple[datetime, float] | None,
    window_days: int,
    links: Links,
) -> tuple[str, str]:
    """Subject and body about a degraded model.

    ``figures`` is a row of ``studyml monitor --json``: errors in hours, coverage a share; ``last_healthy`` is
    (as_of, MAE in hours) of the newest healthy night.
    """
    mae, limit, baseline = figures["rolling_mae"], figures["threshold"], figures["baseline_mae"]
    expected, covered = figures["expected_mae"], figures["coverage"]
    sure = "" if covered is None else f"; {covered:.0%} of the sessions of these days have one"
    tested = "" if expected is None else f", which was off by {expected:.2f} h when it was tested"
    before = (
        "no night before it was judged healthy"
        if last_healthy is None
        else f"last healthy in the night of {_moment(last_healthy[0])}, with {last_healthy[1]:.2f} h"
    )
    lines = [
        f"Predicted study times of the last {window_days} days were off by {mae:.2f} h on average (MAE)."
        f" The limit is {limit:.2f} h.",
        "",
        f"- How bad: {mae / baseline:.2f} x the baseline of {baseline:.2f} h; RMSE {figures['rolling_rmse']:.2f} h.",
        f"- How sure: {figures['n']} outcomes{sure}.",
        f"- Since: the night of {_moment(as_of)}; {before}.",
        f"- Version: {version}{tested}.",
        "",
        "Nothing is down: predictions are served as before, only less exact.",
        "Done: a retraining is due and runs in this night; its version serves only if it passes the gates.",
        "Next:",
        "1. When the night has finished, see what the retraining decided: studyml report",
        "2. If it was rejected, or the error jumped: look for changed source data, see the runbook.",
        "No further message comes about this incident. It closes by itself when the MAE is back under the limit.",
        "",
        *links.lines("degraded", "studyml_nightly"),
    ]
    return f"studyml: predictions degraded, MAE {mae:.2f} h (limit {limit:.2f} h)", "\n".join(lines)


def failure_message(
    *, dag_id: str, task_id: str, dag_run_id: str, as_of: datetime, error: str, links: Links
) -> tuple[str, str]:
    """Subject and body about a task that failed for good."""
    subject = f"studyml: {dag_id}.{task_id} failed"
    lines = [
        f"The task {task_id} of {dag_id} failed and is not tried again by itself:",
        "",
        error,
        "",
        f"- Night: {_moment(as_of)}.",
        f"- Run: {dag_run_id}.",
        "",
        "Nothing is lost: the predictions that analysts read stay as they are until newer ones are whole.",
        "Next:",
        "1. Do what the error says.",
        "2. Clear the red task in Airflow: every task can be run again, and what follows it runs too.",
        "No further message comes about this task while the incident is open. It closes by itself when a later night"
        " finishes without a failed task.",
        "",
        *links.lines("task-failed", dag_id),
    ]
    return subject, "\n".join(lines)


def trial_message(now: datetime) -> tuple[str, str]:
    """Subject and body of ``studyml alerts test``."""
    return "studyml: test message", f"This is a test, sent {_moment(now)}. Nothing is wrong."


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
