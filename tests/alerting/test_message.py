"""What the on-call engineer reads."""

from datetime import UTC, datetime, timedelta
from typing import Any

from studyml.alerting.message import Links, degraded_message, failure_message, trial_message

NIGHT = datetime(2026, 3, 1, 1, tzinfo=UTC)
LINKS = Links("https://wiki.example.org/runbook", "https://airflow.example.org/")
FIGURES = {
    "rolling_mae": 1.4234,
    "rolling_rmse": 1.9,
    "n": 41,
    "coverage": 0.79,
    "baseline_mae": 0.99,
    "threshold": 1.188,
    "expected_mae": 1.05,
}


def degraded(last_healthy: tuple[datetime, float] | None = None, links: Links = LINKS, **figures: Any) -> str:
    return degraded_message(
        {**FIGURES, **figures},
        as_of=NIGHT,
        version="v_20260201_010203",
        last_healthy=last_healthy,
        window_days=30,
        links=links,
    )[1]


def test_a_degradation_says_how_far_how_sure_since_when_which_version_what_was_done_and_what_to_do() -> None:
    body = degraded((NIGHT - timedelta(days=1), 1.01))

    assert body == (
        "Predicted study times of the last 30 days were off by 1.42 h on average (MAE). The limit is 1.19 h.\n"
        "\n"
        "- How bad: 1.44 x the baseline of 0.99 h; RMSE 1.90 h.\n"
        "- How sure: 41 outcomes; 79% of the sessions of these days have one.\n"
        "- Since: the night of 2026-03-01 01:00 UTC;"
        " last healthy in the night of 2026-02-28 01:00 UTC, with 1.01 h.\n"
        "- Version: v_20260201_010203, which was off by 1.05 h when it was tested.\n"
        "\n"
        "Nothing is down: predictions are served as before, only less exact.\n"
        "Done: a retraining is due and runs in this night; its version serves only if it passes the gates.\n"
        "Next:\n"
        "1. When the night has finished, see what the retraining decided: studyml report\n"
        "2. If it was rejected, or the error jumped: look for changed source data, see the runbook.\n"
        "No further message comes about this incident. It closes by itself when the MAE is back under the limit.\n"
        "\n"
        "Runbook: https://wiki.example.org/runbook#degraded\n"
        "Airflow: https://airflow.example.org/dags/studyml_nightly"
    )


def test_its_subject_alone_says_what_and_how_far() -> None:
    subject, _ = degraded_message(FIGURES, as_of=NIGHT, version="v", last_healthy=None, window_days=30, links=LINKS)

    assert subject == "studyml: predictions degraded, MAE 1.42 h (limit 1.19 h)"


def test_what_is_not_known_is_left_out() -> None:
    body = degraded(links=Links("docs/runbook.md", ""), expected_mae=None, coverage=None)

    assert "- How sure: 41 outcomes.\n" in body
    assert "- Version: v_20260201_010203.\n" in body
    assert "no night before it was judged healthy" in body
    assert body.endswith("Runbook: docs/runbook.md#degraded")


def test_a_failed_task_is_told_with_its_error_night_run_and_what_to_do() -> None:
    subject, body = failure_message(
        dag_id="studyml_nightly",
        task_id="score.publish",
        dag_run_id="scheduled__2026-03-01",
        as_of=NIGHT,
        error="the folder of version v_1 is missing: restore it from a backup.",
        links=LINKS,
    )

    assert subject == "studyml: studyml_nightly.score.publish failed"
    for words in (
        "the folder of version v_1 is missing: restore it from a backup.",
        "2026-03-01 01:00 UTC",
        "scheduled__2026-03-01",
        "Clear the red task",
        "https://wiki.example.org/runbook#task-failed",
        "https://airflow.example.org/dags/studyml_nightly",
    ):
        assert words in body


def test_a_test_message_says_that_nothing_is_wrong() -> None:
    assert "Nothing is wrong" in trial_message(NIGHT)[1]
