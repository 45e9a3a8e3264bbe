"""A backtest lives the nights as they would have been lived, touches nothing of ours, and goes on when killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from studyml.errors import ArtifactError, RegistryError
from studyml.settings import Settings
from studyml.steps import train_candidate
from studyml.steps.night import night
from tests.alerting.receivers import webhook
from tests.conftest import silent
from tests.scoring.world import every_text, query, scalar
from tests.steps.backtests import NAIVE, Watch, databases, log, replay, scratch_of
from tests.steps.retraining import constant_network
from tests.steps.test_night import facts

__all__ = ["constant_network", "log"]

FIRST, LAST = "2026-02-12", "2026-02-20"


def naive(settings: Settings) -> Settings:
    return settings.model_copy(update=NAIVE)


def test_it_lives_a_night_a_day_at_one_and_reports_them(log: Settings, tmp_path: Path) -> None:
    watch = Watch()

    document = replay(naive(log), tmp_path / "out", first=FIRST, last=LAST, watch=watch)

    assert [night["as_of"] for night in document["nights"]] == [
        (datetime(2026, 2, 12, 1, tzinfo=UTC) + timedelta(days=day)).isoformat() for day in range(9)
    ]
    assert json.loads((tmp_path / "out" / "backtest.json").read_text()) == document
    assert escape(document["headline"]) in (tmp_path / "out" / "backtest.html").read_text()
    assert watch.begun == [(9, 0)]
    assert len(watch.lines) == 9
    assert watch.lines[0] == (f"{FIRST} insufficient data over 0 outcomes; fallback: v_20260212_010000", True)


def test_by_default_it_begins_when_a_network_can_be_trained_and_ends_when_the_last_label_has_arrived(
    log: Settings, tmp_path: Path, constant_network: Callable[[float], None]
) -> None:
    constant_network(3.0)
    settings = log.model_copy(update={"retrain_min_labels": 110})

    document = replay(settings, tmp_path / "out", label_delay_hours=0.0)

    trained = document["retrainings"][0]
    assert trained["as_of"][:10] == document["from"]
    assert 110 <= trained["training_rows"] + trained["holdout_rows"] < 120
    assert document["to"] == "2026-03-01"
    assert scalar(log, "SELECT count(*) FROM study_sessions WHERE actual_duration IS NOT NULL") == 130
    assert document["rows"] == {"students": 10, "topics": 25, "sessions": 173, "labelled": 130}


def test_the_nights_are_those_that_the_system_would_have_lived(log: Settings, tmp_path: Path) -> None:
    """Beside it: the same nights by the command for a night, with labels filled in by hand before each."""
    settings = naive(log)
    replay(settings, tmp_path / "out", first=FIRST, last=LAST, keep=True)

    labels = query(log, "SELECT id, session_date, actual_duration FROM study_sessions WHERE actual_duration > 0")
    query(log, "UPDATE study_sessions SET actual_duration = NULL")
    for day in range(9):
        as_of = datetime(2026, 2, 12, 1, tzinfo=UTC) + timedelta(days=day)
        for session, begins, hours in labels:
            if begins + timedelta(hours=hours + 24) <= as_of:
                query(log, "UPDATE study_sessions SET actual_duration = %s WHERE id = %s", hours, session)
        night(settings, as_of=as_of, now=as_of, progress=silent)

    assert facts(scratch_of(log)) == facts(settings)


def test_it_changes_nothing_of_ours_and_sends_nothing(log: Settings, tmp_path: Path) -> None:
    before = every_text(log), query(log, "SELECT s::text FROM study_sessions s ORDER BY id"), databases(log)
    with webhook() as hook:
        secrets = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
        calling = {name: SecretStr(hook.url()) for name in secrets - {"database_url", "source_url"}}
        calling["heartbeat_url"] = SecretStr(hook.url().replace("json", "http"))
        settings = naive(log).model_copy(update={**calling, "baseline_mae": 0.01, "page_rule": "guide"})

        document = replay(settings, tmp_path / "out", first=FIRST, last=LAST)

        assert hook.asked == []
        assert len(calling) == 4
    assert document["summary"]["escalations"] >= 1
    assert not set(calling) & set(document["settings"])
    degraded = next(each for each in document["incidents"] if each["kind"] == "degraded")
    assert degraded["title"].startswith("predictions degraded (suspected): off by ")
    assert degraded["severity_since"] == degraded["opened_as_of"]
    assert (every_text(log), query(log, "SELECT s::text FROM study_sessions s ORDER BY id"), databases(log)) == before
    assert not log.artifact_root.exists()
    assert sorted(each.name for each in (tmp_path / "out").iterdir() if each.name[0] != ".") == [
        "backtest.html",
        "backtest.json",
    ]


def test_what_is_kept_can_be_looked_at_and_reported_again(log: Settings, tmp_path: Path) -> None:
    document = replay(naive(log), tmp_path / "out", first=FIRST, last=LAST, keep=True)
    assert scalar(scratch_of(log), "SELECT count(*) FROM studyml.nights WHERE finished_at IS NOT NULL") == 9
    assert (tmp_path / "out" / "artifacts" / "v_20260212_010000" / "model.onnx").is_file()
    watch = Watch()

    again = replay(naive(log), tmp_path / "out", keep=True, watch=watch)

    assert again == document
    assert watch.begun == [(9, 9)]


def test_a_failed_retraining_is_told_as_an_incident_and_the_nights_go_on(
    log: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = train_candidate._read

    def refuse(settings: Settings, connection: Any, run: Any, present: Any) -> Any:
        if present is not None:
            raise ArtifactError("nothing trains today")
        return read(settings, connection, run, present)

    monkeypatch.setattr(train_candidate, "_read", refuse)
    settings = log.model_copy(update={"retrain_min_labels": 40, "baseline_mae": 50.0})

    document = replay(settings, tmp_path / "out", first="2026-02-14", last="2026-02-20")

    assert document["summary"]["nights"] == 7
    assert [each["decision"] for each in document["retrainings"]][:2] == ["fallback", "failed"]
    assert [each["kind"] for each in document["incidents"]] == ["task_failed"]
    assert document["summary"]["pages"] == 1


def test_a_first_night_without_a_version_to_serve_ends_the_backtest_with_its_own_sentence(
    log: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ArtifactError("nothing trains today")

    monkeypatch.setattr(train_candidate, "_read", refuse)

    with pytest.raises(RegistryError, match="no version served"):
        replay(log, tmp_path / "out", first=FIRST, last=LAST)


@pytest.mark.parametrize(
    "labels", [10_000, pytest.param(40, marks=pytest.mark.deployment)], ids=["scoring only", "with retrainings"]
)
def test_killed_at_any_time_it_goes_on_and_ends_as_if_it_never_was(log: Settings, tmp_path: Path, labels: int) -> None:
    nights = {"first": "2026-02-19", "last": "2026-02-25"}
    settings = log.model_copy(update={"retrain_min_labels": labels})
    whole = replay(settings, tmp_path / "whole", **nights)
    killed = 0
    command = [sys.executable, "-m", "tests.steps.killed_backtest", log.database, tmp_path / "killed", str(labels)]
    for _ in range(2):
        process = subprocess.Popen([*command, *nights.values()], cwd=Path(__file__).parents[2], start_new_session=True)
        before = _finished(log)
        deadline = time.monotonic() + 200
        while process.poll() is None and _finished(log) < before + 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        killed += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert (killed, _finished(log) >= 4) == (2, True)

    document = replay(settings, tmp_path / "killed", **nights)

    for name in ("summary", "thresholds"):
        assert document[name] == whole[name]
    assert document["served"]["mae"] == pytest.approx(whole["served"]["mae"], abs=1e-6)
    assert [each["decision"] for each in document["retrainings"]] == [each["decision"] for each in whole["retrainings"]]


def _finished(settings: Settings) -> int:
    if scratch_of(settings).database.split("dbname=")[1].split()[0] not in databases(settings):
        return 0
    there = scratch_of(settings)
    if scalar(there, "SELECT to_regclass('studyml.nights') IS NULL"):
        return 0
    return int(scalar(there, "SELECT count(*) FROM studyml.nights WHERE finished_at IS NOT NULL"))
