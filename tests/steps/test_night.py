"""Nights one after another: lived, run again, replayed, caught up."""

import json
import logging
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from studyml.errors import ArtifactError, DeliveryError, InputError, RegistryError, SourceError, TrainingError
from studyml.hyperparameters import Hyperparameters
from studyml.registry.bundle import seal
from studyml.settings import Settings
from studyml.steps import night as steps
from studyml.steps.night import night
from studyml.steps.report import report
from tests.alerting.messages import write
from tests.alerting.receivers import Webhook, webhook
from tests.conftest import END, FIRST_NIGHT, NOW, silent
from tests.scoring.world import VERSION, add_champion, every_text, query, scalar
from tests.steps.test_notify import with_alerts

DAY = timedelta(days=1)

# What a night leaves behind, without the moment of writing, and what a night that is run again must not change.
FACTS = {
    "predictions": "SELECT as_of, session_id, role, model_version, served, predicted_hours, lower_hours, upper_hours,"
    " lower_hours_90, upper_hours_90, input_warnings FROM studyml.predictions ORDER BY 1, 2",
    "outcomes": "SELECT session_id, revision, outcome_id, actual_hours, observed_at FROM studyml.outcomes ORDER BY 3",
    "served": "SELECT session_id, revision, role, as_of, model_version, predicted_hours, error_hours"
    " FROM studyml.outcome_predictions ORDER BY 1, 2, 3",
    "verdicts": "SELECT as_of, scope, verdict, n, rolling_mae, expected_mae, coverage, interval_80_coverage,"
    " interval_90_coverage FROM studyml.monitoring_runs ORDER BY 1, 2",
    "incidents": "SELECT id, kind, status, figures::text FROM studyml.incidents ORDER BY 1",
    "messages": "SELECT event_id, status FROM studyml.deliveries ORDER BY 1",
    "versions": "SELECT version, status FROM studyml.model_versions ORDER BY 1",
    "deployments": "SELECT as_of, to_version FROM studyml.deployments ORDER BY id",
    "decisions": "SELECT as_of, decision, version FROM studyml.retraining_runs WHERE decision <> 'skipped' ORDER BY id",
}


def facts(settings: Settings, *names: str) -> dict[str, Any]:
    return {name: query(settings, FACTS[name]) for name in names or FACTS}


def live(settings: Settings, as_of: datetime = END, *, retraining: bool = False) -> dict[str, Any]:
    """A night; without ``retraining`` nothing makes one due, which saves the seconds of a training."""
    # The training itself is tested elsewhere: two epochs are enough of a network.
    quick = {"architecture": "mlp", "recipe": "guide", "hyperparameters": Hyperparameters(epochs=2, neurons=8)}
    calm = {} if retraining else {"baseline_mae": 50.0, "retrain_min_labels": 1000}
    return night(settings.model_copy(update={**quick, **calm}), as_of=as_of, now=max(as_of, NOW), progress=silent)


def worsen(settings: Settings, factor: float = 4) -> None:
    """From the first night on, everything takes many times as long."""
    query(
        settings,
        "UPDATE study_sessions SET actual_duration = least(24, actual_duration * %s)"
        " WHERE actual_duration IS NOT NULL AND session_date > %s",
        factor,
        FIRST_NIGHT,
    )


def test_a_night_ends_when_it_ends_and_not_when_it_began(lived: Settings) -> None:
    ends = NOW + timedelta(minutes=40)
    quiet = lived.model_copy(update={"retrain_min_labels": 10_000})

    night(quiet, as_of=END, now=NOW, progress=silent, clock=lambda: ends)

    assert query(lived, "SELECT started_at, finished_at FROM studyml.nights WHERE as_of = %s", END) == [(NOW, ends)]


