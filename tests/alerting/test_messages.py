"""What the on-call engineer reads about everything but a degraded model."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from studyml.alerting import messages
from studyml.alerting.incidents import CONTRACT_BROKEN, SCORING_LATE, TASK_FAILED, Incident
from studyml.alerting.message import Links, Message, compose, trial_message

NIGHT = datetime(2026, 3, 1, 1, tzinfo=UTC)
LINKS = Links("https://wiki.example.org/runbook", "https://airflow.example.org/")
INCIDENT = Incident(
    7, TASK_FAILED, "page", "open", "a task failed", "v_1", NIGHT, NIGHT, NIGHT, None, None, None, None, None, 0, {}
)


def every_message() -> dict[str, Message]:
    return {
        "failure": messages.failure_message(
            dag_id="studyml_nightly",
            task_id="score.publish",
            dag_run_id="scheduled__1",
            as_of=NIGHT,
            error="the disk is full.",
            links=LINKS,
        ),
        "contract": messages.contract_message(
            ["10 of 100 new outcomes were quarantined"], as_of=NIGHT, incident_id=7, links=LINKS
        ),
        "unjudged": messages.unjudged_message(
            "an error of the window is not a number", as_of=NIGHT, incident_id=7, links=LINKS
        ),
        "unplanned": messages.unplanned_message(
            ["no session is planned, up to 60 were before"], as_of=NIGHT, incident_id=7, links=LINKS
        ),
        "waiting": messages.waiting_message(version="v_2", deadline=NIGHT, incident_id=7, links=LINKS),
        "labels": messages.no_labels_message(
            days=7.2, newest=NIGHT, due=40, as_of=NIGHT + timedelta(days=7), incident_id=7, links=LINKS
        ),
        "retraining": messages.retraining_message(
            times=3, reasons=["2026-03-01 failed: no memory"], stopped=True, incident_id=7, links=LINKS
        ),
        "scoring": messages.scoring_message(
            as_of=NIGHT, found="It began at 01:00, and its scoring is running.", incident_id=7, links=LINKS
        ),
        "night": messages.night_missing_message(
            last_as_of=NIGHT, finished_at=NIGHT + timedelta(hours=1), hours=30, incident_id=7, links=LINKS
        ),
        "over": messages.over_message(INCIDENT, note="it went away", links=LINKS),
        "escalation": messages.escalation_message(INCIDENT, hours=4, links=LINKS),
    }


def test_a_failed_task_is_told_with_its_error_night_run_and_what_to_do() -> None:
    message = every_message()["failure"]

    assert message.subject == "studyml: studyml_nightly.score.publish failed"
    assert message.body == (
        "The task score.publish of studyml_nightly failed and is not tried again by itself:\n"
        "\n"
        "the disk is full.\n"
        "\n"
        "- Night: 2026-03-01 01:00 UTC.\n"
        "- Run: scheduled__1.\n"
        "\n"
        "Nothing is lost: analysts read the newest predictions that are whole.\n"
        "While its incident is open no further message comes about this task. It closes by itself when a later night"
        " finishes without a failed task.\n"
        "\n"
        "Next:\n"
        "1. Do what the error says.\n"
        "2. Clear the red task in Airflow, or run studyml night again: every task can be repeated, and what follows it"
        " runs too.\n"
        "\n"
        "Runbook: https://wiki.example.org/runbook#task-failed\n"
        "Airflow: https://airflow.example.org/dags/studyml_nightly/runs/scheduled__1"
    )


@pytest.mark.parametrize("name", every_message())
def test_every_message_is_short_plain_and_leads_to_its_section_of_the_runbook(name: str) -> None:
    message = every_message()[name]

    assert len(message.subject) <= 120
    assert max(map(len, message.body.splitlines())) < 400
    [section] = re.findall(r"^Runbook: https://wiki\.example\.org/runbook#([a-z-]+)$", message.body, re.MULTILINE)
    assert section in {*messages.SECTIONS.values(), messages.WAITING_SECTION}


@pytest.mark.parametrize("name", ["contract", "unjudged", "unplanned", "labels", "retraining", "scoring", "night"])
def test_a_message_about_an_open_incident_says_how_to_take_it_on(name: str) -> None:
    assert "1. Say that you have it: studyml alerts ack 7\n" in every_message()[name].body


def test_an_opened_breaker_says_how_a_retraining_is_made_all_the_same() -> None:
    assert "studyml retrain --force" in every_message()["retraining"].body


def test_an_escalation_says_how_long_nobody_answered_and_which_incident() -> None:
    message = every_message()["escalation"]

    assert message.subject == "studyml: not acknowledged for over 4 h: a task failed"
    assert "studyml alerts ack 7" in message.body
    assert "studyml alerts show 7" in message.body
    assert "for over 4 h. It is about: a task failed." in message.body


def test_a_subject_that_is_too_long_is_cut() -> None:
    assert len(Message("x" * 500, "").subject) == 120


def test_parts_that_are_empty_are_left_out() -> None:
    assert compose("t", summary="only this").body == "only this"


def test_a_test_message_says_that_nothing_is_wrong() -> None:
    assert trial_message(NIGHT).body == "This is a test, sent 2026-03-01 01:00 UTC. Nothing is wrong."


def failed(run: str, *, recorded: bool = True) -> str:
    return messages.failure_message(
        dag_id="studyml_nightly",
        task_id="score",
        dag_run_id=run,
        as_of=NIGHT,
        error="it is away",
        links=LINKS,
        recorded=recorded,
    ).body


def test_without_airflow_there_is_no_run_to_link_to() -> None:
    assert "Airflow: https://airflow.example.org/dags/studyml_nightly\n" in failed(messages.WITHOUT_AIRFLOW) + "\n"
    assert f"Run: {messages.WITHOUT_AIRFLOW}." in failed(messages.WITHOUT_AIRFLOW)


def test_where_our_database_is_away_analysts_are_not_said_to_read_on() -> None:
    assert "analysts read the newest predictions" in failed("a_run")
    assert "analysts read the newest predictions" not in failed("a_run", recorded=False)
    assert "analysts may get no predictions" in failed("a_run", recorded=False)


@pytest.mark.parametrize(
    ("dag_id", "by_hand"),
    [
        ("studyml_nightly", "studyml night"),
        ("studyml_maintenance", "studyml maintain"),
        ("studyml_score", "studyml score"),
        ("studyml_retrain", "studyml retrain"),
        ("studyml_approve", "studyml versions approve or reject"),
        ("studyml_tune", "studyml tune"),
        ("studyml_alerts", "studyml alerts deliver"),
    ],
)
def test_a_failed_task_leads_to_its_own_dag_and_names_the_command_that_does_the_same(dag_id: str, by_hand: str) -> None:
    body = messages.failure_message(
        dag_id=dag_id, task_id="x", dag_run_id="a_run", as_of=NIGHT, error="it is away", links=LINKS
    ).body

    assert f"Clear the red task in Airflow, or run {by_hand} again:" in body
    assert body.endswith(f"Airflow: https://airflow.example.org/dags/{dag_id}/runs/a_run")


def test_of_tables_that_are_not_as_promised_their_owners_are_to_be_told() -> None:
    body = messages.failure_message(
        **{"dag_id": "studyml_nightly", "task_id": "x", "dag_run_id": "a_run", "as_of": NIGHT},
        **{"error": "it lacks a column", "links": LINKS, "kind": CONTRACT_BROKEN},
    ).body

    assert "It closes by itself when two nights in a row find nothing wrong.\n" in body
    assert "1. Tell the study app's owners what the error says.\n" in body


def test_that_most_sessions_got_no_prediction_is_in_the_subject() -> None:
    found = ["50 of 100 planned sessions have no student"]
    subjects = [
        messages.contract_message(found, as_of=NIGHT, incident_id=7, links=LINKS, unscored=unscored).subject
        for unscored in (False, True)
    ]

    assert subjects == [
        "studyml: the study app's data break the data contract",
        "studyml: most planned sessions got no prediction: the study app's data break the data contract",
    ]


def test_that_no_other_retraining_is_started_is_in_the_subject() -> None:
    subjects = [
        messages.retraining_message(times=3, reasons=[], stopped=stopped, incident_id=7, links=LINKS).subject
        for stopped in (False, True)
    ]

    assert subjects == [
        "studyml: 3 retrainings in a row brought no new version",
        "studyml: 3 retrainings in a row brought no new version, no other is started",
    ]


def test_that_no_label_arrives_says_when_the_newest_was_seen_and_how_many_are_due() -> None:
    body = every_message()["labels"].body

    assert (
        "- Newest outcome: seen in the night of 2026-03-01 01:00 UTC.\n"
        "- Sessions dated since then, up to 2026-03-08 01:00 UTC: 40.\n"
    ) in body


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (0, "It was open since 2026-03-01 01:00 UTC."),
        (1, "It was first opened at 2026-03-01 01:00 UTC, and came back once."),
        (2, "It was first opened at 2026-03-01 01:00 UTC, and came back 2 times."),
    ],
)
def test_what_is_over_and_what_nobody_took_on_say_since_when_it_was_open(times: int, words: str) -> None:
    incident = replace(INCIDENT, times_reopened=times)

    assert f"- {words}\n" in messages.over_message(incident, note="it went away", links=LINKS).body
    assert f"- {words}\n- Version: v_1.\n" in messages.escalation_message(incident, hours=4, links=LINKS).body


def test_without_a_version_an_escalation_names_none() -> None:
    incident = replace(INCIDENT, model_version=None)

    assert "Version" not in messages.escalation_message(incident, hours=4, links=LINKS).body


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        (CONTRACT_BROKEN, "What was refused stays in studyml.quarantined_rows until the study app corrects it"),
        (SCORING_LATE, "If that night itself did not finish, the next one observes and judges what it left."),
    ],
)
def test_what_is_over_says_what_it_left_behind(kind: str, left: str) -> None:
    body = messages.over_message(replace(INCIDENT, kind=kind), note="it went away", links=LINKS).body

    assert left in body
    assert "Nothing is left to do." not in body
