"""Scoring that is killed at its worst moments, and run again."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest

from studyml.errors import DatabaseError
from studyml.settings import Settings
from studyml.steps.publish_predictions import publish_predictions
from tests.conftest import FIRST_NIGHT, NOW
from tests.scoring.world import query, scalar
from tests.steps.test_score_range import again, one, planned, rows


@contextmanager
def locked(settings: Settings, table: str, mode: str = "ACCESS EXCLUSIVE") -> Iterator[None]:
    """A table that nobody else can use."""
    connection = psycopg2.connect(settings.database)
    connection.cursor().execute(f"LOCK TABLE {table} IN {mode} MODE")
    yield
    connection.close()


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to this"
        time.sleep(0.02)


def blocked_on(settings: Settings, words: str) -> bool:
    statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ILIKE %s"
    return scalar(settings, statement, f"%{words}%") > 0


@contextmanager
def scoring(settings: Settings) -> Iterator[None]:
    """A process that scores, killed at the end."""
    environment = {
        **os.environ,
        "STUDYML_DATABASE_URL": settings.database,
        "STUDYML_ARTIFACT_ROOT": str(settings.artifact_root),
        "STUDYML_SCORING_RANGE_SESSIONS": "20",
        "STUDYML_LOCK_TIMEOUT_SECONDS": "30",
    }
    command = [
        sys.executable,
        "-c",
        "from studyml.cli import main; main()",
        "score",
        "--as-of",
        FIRST_NIGHT.isoformat(),
    ]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, env=environment, cwd=root, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("table", "mode", "statement"),
    [
        ("public.students", "ACCESS EXCLUSIVE", "students"),
        ("studyml.predictions", "ACCESS SHARE", "PARTITION"),
        ("studyml.topic_subjects", "SHARE", "topic_subjects"),
    ],
    ids=["while a range is read", "while the partition is swapped", "in the transaction of the swap"],
)
def test_a_scoring_that_is_killed_leaves_the_old_rows_and_the_next_one_works(
    lived: Settings, table: str, mode: str, statement: str
) -> None:
    before = rows(lived)
    query(lived, "UPDATE topics SET subject = 'Renamed ' || id") if mode == "SHARE" else None
    with locked(lived, table, mode), scoring(lived):
        wait_for(lambda: blocked_on(lived, statement))
    wait_for(lambda: not blocked_on(lived, statement))

    assert rows(lived) == before
    result = again(lived)
    assert result["written"] == len(rows(lived)) == result["planned"] == len(before)


def test_a_connection_lost_while_rows_are_written_is_one_sentence_and_the_range_can_be_run_again(
    lived: Settings,
) -> None:
    before = rows(lived)
    run, ranges = planned(lived)
    failures: list[DatabaseError] = []

    def write() -> None:
        try:
            one(lived, run, ranges[0])
        except DatabaseError as error:
            failures.append(error)

    with locked(lived, f"studyml.predictions_build_{run}"):
        thread = threading.Thread(target=write)
        thread.start()
        wait_for(lambda: blocked_on(lived, "predictions_build"))
        query(
            lived,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND query ILIKE '%%predictions_build%%' AND datname = current_database()",
        )
        thread.join()

    assert "refused or lost a statement" in str(failures[0])
    for ids in ranges:
        one(lived, run, ids)
    publish_predictions(lived, scoring_run_id=run, now=NOW)
    assert rows(lived) == before


def test_a_range_that_two_workers_write_at_once_is_written_once(lived: Settings) -> None:
    before = rows(lived)
    run, ranges = planned(lived, 1000)
    threads = [threading.Thread(target=one, args=(lived, run, ranges[0])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    publish_predictions(lived, scoring_run_id=run, now=NOW)

    assert rows(lived) == before


def test_a_reader_sees_all_of_the_old_rows_or_all_of_the_new(lived: Settings) -> None:
    complete = len(rows(lived))
    seen: set[int] = set()
    done = threading.Event()

    def read() -> None:
        connection = psycopg2.connect(lived.database)
        connection.autocommit = True
        with connection.cursor() as cursor:
            while not done.is_set():
                cursor.execute("SELECT count(*) FROM analytics.study_time_predictions")
                seen.add((cursor.fetchone() or (0,))[0])
        connection.close()

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(5):
        again(lived)
    done.set()
    thread.join()

    assert seen == {complete}