def test_the_second_night_observes_judges_and_scores_what_the_first_one_predicted(lived: Settings) -> None:
    result = live(lived, retraining=True)

    assert result["replay"] is False
    assert result["observed"]["new"] > 0
    assert result["monitoring"]["n"] == result["observed"]["new"]
    assert result["scoring"]["written"] == result["scoring"]["planned"] > 0
    assert report(lived)["finished"] is True


def test_each_outcome_is_judged_by_the_prediction_of_the_night_before_it(lived: Settings) -> None:
    predicted = dict(query(lived, "SELECT session_id, predicted_hours FROM studyml.predictions"))

    live(lived)

    found = query(lived, "SELECT session_id, as_of, predicted_hours FROM studyml.outcome_predictions")
    assert found == [(session, FIRST_NIGHT, predicted[session]) for session, _, _ in found] != []


def test_the_newest_night_run_again_changes_nothing(lived: Settings, hook: Webhook) -> None:
    alerting = with_alerts(lived, hook.url())
    worsen(lived)
    live(alerting, retraining=True)
    before = facts(lived)
    assert len(before["decisions"]) == 2
    told = len(hook.received)
    assert told >= 1

    live(alerting, retraining=True)

    assert facts(lived) == before
    assert len(hook.received) == told


def test_a_promotion_in_the_night_does_not_make_the_night_another_when_it_is_run_again(
    lived: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studyml.steps.publish_version._gates", lambda *_: [{"passed": True, "reason": "good"}])
    worsen(lived)
    live(lived, retraining=True)
    before = facts(lived)
    assert len(before["deployments"]) == 2

    live(lived, retraining=True)

    assert facts(lived) == before


def test_a_replay_recomputes_verdict_and_predictions_with_the_champion_of_that_time_and_nothing_else(
    lived: Settings, hook: Webhook
) -> None:
    live(lived)
    add_champion(lived, END, version="v_20260301_235959")
    before = facts(lived)
    query(lived, "UPDATE study_sessions SET actual_duration = 20")

    result = live(with_alerts(lived, hook.url()), FIRST_NIGHT)

    assert result["replay"] is True
    assert result["observed"]["new"] == 0
    assert result["retraining"] is None
    assert facts(lived) == before
    assert hook.asked == []
    assert scalar(lived, "SELECT max(as_of) FROM analytics.study_time_predictions") == END


def test_a_replay_writes_again_what_was_lost(lived: Settings) -> None:
    live(lived)
    before = facts(lived)
    query(lived, "DELETE FROM studyml.predictions WHERE as_of = %s", FIRST_NIGHT)
    query(lived, "DELETE FROM studyml.monitoring_runs WHERE as_of = %s", FIRST_NIGHT)

    live(lived, FIRST_NIGHT)

    assert facts(lived) == before


def test_a_replay_uses_up_no_labels(lived: Settings) -> None:
    live(lived)
    consumed = query(lived, "SELECT max(consumed_through) FROM studyml.retraining_runs")

    live(lived, FIRST_NIGHT)

    assert query(lived, "SELECT max(consumed_through) FROM studyml.retraining_runs") == consumed
    assert "a replay never retrains" in scalar(
        lived, "SELECT note FROM studyml.retraining_runs ORDER BY id DESC LIMIT 1"
    )


def test_a_night_between_two_lived_ones_is_a_replay_with_predictions_of_its_own(lived: Settings) -> None:
    live(lived)
    before = facts(lived, "outcomes", "served", "deployments", "versions")

    result = live(lived, FIRST_NIGHT + 3 * DAY)

    assert result["replay"] is True
    assert result["scoring"]["written"] == result["scoring"]["planned"] > 0
    assert facts(lived, "outcomes", "served", "deployments", "versions") == before


def test_a_night_older_than_any_deployment_is_one_sentence_and_changes_nothing(lived: Settings) -> None:
    before = facts(lived)

    with pytest.raises(RegistryError, match="no version served at 2026-02-12 00:00 UTC"):
        live(lived, FIRST_NIGHT - 10 * DAY)

    found = facts(lived)
    assert [row for row in found.pop("verdicts") if row[0] == FIRST_NIGHT] == before.pop("verdicts")
    assert found == before


def test_nights_caught_up_in_order_from_scratch_each_know_what_was_known_then(simulated: Settings) -> None:
    nights = [END - 88 * DAY + 7 * number * DAY for number in range(4)]

    results = [live(simulated, as_of, retraining=True) for as_of in nights]

    assert [result["replay"] for result in results] == [False] * 4
    decisions = [(result["retraining"] or {}).get("decision") for result in results]
    assert decisions[0] == "fallback"
    counted = [
        scalar(simulated, "SELECT count(*) FROM studyml.outcomes WHERE observed_at = %s", night) for night in nights
    ]
    dated = [
        scalar(
            simulated,
            "SELECT count(*) FROM study_sessions WHERE session_date <= %s AND session_date > %s",
            night,
            night - 7 * DAY if number else night - 365 * DAY,
        )
        for number, night in enumerate(nights)
    ]
    assert counted == dated
    assert sum(counted) == scalar(simulated, "SELECT count(*) FROM studyml.outcomes")
    # No outcome is judged by a night that knew it.
    assert scalar(simulated, "SELECT count(*) FROM studyml.outcome_predictions WHERE as_of >= observed_at") == 0
    assert [result["monitoring"]["n"] for result in results[1:]] == [
        scalar(
            simulated,
            "SELECT count(*) FROM studyml.outcome_predictions WHERE observed_at <= %s AND session_date > %s",
            night,
            night - 30 * DAY,
        )
        for night in nights[1:]
    ]


def test_degradation_is_told_once_retrained_for_once_and_over_when_it_is(lived: Settings, hook: Webhook) -> None:
    alerting = with_alerts(lived, hook.url("S3cretPath"))
    worsen(lived)

    result = live(alerting, retraining=True)

    assert result["monitoring"]["verdict"] in ("suspected", "confirmed")
    [(reason, decision)] = query(lived, "SELECT reason, decision FROM studyml.retraining_runs WHERE as_of = %s", END)
    assert reason == "degraded"
    assert decision in ("promoted", "rejected")
    # Where the retraining did not help, a person is asked.
    told = 1 + (decision == "rejected")
    assert (result["messages"]["sent"], result["messages"]["pending"]) == (told, 0)
    assert f"The guide's limit is {1.188:.2f} h" in hook.received[0]["message"]
    assert "S3cretPath" not in every_text(lived)

    for following in (END + DAY, END + 2 * DAY):
        again = live(alerting, following, retraining=True)
        assert again["monitoring"]["verdict"] in ("suspected", "confirmed")
        assert again["retraining"] is None
    # Told once; what nobody acknowledged is escalated once.
    escalated = [message["title"] for message in hook.received[told:]]
    assert [title.partition(":")[2][:22] for title in escalated] == [" not acknowledged for "]

    much_later = live(alerting, END + 60 * DAY, retraining=True)
    assert much_later["monitoring"]["verdict"] == "insufficient_data"
    assert scalar(lived, "SELECT status FROM studyml.incidents WHERE kind = 'degraded'") == "open"


def test_a_receiver_that_is_down_delays_a_message_by_a_night(lived: Settings, hook: Webhook) -> None:
    alerting = with_alerts(lived, hook.url())
    write(lived, "one")
    hook.status = 500
    assert live(alerting)["messages"]["pending"] == 1
    hook.status = 200

    assert live(alerting, END + DAY)["messages"]["sent"] == 1


@pytest.mark.parametrize("error", [TrainingError("it does not learn."), RuntimeError("it does not learn.")])
def test_a_failed_retraining_does_not_stop_the_scoring_and_the_night_ends_failed(
    lived: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(steps, "train_candidate", fails)
    worsen(lived)

    with pytest.raises(type(error), match="does not learn"):
        live(lived, retraining=True)

    assert report(lived)["finished"] is True
    assert scalar(lived, "SELECT as_of FROM analytics.freshness") == END


def test_a_damaged_champion_fails_the_night_and_yesterdays_predictions_stay(lived: Settings) -> None:
    before = query(lived, "SELECT * FROM analytics.study_time_predictions ORDER BY 1")
    for path in lived.artifact_root.glob("v_*/model.onnx"):
        path.write_bytes(b"")

    with pytest.raises(ArtifactError, match="is damaged"):
        live(lived)

    assert query(lived, "SELECT * FROM analytics.study_time_predictions ORDER BY 1") == before
    assert report(lived)["finished"] is False


def test_what_a_night_returns_is_plain_json_and_its_log_is_short(
    lived: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="studyml"):
        result = live(lived)

    assert json.loads(json.dumps(result)) == result
    assert len([record for record in caplog.records if record.name == "studyml"]) < 30


def test_a_champion_that_another_process_made_meanwhile_scores_the_night(lived: Settings) -> None:
    """``studyml_score`` for the newest night, after a promotion outside of one."""
    present = scalar(lived, "SELECT version FROM studyml.model_versions WHERE status = 'champion'")
    copied = lived.artifact_root / VERSION
    (lived.artifact_root / present).rename(copied)
    add_champion(lived, FIRST_NIGHT + DAY)
    query(lived, "UPDATE studyml.model_versions SET manifest_sha256 = %s WHERE version = %s", seal(copied), VERSION)

    steps.score(lived, as_of=FIRST_NIGHT, now=NOW, progress=silent)

    assert query(lived, "SELECT DISTINCT model_version FROM analytics.study_time_predictions") == [(VERSION,)]


def test_a_step_that_fails_without_airflow_is_told_and_a_mistake_at_the_terminal_is_not(
    lived: Settings, hook: Webhook
) -> None:
    alerting = with_alerts(lived, hook.url())
    with pytest.raises(InputError):
        night(alerting, as_of=NOW + 30 * DAY, now=NOW, progress=silent)
    assert hook.received == []
    query(alerting, "ALTER TABLE topics RENAME TO subjects")

    with pytest.raises(SourceError):
        night(alerting, as_of=END, now=NOW, progress=silent)

    (told,) = hook.received
    assert told["title"] == "studyml: studyml_nightly.start_night failed: the study app's tables are not as promised"


@pytest.mark.parametrize(
    ("step", "task", "finished"),
    [
        ("observe", "observe", False),
        ("monitor", "judge", False),
        ("notify", "notify", False),
        ("decide_challenger", "decide_challenger", True),
        ("check_retraining", "retrain", True),
    ],
)
def test_a_step_that_fails_without_airflow_is_told_and_does_not_stop_the_scoring(
    lived: Settings, hook: Webhook, monkeypatch: pytest.MonkeyPatch, step: str, task: str, finished: bool
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ArtifactError("what it needs is damaged.")

    monkeypatch.setattr(steps, step, fails)
    said: list[str] = []

    with pytest.raises(ArtifactError, match="what it needs is damaged"):
        night(with_alerts(lived, hook.url()), as_of=END, now=NOW, progress=said.append)

    assert [each["title"] for each in hook.received] == [f"studyml: studyml_nightly.{task} failed"]
    assert f"{task} failed: what it needs is damaged." in said
    assert report(lived)["finished"] is finished
    assert scalar(lived, "SELECT as_of FROM analytics.freshness") == END


def test_what_a_night_found_is_told_though_its_heartbeat_is_not_heard(lived: Settings, hook: Webhook) -> None:
    hook.status = 500
    deaf = lived.model_copy(update={"heartbeat_url": SecretStr(hook.url().replace("json", "http"))})
    with webhook() as pager, pytest.raises(DeliveryError):
        live(with_alerts(deaf, pager.url()))

    assert [each["title"] for each in pager.received] == ["studyml: studyml_nightly.finish failed"]
