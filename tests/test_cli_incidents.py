"""The commands ``studyml alerts`` about incidents: look, take on, close, silence."""

import getpass
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from studyml import cli_alerts
from studyml.errors import InputError, RegistryError
from studyml.settings import Settings
from studyml.steps.report_failure import report_failure
from tests.conftest import END, NOW
from tests.scoring.world import finish, query

Run = Callable[..., str]
SECRET = "T0K3NPATH"


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command of ``studyml alerts`` as ann, so many hours after NOW, and return what it printed."""
    monkeypatch.setenv("STUDYML_DATABASE_URL", settings.database)
    monkeypatch.setenv("STUDYML_HEARTBEAT_URL", f"https://beat.example.org/{SECRET}")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(getpass, "getuser", lambda: "ann")

    def run(*arguments: str, hours: float = 0) -> str:
        monkeypatch.setattr(cli_alerts, "wall_clock", lambda: NOW + timedelta(hours=hours))
        result = CliRunner().invoke(cli_alerts.alerts_app, arguments, catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    return run


def fail(settings: Settings, task: str = "score.publish", hours: float = 0) -> None:
    report_failure(
        settings,
        dag_id="studyml_nightly",
        task_id=task,
        dag_run_id="run",
        as_of=END,
        error="the disk is full.",
        now=NOW + timedelta(hours=hours),
    )


def test_an_open_incident_is_listed_with_its_urgency_and_who_took_it_on(settings: Settings, run: Run) -> None:
    assert run("list") == "No open incident.\n"
    fail(settings)
    cells = run("list").splitlines()[1].split()
    assert cells[:4] == ["1", "task_failed", "page", "open"]
    assert cells[6:] == ["nobody", "studyml_nightly.score.publish", "failed"]

    assert run("ack", "1") == "Incident 1 is acknowledged by ann.\n"

    assert " ann " in run("list")
    assert json.loads(run("list", "--json"))["incidents"][0]["acknowledged_by"] == "ann"


def test_somebody_else_can_be_named(settings: Settings, run: Run) -> None:
    fail(settings)

    assert run("ack", "1", "--by", "bob") == "Incident 1 is acknowledged by bob.\n"
    assert run("ack", "1", "--by", "eve") == "Incident 1 is acknowledged by eve, no longer by bob.\n"
    run("resolve", "1", "--note", "mended", "--by", "bob", hours=1)
    [(actor, body)] = query(
        settings, "SELECT actor, message_body FROM studyml.incident_events WHERE event = 'resolved'"
    )
    assert (actor, "bob closed it (mended)" in body) == ("bob", True)
    run("silence", "task_failed", "--note", "the disk is replaced", "--by", "bob")
    assert "UTC by bob: the disk is replaced\n" in run("list")
    [silence] = json.loads(run("list", "--json"))["silences"]
    assert (silence["kind"], silence["actor"]) == ("task_failed", "bob")
    run("silence", "task_failed", "--end", "--by", "eve", hours=1)
    assert query(settings, "SELECT actor, note FROM studyml.silences") == [
        ("bob", "the disk is replaced; ended by eve")
    ]


def test_without_a_login_a_name_is_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("no such user")

    monkeypatch.setattr(getpass, "getuser", nobody)
    for arguments in (("ack", "1"), ("resolve", "1", "--note", "x"), ("silence", "degraded", "--note", "x")):
        with pytest.raises(InputError, match="say who you are with --by NAME"):
            run(*arguments)


def test_all_that_happened_to_one_is_shown_with_what_was_sent(settings: Settings, run: Run) -> None:
    fail(settings)
    run("ack", "1", hours=1)
    shown = run("show", "1")

    assert shown.startswith("Incident 1, task_failed, open: studyml_nightly.score.publish failed\n")
    assert "2026-03-01 01:30 UTC, opened by studyml" in shown
    assert "    studyml: studyml_nightly.score.publish failed\n" in shown
    assert "    the disk is full.\n" in shown
    assert "2026-03-01 02:30 UTC, acknowledged by ann: acknowledged by ann\n" in shown
    assert [each["event"] for each in json.loads(run("show", "1", "--json"))["events"]] == ["opened", "acknowledged"]


def test_who_acknowledges_is_no_place_for_a_secret(settings: Settings, run: Run) -> None:
    fail(settings)
    run("ack", "1", "--by", SECRET)

    assert query(settings, "SELECT acknowledged_by FROM studyml.incidents") == [("…",)]


def test_why_somebody_silences_is_no_place_for_a_secret(settings: Settings, run: Run) -> None:
    run("silence", "degraded", "--note", f"see {SECRET}")

    assert query(settings, "SELECT note FROM studyml.silences") == [("see …",)]


def test_one_that_is_closed_under_a_silence_says_when_that_is_told(settings: Settings, run: Run) -> None:
    fail(settings)
    run("silence", "task_failed", "--hours", "2", "--note", "works on it")

    printed = run("resolve", "1", "--note", "mended", hours=1)

    assert (
        printed == "Incident 1 is resolved. Whoever was told of it is told after the silence, 2026-03-01 03:30 UTC.\n"
    )


def test_one_that_is_closed_is_told_to_whoever_was_told_of_it(settings: Settings, run: Run) -> None:
    fail(settings)
    printed = run("resolve", "1", "--note", f"see https://beat.example.org/{SECRET}")

    assert printed == "Incident 1 is resolved. Tell whoever was told of it now: studyml alerts deliver\n"
    [(event, note, body)] = query(
        settings, "SELECT event, note, message_body FROM studyml.incident_events ORDER BY id DESC LIMIT 1"
    )
    assert (event, "ann closed it" in body) == ("resolved", True)
    assert "If its problem is found again, you are told." in body
    assert SECRET not in note + body


def test_a_kind_is_silenced_for_a_while_and_the_list_says_so(settings: Settings, run: Run) -> None:
    printed = run("silence", "task_failed", "--hours", "48", "--note", "the disk is replaced")

    assert printed == "task_failed is silenced until 2026-03-03 01:30 UTC.\n"
    assert "task_failed is silenced until 2026-03-03 01:30 UTC by ann: the disk is replaced\n" in run("list")
    fail(settings)
    assert query(settings, "SELECT held_back FROM studyml.incident_events") == [(True,)]
    assert run("silence", "task_failed", "--hours", "1", "--note", "x") == printed  # the longer one still holds
    assert "silenced" not in run("list", hours=49)


def test_a_silence_may_last_31_days(run: Run) -> None:
    printed = run("silence", "task_failed", "--hours", "744", "--note", "summer")

    assert printed == "task_failed is silenced until 2026-04-01 01:30 UTC.\n"


def test_a_silence_is_ended_before_its_time(settings: Settings, run: Run) -> None:
    run("silence", "task_failed", "--note", "x")

    assert run("silence", "task_failed", "--end", hours=1) == "task_failed is not silenced any more.\n"
    assert run("silence", "task_failed", "--end", hours=1) == "task_failed was not silenced.\n"
    fail(settings, hours=2)
    assert query(settings, "SELECT count(*) FROM studyml.incident_events WHERE message_body IS NOT NULL") == [(1,)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("silence", "degarded", "--note", "x"), "'degarded' is not a kind of incident: choose of degraded, "),
        (("silence", "degraded"), "--note is missing: say why"),
        (("silence", "degraded", "--note", " "), "--note is blank"),
        (("silence", "degraded", "--note", "x", "--hours", "745"), "745 hours is not possible: give 0.02"),
        (("silence", "degraded", "--note", "x", "--hours", "1e-12"), "1e-12 hours is not possible"),
        (("ack", "1", "--by", "x" * 101), "--by holds 101 characters: give a name of at most 100"),
        (("silence", "degraded", "--note", "x", "--hours", "0"), "0 hours is not possible"),
        (("silence", "degraded", "--note", "x", "--hours", "nan"), "nan hours is not possible"),
        (("ack", "9"), "there is no open incident 9"),
        (("ack", "9", "--by", ""), "--by is blank"),
        (("ack", "9", "--by", "ann@example.org"), "--by holds an e-mail address, which no record keeps: give a name"),
        (("resolve", "9", "--note", "x"), "there is no incident 9"),
        (("resolve", "9", "--note", "x", "--by", " "), "--by is blank"),
        (("silence", "degraded", "--note", "x", "--by", ""), "--by is blank"),
        (("show", "9"), "there is no incident 9: 'studyml alerts list --all' shows"),
    ],
)
def test_a_mistake_is_a_sentence(run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises((InputError, RegistryError), match=sentence):
        run(*arguments)


def test_one_that_is_closed_is_dated_by_the_nights_which_may_lie_in_the_past(settings: Settings, run: Run) -> None:
    finish(settings, END - timedelta(days=900))
    fail(settings)
    query(settings, "UPDATE studyml.incidents SET opened_as_of = %s", END - timedelta(days=900))
    run("resolve", "1", "--note", "done")

    assert query(settings, "SELECT resolved_as_of FROM studyml.incidents") == [(END - timedelta(days=900),)]


def test_one_that_a_later_night_than_the_newest_found_is_not_closed_before_it_was_opened(
    settings: Settings, run: Run
) -> None:
    finish(settings, END - timedelta(days=1))
    fail(settings)
    run("resolve", "1", "--note", "done")

    assert query(settings, "SELECT resolved_as_of FROM studyml.incidents") == [(END,)]


def test_before_the_first_night_one_is_closed_as_of_now(settings: Settings, run: Run) -> None:
    fail(settings)
    run("resolve", "1", "--note", "done", hours=5)

    assert query(settings, "SELECT resolved_as_of FROM studyml.incidents") == [(NOW + timedelta(hours=5),)]
