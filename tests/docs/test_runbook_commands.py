"""Every command that the runbook names works on a database that has lived, as a person at night expects."""

import shlex

import psycopg2
import pytest
from typer.testing import CliRunner

from studyml.cli import app
from studyml.settings import Settings
from studyml.steps.deliver_alerts import deliver_alerts
from studyml.steps.report_failure import report_failure
from tests.alerting.receivers import webhook
from tests.conftest import FIRST_NIGHT, NOW
from tests.docs.documents import code_lines, code_spans
from tests.docs.test_commands import commands_in

RUNBOOK = "docs/runbook.md"
#: What a check finds amiss is its exit status.
CHECKS = (["doctor"], ["doctor", "--night"])
SAMPLE_VERSION = "v_20260301_010203"


def commands() -> list[list[str]]:
    """The commands in the runbook's blocks and sentences, each once."""
    found: dict[str, list[str]] = {}
    for text in (*code_lines(RUNBOOK), *code_spans(RUNBOOK)):
        for words in commands_in(text):
            found[shlex.join(words)] = words
    return list(found.values())


def run(words: list[str]) -> None:
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0 or words in CHECKS, f"studyml {shlex.join(words)}: {result.output}"


def fail_a_task(settings: Settings) -> None:
    report_failure(
        settings,
        dag_id="studyml_maintenance",  # never a replay
        task_id="maintain",
        dag_run_id="run",
        as_of=FIRST_NIGHT,
        error="the disk is full.",
        now=NOW,
    )


def newest(settings: Settings, question: str) -> str:
    connection = psycopg2.connect(settings.database)
    with connection, connection.cursor() as cursor:
        cursor.execute(question)
        (found,) = cursor.fetchone() or (None,)
    connection.close()
    assert found is not None, question
    return str(found)


def filled_in(settings: Settings, words: list[str]) -> list[str]:
    """The command about something that there is, in place of what the runbook shows."""
    if words[:2] in (["alerts", "ack"], ["alerts", "resolve"], ["alerts", "show"]):
        fail_a_task(settings)
        incident = newest(settings, "SELECT max(id) FROM studyml.incidents WHERE status = 'open'")
        return [*words[:2], incident, *words[3:]]
    if words[:2] == ["alerts", "retry"] and words[2:] != ["--all"]:
        return ["alerts", "retry", newest(settings, "SELECT max(id) FROM studyml.deliveries WHERE status <> 'sent'")]
    other = "SELECT max(version) FROM studyml.model_versions WHERE status IN ('rejected', 'retired')"
    return [newest(settings, other) if word == SAMPLE_VERSION else word for word in words]


def test_every_command_of_the_runbook_works(lived: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDYML_DATABASE_URL", lived.database)
    monkeypatch.setenv("STUDYML_ARTIFACT_ROOT", str(lived.artifact_root))
    for name, small in (("ARCHITECTURE", "mlp"), ("RECIPE", "guide"), ("HYPERPARAMETERS", '{"epochs": 2}')):
        monkeypatch.setenv(f"STUDYML_{name}", small)
    found = commands()
    assert len(found) > 25
    with webhook() as hook:
        monkeypatch.setenv("STUDYML_ALERT_URLS", hook.url())
        alerting = lived.model_copy(update={"alert_urls": lived.alert_urls.__class__(hook.url())})
        run(["retrain", "--force"])  # so that there is another version to look at and to go back to
        hook.status = 500
        fail_a_task(lived)
        deliver_alerts(alerting, now=NOW)
        late = [words for words in found if words[:2] not in (["alerts", "retry"], ["alerts", "deliveries"])]
        for words in found:
            if words not in late:
                run(filled_in(lived, words))
        hook.status = 200
        for words in late:
            run(filled_in(lived, words))
        assert hook.received, "alerts test and alerts deliver have sent something"
