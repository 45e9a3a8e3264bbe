"""A backtest lives the nights as they would have been lived, touches nothing of ours, and goes on when killed."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from studyml.database.connection import Connection, advisory_lock, connect
from studyml.database.scratch import create_scratch, drop_scratch
from studyml.errors import ArtifactError, DatabaseError, InputError, LockBusyError, RegistryError
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


def test_a_workspace_is_used_and_emptied(log: Settings, empty_database_url: str, tmp_path: Path) -> None:
    replay(naive(log), tmp_path / "out", first=FIRST, last=LAST, workspace=empty_database_url)

    there = log.model_copy(update={"database_url": type(log.database_url)(empty_database_url)})
    assert query(there, "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$'") == [
        ("public",)
    ]
    assert query(there, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []


@pytest.mark.parametrize("where", ["our own database", "a database with a table"])
def test_a_workspace_that_holds_anything_else_is_refused_and_left_alone(
    log: Settings, empty_database_url: str, tmp_path: Path, where: str
) -> None:
    there = log
    if where != "our own database":
        there = log.model_copy(update={"database_url": type(log.database_url)(empty_database_url)})
        query(there, "CREATE TABLE treasure AS SELECT 1 AS gold")
    before = every_text(there)

    for restart in (False, True):
        with pytest.raises(InputError, match=r"which is not a backtest's: name an empty database with --workspace"):
            replay(naive(log), tmp_path / "out", workspace=there.database, restart=restart)

    assert every_text(there) == before
    assert where == "our own database" or scalar(there, "SELECT gold FROM treasure") == 1


def test_another_backtest_in_the_same_place_is_refused_unless_begun_anew(log: Settings, tmp_path: Path) -> None:
    given = {"folder": tmp_path / "out", "first": FIRST, "last": "2026-02-13"}
    begun = naive(log).model_copy(update={"training_from": date(2020, 1, 1)})
    replay(begun, **given, keep=True)

    for asked, named in (
        ({"first": "2026-02-11"}, r"another --from \(2026-02-12, now 2026-02-11\)"),
        ({"last": "2026-02-14"}, "another --to"),
        ({"label_delay_hours": 48.0}, r"another --label-delay \(24.0, now 48.0\)"),
        ({"folder": Path("/elsewhere")}, "another --out"),
    ):
        with pytest.raises(InputError, match=f"{named}.*--restart"):
            replay(begun, **{**given, **asked})
    for changed, named in (({"seed": 7}, "SEED"), ({"training_from": None}, "TRAINING_FROM")):
        with pytest.raises(InputError, match=f"another STUDYML_{named}"):
            replay(begun.model_copy(update=changed), **given)

    document = replay(naive(log), **{**given, "last": FIRST}, restart=True)
    assert document["summary"]["nights"] == 1


@contextmanager
def another_backtest(settings: Settings) -> Iterator[Connection]:
    """Somebody else's connection that holds the lock of a backtest; the database may be dropped meanwhile."""
    with (
        suppress(DatabaseError),
        connect(create_scratch(settings.database)) as connection,
        advisory_lock(connection, "backtest"),
    ):
        yield connection


def test_one_that_meets_another_says_that_it_waits_and_gives_up(
    log: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studyml.steps.backtest._LOCK_SECONDS", 1)
    watch = Watch()

    with another_backtest(log), pytest.raises(LockBusyError, match=r"another backtest runs.*--workspace"):
        replay(naive(log), tmp_path / "out", first=FIRST, last=FIRST, watch=watch)

    assert watch.steps == ["waiting, 1 s at most, for another backtest that runs in this database"]


@pytest.mark.parametrize("drops", [False, True], ids=["ends", "drops the database"])
def test_one_that_waits_goes_on_when_the_other_ends_or_says_that_its_database_is_gone(
    log: Settings, tmp_path: Path, drops: bool
) -> None:
    watch = Watch()
    with ThreadPoolExecutor(1) as pool, another_backtest(log) as other:
        waits = pool.submit(replay, naive(log), tmp_path / "out", first=FIRST, last=FIRST, watch=watch)
        while not watch.steps:
            time.sleep(0.01)
        if drops:
            drop_scratch(log.database)
            with pytest.raises(LockBusyError, match="has just ended and dropped its database: run this again"):
                waits.result(timeout=60)
        else:
            other.close()
            assert waits.result(timeout=60)["summary"]["nights"] == 1


def test_a_folder_that_is_not_a_backtests_is_refused_and_left_alone(log: Settings, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    before = databases(log)

    for restart in (False, True):
        with pytest.raises(InputError, match="not a backtest's: name another folder with --out"):
            replay(naive(log), tmp_path, first=FIRST, last=LAST, restart=restart)

    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert databases(log) == before


def test_a_folder_that_another_backtest_writes_into_is_refused_and_left_alone(log: Settings, tmp_path: Path) -> None:
    mark, version = tmp_path / ".studyml-backtest", tmp_path / "artifacts" / "v_20260212_010000"
    version.mkdir(parents=True)
    with mark.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(LockBusyError, match=r"another backtest writes into .* name another folder with --out"):
            replay(naive(log), tmp_path, first=FIRST, last=FIRST)
    mark.write_text("elsewhere:5432/workspace\n")
    with pytest.raises(InputError, match="what the backtest in elsewhere:5432/workspace has begun and not finished"):
        replay(naive(log), tmp_path, first=FIRST, last=FIRST)
    assert version.is_dir()

    (tmp_path / "backtest.json").touch()
    assert replay(naive(log), tmp_path, first=FIRST, last=FIRST)["summary"]["nights"] == 1
    assert not version.exists()


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (None, "2026-03-02", "--to 2026-03-02 is in the future"),
        ("2026-02-21", LAST, "--from 2026-02-21 is after --to 2026-02-20"),
    ],
)
def test_dates_that_cannot_be_replayed_are_refused(
    log: Settings, tmp_path: Path, first: str | None, last: str, words: str
) -> None:
    before = databases(log)

    with pytest.raises(InputError, match=words):
        replay(log, tmp_path / "out", first=first, last=last)

    assert databases(log) == before  # nothing was made
    assert list(tmp_path.iterdir()) == []


def test_without_a_label_there_is_nothing_to_replay(log: Settings, tmp_path: Path) -> None:
    query(log, "UPDATE study_sessions SET actual_duration = NULL")

    with pytest.raises(InputError, match="nothing to replay"):
        replay(log, tmp_path / "out")


def test_a_login_that_may_not_create_databases_is_told_the_cure(log: Settings, tmp_path: Path) -> None:
    role = f"poor_{os.getpid()}"
    query(log, f"CREATE ROLE {role} LOGIN PASSWORD 'poor'")
    try:
        query(log, f"GRANT USAGE ON SCHEMA studyml TO {role}")
        poor = log.database.replace("postgres:", f"{role}:").split("@")
        address = f"postgresql://{role}:poor@{poor[-1]}"
        with pytest.raises(DatabaseError, match=r"may not create the database .* name it with --workspace"):
            replay(log.model_copy(update={"database_url": type(log.database_url)(address)}), tmp_path / "out")
    finally:
        query(log, f"DROP OWNED BY {role}; DROP ROLE {role}")


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
