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
    create_scratch(log.database)  # somebody's, who works beside our own database
    before = databases(log)

    replay(naive(log), tmp_path / "out", first=FIRST, last=LAST, workspace=empty_database_url)

    assert databases(log) == before
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


def test_another_backtest_in_the_same_place_is_refused_unless_begun_anew(
    log: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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

    with pytest.raises(InputError, match=r"another source \(.*, schema public, now .*, schema other\)"):
        replay(begun.model_copy(update={"source_schema": "other"}), **given)
    with monkeypatch.context() as newer:
        newer.setattr("studyml.steps.backtest_workspace.__version__", "9.9")
        with pytest.raises(InputError, match=r"another version of studyml \(.*, now 9\.9\)"):
            replay(begun, **given)

    document = replay(naive(log), **{**given, "last": FIRST}, restart=True)
    assert document["summary"]["nights"] == 1


def test_what_decides_nothing_in_a_night_may_change_before_it_goes_on(log: Settings, tmp_path: Path) -> None:
    given = {"folder": tmp_path / "out", "first": FIRST, "last": FIRST, "keep": True}
    document = replay(naive(log), **given)
    elsewhere = {
        **{"scoring_range_sessions": 7, "statement_timeout_seconds": 77, "lock_timeout_seconds": 7},
        **{"keep_versions": 7, "keep_served_days": 77, "prediction_retention_days": 777, "code_version": "abc"},
        **{"runbook_url": "https://wiki.example.org", "airflow_url": "https://airflow.example.org"},
        **{"artifact_root": tmp_path / "there", "artifact_cache": tmp_path / "cached"},
    }

    assert replay(naive(log).model_copy(update=elsewhere), **given) == document


def test_a_source_in_another_database_is_read_once_and_no_night_asks_it(log: Settings, tmp_path: Path) -> None:
    beside_it = naive(log).model_copy(update={"source_url": log.database_url})

    assert replay(beside_it, tmp_path / "out", first=FIRST, last=FIRST)["summary"]["nights"] == 1


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


def test_a_folder_of_its_own_name_that_is_not_a_backtests_is_refused_too(
    log: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    thesis = tmp_path / f"backtest_{FIRST}_{LAST}" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("years of work")

    with pytest.raises(InputError, match="not a backtest's: name another folder with --out"):
        replay(naive(log), None, first=FIRST, last=LAST)

    assert [each.name for each in thesis.parent.iterdir()] == ["thesis.txt"]


def test_while_one_is_under_way_its_folder_holds_no_older_report(log: Settings, tmp_path: Path) -> None:
    replay(naive(log), tmp_path / "out", first=FIRST, last=FIRST)
    found: list[str] = []

    class Looking(Watch):
        def begin(self, nights: int, done: int) -> None:
            found.extend(each.name for each in (tmp_path / "out").iterdir())

    replay(naive(log), tmp_path / "out", first=FIRST, last=LAST, watch=Looking())

    assert found == [".studyml-backtest"]


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
