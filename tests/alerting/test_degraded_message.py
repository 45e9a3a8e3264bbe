"""What the on-call engineer reads about a degraded model."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from studyml.alerting.degraded_message import A_PERSON, Findings, degraded_message, recovered_message
from studyml.alerting.message import Links
from studyml.alerting.no_better_message import no_better_message

NIGHT = datetime(2026, 3, 1, 1, tzinfo=UTC)
LINKS = Links("https://wiki.example.org/runbook", "https://airflow.example.org/")
VERDICT = {
    "verdict": "confirmed",
    "rolling_mae": 1.4234,
    "rolling_mae_lower": 1.21,
    "rolling_mae_upper": 1.64,
    "rolling_rmse": 1.9,
    "rolling_bias": 0.84,
    "n": 41,
    "coverage": 0.79,
    "baseline_mae": 0.99,
    "threshold": 1.188,
    "expected_mae": 1.05,
    "error_ratio": 1.583,
    "error_ratio_limit": 1.312,
    "error_ratio_n": 38,
    "error_ratio_days": 30,
}
FOUND = Findings(
    VERDICT,
    NIGHT,
    version="v_20260201_010203",
    window_days=30,
    baseline_ratio=1.2,
    last_healthy=(NIGHT - timedelta(days=1), 1.01),
    slices=["subject Physics is off by 2.40 h, 1.10 h elsewhere (12 outcomes)"],
    moved=["avg_focus_duration: median 60 -> 45 minutes"],
    report="studyml versions report v_20260201_010203",
    run_id="scheduled__2026-03-01",
)


def body(found: Findings = FOUND, *, links: Links = LINKS, pages: bool = True, **verdict: Any) -> str:
    changed = replace(found, verdict={**VERDICT, **verdict})
    return degraded_message(changed, links, incident_id=7, pages=pages).body


def test_it_says_what_how_sure_since_when_which_version_where_why_what_was_done_and_what_to_do() -> None:
    assert body() == (
        "Predicted study times of the last 30 days were off by 1.42 h on average (MAE). The guide's limit is 1.19 h,"
        " 1.2 x the baseline of 0.99 h.\n"
        "\n"
        "- How sure: beyond chance: errors of this version are 1.58 x what they were when it was tested, over 38"
        " outcomes of the last 30 days; chance explains up to 1.31 x. 41 outcomes; 79% of the sessions that should have"
        " an outcome have one. The true MAE is between 1.21 and 1.64 h (95 %).\n"
        "- Direction: sessions took 0.84 h longer than predicted on average.\n"
        "- Since: the night of 2026-03-01 01:00 UTC; last healthy in the night of 2026-02-28 01:00 UTC, with 1.01 h.\n"
        "- Version: v_20260201_010203, which was off by 1.05 h when it was tested.\n"
        "- Worst: subject Physics is off by 2.40 h, 1.10 h elsewhere (12 outcomes).\n"
        "- Moved since training: avg_focus_duration: median 60 -> 45 minutes.\n"
        "\n"
        "Nothing is down: predictions are served as before, only less exact.\n"
        "Done: a retraining is due for it, once; its version serves only if it passes the gates.\n"
        "Another message comes only when nobody acknowledges it, when the retraining did not help, and when it is"
        " over.\n"
        "\n"
        "Next:\n"
        "1. Say that you have it: studyml alerts ack 7\n"
        "2. When the night has finished, see what the retraining decided: studyml report\n"
        "3. If it was rejected, or the error jumped: look for changed source data, see the runbook.\n"
        "\n"
        "Runbook: https://wiki.example.org/runbook#degraded\n"
        "Airflow: https://airflow.example.org/dags/studyml_nightly/runs/scheduled__2026-03-01\n"
        "Report: studyml versions report v_20260201_010203"
    )


def test_its_subject_alone_says_how_sure_and_how_far() -> None:
    confirmed = degraded_message(FOUND, LINKS, incident_id=7, pages=True).subject
    suspected = replace(FOUND, verdict={**VERDICT, "verdict": "suspected"})

    assert confirmed == ("studyml: predictions degraded (confirmed): errors 1.58 x what is normal (38 outcomes)")
    assert degraded_message(suspected, LINKS, incident_id=7, pages=False).subject == (
        "studyml: predictions degraded (suspected): off by 1.42 h on average, 1.44 x the baseline"
    )


def test_a_suspicion_says_that_the_rule_also_rings_for_healthy_models_and_when_it_would_page() -> None:
    text = body(verdict="suspected", error_ratio=1.1, pages=False)

    assert "How sure: by the guide's rule alone, which also rings for healthy models: errors" in text
    assert "Another message comes only when it is confirmed, when the retraining did not help" in text


def test_what_a_version_erred_itself_is_not_said_of_all_that_was_served() -> None:
    part = body(replace(FOUND, all_served=(1.234, 171)))

    assert part.startswith("Study times that v_20260201_010203 predicted of the last 30 days were off by 1.42 h")
    assert "- All that was served in these days, by whichever version: off by 1.23 h, over 171 outcomes.\n" in part
    assert "; all that was served was last healthy in the night of 2026-02-28 01:00 UTC, with 1.01 h" in part
    assert "All that was served" not in body()


def test_what_is_not_known_is_left_out() -> None:
    bare = replace(FOUND, last_healthy=None, slices=[], moved=None, report=None, run_id=None)
    unknown = dict.fromkeys(
        (*("expected_mae", "coverage", "error_ratio", "error_ratio_limit", "rolling_mae_lower", "rolling_bias"),)
    )
    text = body(bare, links=Links("docs/runbook.md", ""), verdict="suspected", **unknown)

    assert "- How sure: by the guide's rule alone, 41 outcomes. RMSE 1.90 h.\n" in text
    assert "- Version: v_20260201_010203.\n\n" in text
    assert "; no earlier night was judged healthy.\n" in text
    assert text.endswith("Runbook: docs/runbook.md#degraded")


def test_that_no_earlier_night_could_be_judged_is_not_said_to_be_unhealthy() -> None:
    text = body(replace(FOUND, last_healthy=None, judged_before=False))

    assert "; no earlier night had enough outcomes to be judged.\n" in text


def test_one_that_is_back_says_when_it_began_and_since_when_it_is_back() -> None:
    healthy = (NIGHT + timedelta(days=14), 1.01)
    back = replace(FOUND, last_healthy=healthy, back_since=NIGHT + timedelta(days=15))

    assert (
        "- Since: the night of 2026-03-01 01:00 UTC at first; it was closed, and is back since the night of 2026-03-16"
        " 01:00 UTC; last healthy in the night of 2026-03-15 01:00 UTC, with 1.01 h.\n"
    ) in body(back)


def test_a_healthy_night_in_between_is_no_contradiction() -> None:
    text = body(replace(FOUND, last_healthy=(NIGHT + timedelta(days=2), 1.01)))

    assert "; in between, the night of 2026-03-03 01:00 UTC was healthy, with 1.01 h.\n" in text


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        ("", "Another message comes only when nobody acknowledges it and when it is over.\n"),
        (A_PERSON, "only when nobody acknowledges it, when a person has to decide, and when it is over.\n"),
    ],
)
def test_after_the_retraining_was_decided_none_is_waited_for(asks: str, said: str) -> None:
    text = body(replace(FOUND, retraining_ahead=False, asks=asks))

    assert said in text
    assert "see what the retraining decided" not in text
    assert "2. Look for changed source data: see the runbook.\n" in text


def test_that_no_feature_moved_is_said() -> None:
    assert "- Moved since training: no feature beyond chance.\n" in body(replace(FOUND, moved=[]))


def test_a_retraining_that_did_not_help_asks_for_a_person_and_says_why() -> None:
    message = no_better_message(
        incident_id=7, came_to="rejected", reasons=["it may be worse than v_1"], version="v_2", links=LINKS
    )

    assert message.subject == "studyml: the retraining did not help, a person is needed"
    assert "- The candidate v_2 was rejected.\n- it may be worse than v_1\n" in message.body
    assert "For this incident no other retraining is made; enough new labels make one due." in message.body
    assert "1. See what it did: studyml versions report v_2\n" in message.body


def test_a_new_version_that_is_degraded_itself_asks_for_a_person_too() -> None:
    message = no_better_message(
        incident_id=7, came_to="served", reasons=["passed"], version="v_2", links=LINKS, verdict=VERDICT
    )

    assert message.subject == "studyml: the new version is degraded too, a person is needed"
    assert (
        "- v_2 passed the gates, and is off by 1.42 h on average since (MAE); the guide's limit is 1.19 h.\n"
        "- How sure: beyond chance: errors of this version are 1.58 x what they were when it was tested"
    ) in message.body
    assert "41 outcomes" in message.body
    assert "v_2 was" not in message.body


@pytest.mark.parametrize(
    ("came_to", "said", "summed_up"),
    [
        ("tried", "The candidate v_2 was on trial.", "the trial of the version that its retraining brought is over"),
        ("declined", "The candidate v_2 passed the gates and waited for approval.", "brought was not approved"),
    ],
)
def test_a_version_that_was_put_aside_asks_for_a_person_and_says_why(came_to: str, said: str, summed_up: str) -> None:
    message = no_better_message(incident_id=7, came_to=came_to, reasons=["time is over"], version="v_2", links=LINKS)

    assert message.subject == "studyml: the retraining did not help, a person is needed"
    assert f"- {said}\n- time is over\n" in message.body
    assert summed_up in message.body


def test_a_retraining_that_failed_names_no_version() -> None:
    message = no_better_message(incident_id=7, came_to="failed", reasons=[], version=None, links=LINKS)

    assert message.subject == "studyml: the retraining keeps failing, a person is needed"
    assert "- The retraining failed.\n" in message.body
    assert "it takes enough new labels, or studyml retrain --force" in message.body
    assert "1. studyml report\n" in message.body


def test_sessions_that_took_less_than_predicted_are_told_as_such() -> None:
    assert "- Direction: sessions took 0.84 h less than predicted on average.\n" in body(rolling_bias=-0.84)


@pytest.mark.parametrize(("came_to", "ended"), [("failed", "failed"), ("abandoned", "was killed")])
def test_a_retraining_that_ended_without_a_candidate_says_of_what_and_what_to_mend(came_to: str, ended: str) -> None:
    message = no_better_message(incident_id=7, came_to=came_to, reasons=["no memory"], version=None, links=LINKS)

    assert f"- The retraining {ended}.\n- no memory\n" in message.body
    assert "2. Mend what it ended of, then: studyml retrain --force\n" in message.body
    assert "Look for a change in the source data" not in message.body


def test_a_recovery_says_which_version_is_healthy_and_how_long_it_lasted() -> None:
    message = recovered_message(
        incident_id=7,
        opened_as_of=NIGHT,
        as_of=NIGHT + timedelta(days=9),
        times_reopened=0,
        verdict={**VERDICT, "rolling_mae": 0.92, "n": 33},
        version="v_20260302_010203",
        links=LINKS,
    )

    assert message.subject == "studyml: recovered: predictions are off by 0.92 h on average"
    assert "v_20260302_010203 is healthy, off by 0.92 h on average over 33 outcomes." in message.body
    assert "from the night of 2026-03-01 01:00 UTC to that of 2026-03-10 01:00 UTC" in message.body


@pytest.mark.parametrize(("times", "words"), [(1, "came back once."), (3, "came back 3 times.")])
def test_a_recovery_of_what_came_back_does_not_count_the_healthy_time_in(times: int, words: str) -> None:
    message = recovered_message(
        incident_id=7,
        opened_as_of=NIGHT,
        as_of=NIGHT + timedelta(days=9),
        times_reopened=times,
        verdict={**VERDICT, "rolling_mae": 0.92, "n": 33},
        version="v_20260302_010203",
        links=LINKS,
    )

    assert f"It was first found in the night of 2026-03-01 01:00 UTC, and {words}" in message.body
    assert "It lasted" not in message.body
