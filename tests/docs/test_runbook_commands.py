"""Every command that the runbook names works on a database that has lived, as a person at night expects."""

import shlex
from datetime import timedelta
from itertools import count

import psycopg2
import pytest
from typer.testing import CliRunner

from studyml.cli import app
from studyml.model import training
from studyml.settings import Settings
from studyml.steps import evaluate_candidate
from studyml.steps.deliver_alerts import deliver_alerts
from studyml.steps.observe import observe
from studyml.steps.report_failure import report_failure
from tests.alerting.receivers import webhook
from tests.conftest import END, FIRST_NIGHT, NOW
from tests.docs.documents import code_lines, code_spans
from tests.docs.test_commands import commands_in
from tests.steps.retraining import trained_to_say
from tests.steps.test_publish_version import lengthen

RUNBOOK = "docs/runbook.md"
#: What a check finds amiss is its exit status.
CHECKS = (["doctor"], ["doctor", "--night"])
#: The versions that the runbook shows: one of before, and the one that it is about.
SAMPLE_VERSION, NEWER_VERSION = "v_20260301_010203", "v_20260308_010203"
#: Which commands need a version that waits or is on trial, and how it comes about.
DECISIONS = {
    "approve": ("approve", "awaiting_approval"),
    "reject": ("approve", "awaiting_approval"),
    "retire": ("challenger", "challenger"),
}
#: Each network says something else, in hours, so that none is the same as one that was taken back.
SAYS = (19.45 + number / 1000 for number in count())


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


def asked(settings: Settings, question: str) -> object:
    connection = psycopg2.connect(settings.database)
    with connection, connection.cursor() as cursor:
        cursor.execute(question)
        (found,) = cursor.fetchone() or (None,)
    connection.close()
    return found


def newest(settings: Settings, question: str) -> str:
    found = asked(settings, question)
    assert found is not None, question
    return str(found)


def good_candidate(settings: Settings, promotion: str, status: str) -> str:
    """A version of this status: one that passed the gates of a retraining under the policy."""
    wanted = f"SELECT max(version) FROM studyml.model_versions WHERE status = '{status}'"
    for hours in (next(SAYS), next(SAYS)):  # the first takes over from a fallback at once
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("STUDYML_PROMOTION", promotion)
            patch.setattr(evaluate_candidate, "judge_serving", lambda *_: [])
            patch.setattr(training, "train", lambda *given, says=hours: trained_to_say(says, *given[:3]))
            run(["retrain", "--force"])
        if asked(settings, wanted) is not None:
            break
    return newest(settings, wanted)


def version_for(settings: Settings, words: list[str], shown: str) -> str:
    """A version that the command is about, in place of the one shown."""
    if words[:1] == ["versions"] and words[1] in DECISIONS:
        return good_candidate(settings, *DECISIONS[words[1]])
    if "--reproduce" in words:  # the last that was really trained
        return newest(settings, "SELECT max(version) FROM studyml.model_versions WHERE NOT is_fallback")
    statuses = "'rejected', 'retired'"
    if "--from-quarantine" in words:
        statuses = "'quarantined'"
    elif shown == NEWER_VERSION:
        statuses = "'champion'"
    return newest(settings, f"SELECT max(version) FROM studyml.model_versions WHERE status IN ({statuses})")


def filled_in(settings: Settings, words: list[str]) -> list[str]:
    """The command about something that there is, in place of what the runbook shows."""
    if words[:2] in (["alerts", "ack"], ["alerts", "resolve"], ["alerts", "show"]):
        fail_a_task(settings)
        incident = newest(settings, "SELECT max(id) FROM studyml.incidents WHERE status = 'open'")
        return [*words[:2], incident, *words[3:]]
    if words[:2] == ["alerts", "retry"] and words[2:] != ["--all"]:
        return ["alerts", "retry", newest(settings, "SELECT max(id) FROM studyml.deliveries WHERE status <> 'sent'")]
    if "--session" in words:
        session = newest(
            settings, "SELECT min(session_id) FROM analytics.served_predictions WHERE visible_from < now()"
        )
        night = [] if words[0] != "explain" else ["--as-of", FIRST_NIGHT.isoformat()]  # later ones have nothing planned
        return [*(session if word == "12" else word for word in words), *night]
    if "--training-from" in words:
        since = (FIRST_NIGHT - timedelta(days=30)).date().isoformat()
        return [since if word == "2026-07-24" else word for word in words]
    return [version_for(settings, words, word) if word.startswith("v_") else word for word in words]


def test_every_command_of_the_runbook_works(lived: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDYML_DATABASE_URL", lived.database)
    monkeypatch.setenv("STUDYML_ARTIFACT_ROOT", str(lived.artifact_root))
    for name, small in (("ARCHITECTURE", "mlp"), ("RECIPE", "guide"), ("HYPERPARAMETERS", '{"epochs": 2}')):
        monkeypatch.setenv(f"STUDYML_{name}", small)
    monkeypatch.setenv("STUDYML_LEVEL_CHANGES", "ignore")  # else naive predictors were as good on these labels
    found = commands()
    assert len(found) > 40
    lengthen(lived)  # labels that a good candidate is good on
    observe(lived, as_of=END, now=NOW)
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
