"""Where a backtest works: its database, its folder, its dates, and who else is there."""

import fcntl
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

import pytest

from studyml.database.connection import Connection, advisory_lock, connect
from studyml.database.scratch import create_scratch, drop_scratch
from studyml.errors import DatabaseError, InputError, LockBusyError
from studyml.settings import Settings
from tests.scoring.world import every_text, query, scalar
from tests.steps.backtests import Watch, databases, log, replay
from tests.steps.test_backtest import FIRST, LAST, naive

__all__ = ["log"]


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
