"""The text of a message: what broke, how far, since when, which version, what was done, what to do."""

from datetime import datetime


def degraded_message(
    *,
    as_of: datetime,
    since: datetime,
    version: str,
    rolling_mae: float,
    rolling_rmse: float,
    n: int,
    baseline_mae: float,
    threshold: float,
    expected_mae: float | None,
    window_days: int,
    runbook_url: str,
    airflow_url: str,
) -> tuple[str, str]:
    """Subject and body about a degraded model; all errors in hours."""
    subject = f"studyml: predictions degraded, MAE {rolling_mae:.2f} h (limit {threshold:.2f} h)"
    expected = "not known" if expected_mae is None else f"{expected_mae:.2f} h on its holdout"
    lines = [
        f"The study time predictions of the last {window_days} days are off by {rolling_mae:.2f} h on average.",
        "",
        f"MAE       {rolling_mae:.3f} h over {n} outcomes"
        f" ({rolling_mae / baseline_mae:.2f} x the baseline of {baseline_mae:.2f} h)",
        f"Limit     {threshold:.3f} h (the guide's rule)",
        f"RMSE      {rolling_rmse:.3f} h",
        f"Version   {version}, expected MAE {expected}",
        f"Since     the night of {since:%Y-%m-%d %H:%M} UTC; seen by the night of {as_of:%Y-%m-%d %H:%M} UTC",
        "",
        "Done: a retraining is due tonight; the gates keep the present version unless the new one is better.",
        "Next: see what moved with 'studyml monitor --json' and 'studyml report', then follow the runbook.",
        f"Runbook: {runbook_url}#degraded",
    ]
    if airflow_url:
        lines.append(f"Airflow: {airflow_url.rstrip('/')}/dags/studyml_nightly")
    return subject, "\n".join(lines)


def failure_message(
    *, dag_id: str, task_id: str, dag_run_id: str, as_of: datetime, error: str, runbook_url: str, airflow_url: str
) -> tuple[str, str]:
    """Subject and body about a task that failed for good."""
    subject = f"studyml: {dag_id}.{task_id} failed"
    lines = [
        f"The task {task_id} of {dag_id} failed after its retries.",
        "",
        f"Error     {error}",
        f"Night     {as_of:%Y-%m-%d %H:%M} UTC",
        f"Run       {dag_run_id}",
        "",
        "Done: what the night had written before stays; yesterday's predictions stay readable.",
        "Next: cure what the error names, then clear the task in Airflow: every task can be run again.",
        f"Runbook: {runbook_url}#task-failed",
    ]
    if airflow_url:
        lines.append(f"Airflow: {airflow_url.rstrip('/')}/dags/{dag_id}")
    return subject, "\n".join(lines)


def trial_message(now: datetime) -> tuple[str, str]:
    """Subject and body of ``studyml alerts test``."""
    return "studyml: test message", f"This is a test, sent {now:%Y-%m-%d %H:%M} UTC. Nothing is wrong."
