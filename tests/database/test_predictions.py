"""A night's predictions: built aside, swapped in at once, never half seen."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from studyml.database import predictions, pruning
from studyml.database.binary import encode, encode_text, encode_text_array
from studyml.database.connection import Connection, connect
from studyml.database.predictions import ScoringRun
from studyml.errors import LockBusyError, RegistryError
from studyml.frame import to_microseconds
from tests.logs import ask

NIGHT = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 1, 1, 30, tzinfo=UTC)
OLD, NEW = "v_20260101_000000", "v_20260201_000000"


@pytest.fixture(autouse=True)
def _no_predictions(shared_url: str) -> Iterator[None]:
    yield
    ask(
        shared_url,
        "DO $$ DECLARE t regclass; BEGIN"
        " FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'studyml'::regnamespace AND relkind = 'r'"
        " AND relname ~ '^(predictions|refused)_(build_|2)' LOOP EXECUTE format('DROP TABLE %s', t); END LOOP; END $$",
    )
    ask(shared_url, "TRUNCATE studyml.scoring_runs, studyml.refused_sessions, studyml.topic_subjects")


@pytest.fixture
def open_connection(shared_url: str) -> Iterator[Callable[[], Connection]]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(connect(shared_url))


def plan(connection: Connection, planned: int, as_of: datetime = NIGHT, version: str = OLD) -> ScoringRun:
    run_id = predictions.open_scoring_run(
        connection, as_of=as_of, versions=[version], planned=planned, now=NOW, dag_run_id=None
    )
    predictions.record_planned(connection, run_id, np.arange(1, planned + 1))
    connection.commit()
    return predictions.scoring_run(connection, run_id)


def rows(run: ScoringRun, ids: range, hours: float = 1.0) -> bytes:
    numbers = np.array(ids, np.int64)
    as_of = to_microseconds(run.as_of).to_bytes(8, "big", signed=True)
    return encode(
        {
            "as_of": as_of,
            "session_id": numbers,
            "student_id": numbers,
            "topic_id": numbers,
            "session_date": as_of,
            "role": encode_text("champion"),
            "model_version": encode_text(run.versions[0]),
            "served": b"\x01",
            "predicted_hours": np.full(len(numbers), hours),
            "lower_hours": None,
            "upper_hours": None,
            "lower_hours_90": None,
            "upper_hours_90": None,
            "input_warnings": encode_text_array(["café"]),
            "scored_at": as_of,
        },
        len(numbers),
    )


def write(
    connection: Connection, run: ScoringRun, ids: range, hours: float = 1.0, refused: dict[int, str] | None = None
) -> int:
    last = max([*ids, *(refused or {})])
    return predictions.write_range(connection, run.id, (1, last), iter([rows(run, ids, hours)]), refused or {})


def publish(connection: Connection, run: ScoringRun, timeout: float = 2) -> tuple[int, int]:
    return predictions.publish(
        connection, run, subjects=[(1, "Physics"), (2, None)], now=NOW, lock_timeout_seconds=timeout
    )


def score(connection: Connection, planned: int, hours: float, as_of: datetime = NIGHT) -> tuple[int, int]:
    run = plan(connection, planned, as_of)
    write(connection, run, range(1, planned + 1), hours)
    return publish(connection, run)


def visible(url: str) -> list[tuple[object, ...]]:
    """(night, sessions, sum of hours) as readers see them."""
    return ask(url, "SELECT as_of, count(*), sum(predicted_hours) FROM studyml.predictions GROUP BY 1 ORDER BY 1")


def partitions(url: str) -> list[str]:
    query = "SELECT relname FROM pg_class JOIN pg_inherits ON oid = inhrelid WHERE relkind = 'r' ORDER BY 1"
    return [str(name) for (name,) in ask(url, query) if str(name).startswith("predictions")]


def leftovers(url: str) -> list[tuple[object, ...]]:
    return ask(url, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '_build_'")


class TestPublishing:
    def test_nothing_is_visible_before_and_everything_after(self, shared_url: str, connection: Connection) -> None:
        run = plan(connection, 3)
        assert write(connection, run, range(1, 3), refused={3: "its topic does not exist"}) == 2
        assert visible(shared_url) == []
        assert publish(connection, run) == (2, 1)
        assert visible(shared_url) == [(NIGHT, 2, 2.0)]
        assert ask(shared_url, "SELECT session_id, reason FROM studyml.refused_sessions") == [
            (3, "its topic does not exist")
        ]
        assert ask(shared_url, "SELECT input_warnings FROM studyml.predictions LIMIT 1") == [(["café"],)]
        assert ask(shared_url, "SELECT * FROM studyml.topic_subjects ORDER BY 1") == [(1, "Physics"), (2, None)]
        assert ask(shared_url, "SELECT status, written, refused FROM studyml.scoring_runs") == [("complete", 2, 1)]
        assert leftovers(shared_url) == []

    def test_a_night_without_planned_sessions_is_published_empty(self, shared_url: str, connection: Connection) -> None:
        run = plan(connection, 0)
        assert publish(connection, run) == (0, 0)
        assert (partitions(shared_url), visible(shared_url)) == (["predictions_20260301T000000000000"], [])

    def test_the_night_of_a_re_run_is_replaced_and_the_others_stay(
        self, shared_url: str, connection: Connection
    ) -> None:
        score(connection, 3, 1.0, NIGHT - timedelta(days=1))
        score(connection, 3, 1.0)
        score(connection, 2, 5.0)
        assert visible(shared_url) == [(NIGHT - timedelta(days=1), 3, 3.0), (NIGHT, 2, 10.0)]
        assert len(partitions(shared_url)) == 2

    def test_each_night_has_a_keyed_partition_that_only_it_is_read_from(
        self, shared_url: str, connection: Connection
    ) -> None:
        score(connection, 3, 1.0)
        score(connection, 3, 1.0, NIGHT + timedelta(microseconds=1))
        [(explained,)] = ask(
            shared_url, f"EXPLAIN (FORMAT json) SELECT * FROM studyml.predictions WHERE as_of = '{NIGHT}'"
        )
        assert explained[0]["Plan"]["Relation Name"] == "predictions_20260301T000000000000"
        [(keys,)] = ask(
            shared_url, "SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND conrelid::regclass::text ~ 'ions_2'"
        )
        assert keys == 2

    def test_a_range_that_is_written_twice_counts_once(self, shared_url: str, connection: Connection) -> None:
        run = plan(connection, 3)
        write(connection, run, range(1, 3), 1.0, refused={3: "no"})
        write(connection, run, range(1, 4), 2.0)
        assert publish(connection, run) == (3, 0)
        assert visible(shared_url) == [(NIGHT, 3, 6.0)]

    def test_a_row_that_is_missing_stops_it_and_the_old_rows_stay(
        self, shared_url: str, connection: Connection
    ) -> None:
        score(connection, 3, 1.0)
        run = plan(connection, 3)
        write(connection, run, range(1, 3), 9.0)
        with pytest.raises(RegistryError, match="planned 3 sessions but wrote 2 and refused 0: start the scoring"):
            publish(connection, run)
        connection.rollback()
        assert visible(shared_url) == [(NIGHT, 3, 3.0)]

    def test_a_session_that_stands_twice_stops_it(self, shared_url: str, connection: Connection) -> None:
        run = plan(connection, 4)
        blocks = iter([rows(run, range(1, 3)), rows(run, range(1, 3))])
        predictions.write_range(connection, run.id, (1, 4), blocks, {})
        with pytest.raises(RegistryError, match="wrote a session twice"):
            publish(connection, run)

    def test_rows_of_another_night_cannot_enter(self, shared_url: str, connection: Connection) -> None:
        other = plan(connection, 1, NIGHT + timedelta(days=1))
        run = plan(connection, 1)
        predictions.write_range(connection, run.id, (1, 1), iter([rows(other, range(1, 2))]), {})
        with pytest.raises(Exception, match="of_this_night"):
            publish(connection, run)
        connection.rollback()
        assert visible(shared_url) == []

    def test_a_run_that_does_not_exist_or_lost_its_rows_is_a_sentence(self, connection: Connection) -> None:
        with pytest.raises(RegistryError, match="no scoring run 999"):
            predictions.scoring_run(connection, 999)
        run = plan(connection, 1)
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE studyml.predictions_build_{run.id}")
        with pytest.raises(RegistryError, match="are gone: start the scoring again"):
            publish(connection, run)

    def test_what_was_planned_is_remembered(self, connection: Connection) -> None:
        run = plan(connection, 5)
        assert predictions.planned_ids(connection, run.id, (2, 4)).tolist() == [2, 3, 4]
        assert predictions.planned_ids(connection, run.id, (6, 9)).tolist() == []


class TestTwoAtOnce:
    def test_two_runs_of_one_night_never_mix(self, shared_url: str, open_connection: Callable[[], Connection]) -> None:
        first, second = open_connection(), open_connection()
        run_a, run_b = plan(first, 3, version=OLD), plan(second, 3, version=NEW)
        write(first, run_a, range(1, 4), 1.0)
        write(second, run_b, range(1, 4), 2.0)
        publish(second, run_b)
        publish(first, run_a)
        assert visible(shared_url) == [(NIGHT, 3, 3.0)]
        assert leftovers(shared_url) == []

    @pytest.mark.parametrize("again", [False, True], ids=["first publication", "re-run"])
    def test_two_swaps_at_the_same_moment_both_end_well(
        self, shared_url: str, open_connection: Callable[[], Connection], again: bool
    ) -> None:
        if again:
            score(open_connection(), 1, 1.0)
        runs = []
        for hours in (2.0, 3.0):
            connection = open_connection()
            run = plan(connection, 3)
            write(connection, run, range(1, 4), hours)
            runs.append((connection, run))
        start, failures = threading.Barrier(2), []

        def swap(connection: Connection, run: ScoringRun) -> None:
            start.wait()
            try:
                publish(connection, run)
            except Exception as error:  # noqa: BLE001 - a thread's failure is told by the assertion below
                failures.append(error)

        threads = [threading.Thread(target=swap, args=each) for each in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert visible(shared_url) in ([(NIGHT, 3, 6.0)], [(NIGHT, 3, 9.0)])
        assert len(partitions(shared_url)) == 1


class TestReaders:
    def test_see_all_of_the_old_or_all_of_the_new(
        self, shared_url: str, open_connection: Callable[[], Connection]
    ) -> None:
        writer = open_connection()
        score(writer, 500, 1.0)
        seen: set[tuple[object, ...]] = set()
        done = threading.Event()

        def look(reader: Connection) -> None:
            while not done.is_set():
                with reader.cursor() as cursor:
                    cursor.execute(
                        "SELECT count(*), min(predicted_hours), max(predicted_hours) FROM studyml.predictions"
                    )
                    seen.add(cursor.fetchone() or ())
                reader.rollback()

        threads = [threading.Thread(target=look, args=(open_connection(),)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for hours in (2.0, 3.0, 4.0):
            score(writer, 500, hours)
        done.set()
        for thread in threads:
            thread.join()
        assert seen <= {(500, hours, hours) for hours in (1.0, 2.0, 3.0, 4.0)}
        assert len(seen) > 1

    def test_one_that_holds_the_table_for_a_moment_is_waited_for(
        self, shared_url: str, open_connection: Callable[[], Connection]
    ) -> None:
        writer, reader = open_connection(), open_connection()
        score(writer, 2, 1.0)
        run = plan(writer, 2)
        write(writer, run, range(1, 3), 7.0)
        with reader.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM studyml.predictions")
        release = threading.Timer(0.4, reader.rollback)
        release.start()
        started = time.monotonic()
        assert publish(writer, run, timeout=0.1) == (2, 0)
        release.join()
        assert 0.3 < time.monotonic() - started < 5
        assert visible(shared_url) == [(NIGHT, 2, 14.0)]

    def test_one_that_never_lets_go_keeps_the_old_rows_and_the_run_can_be_published_later(
        self, shared_url: str, open_connection: Callable[[], Connection], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(predictions, "_SWAP_TRIES", 2)
        writer, reader = open_connection(), open_connection()
        score(writer, 2, 1.0)
        run = plan(writer, 2)
        write(writer, run, range(1, 3), 7.0)
        with reader.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM studyml.predictions")
        with pytest.raises(LockBusyError, match=r"readers held studyml.predictions through 2 tries: .* old rows stay"):
            publish(writer, run, timeout=0.05)
        assert visible(shared_url) == [(NIGHT, 2, 2.0)]
        reader.rollback()
        assert publish(writer, run) == (2, 0)
        assert visible(shared_url) == [(NIGHT, 2, 14.0)]

    def test_a_new_night_does_not_wait_for_readers_of_the_old_ones(
        self, shared_url: str, open_connection: Callable[[], Connection]
    ) -> None:
        writer, reader = open_connection(), open_connection()
        score(writer, 2, 1.0)
        with reader.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM studyml.predictions")
        assert score(writer, 2, 2.0, NIGHT + timedelta(days=1)) == (2, 0)


class TestPruning:
    def test_nights_older_than_the_policy_are_dropped_and_no_other(
        self, shared_url: str, connection: Connection
    ) -> None:
        for days in range(4):
            score(connection, 1, 1.0, NIGHT + timedelta(days=days))
        dropped = pruning.drop_old_partitions(connection, before=NIGHT + timedelta(days=2), lock_timeout_seconds=2)
        connection.commit()
        assert dropped == ["predictions_20260301T000000000000", "predictions_20260302T000000000000"]
        assert [night for night, *_ in visible(shared_url)] == [NIGHT + timedelta(days=n) for n in (2, 3)]

    def test_builds_that_were_abandoned_are_dropped_and_their_runs_failed(
        self, shared_url: str, connection: Connection
    ) -> None:
        abandoned, done = plan(connection, 1), plan(connection, 0)
        publish(connection, done)
        assert pruning.drop_abandoned_builds(connection, started_before=NOW) == []
        dropped = pruning.drop_abandoned_builds(connection, started_before=NOW + timedelta(seconds=1))
        connection.commit()
        assert sorted(dropped) == [f"predictions_build_{abandoned.id}", f"refused_build_{abandoned.id}"]
        assert ask(shared_url, "SELECT status FROM studyml.scoring_runs ORDER BY id") == [("failed",), ("complete",)]
        assert leftovers(shared_url) == []


def test_the_newest_scored_night_is_the_newest_complete_one(connection: Connection) -> None:
    assert predictions.newest_scored_night(connection) is None
    score(connection, 1, 1.0)
    plan(connection, 1, NIGHT + timedelta(days=1))
    assert predictions.newest_scored_night(connection) == (NIGHT, (OLD,))
