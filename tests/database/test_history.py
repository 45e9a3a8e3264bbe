"""The histories' tables: what is written is read again bit for bit, and only what is asked for."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studyml.database import history
from studyml.database.connection import Connection
from studyml.frame import to_microseconds

NIGHT = datetime(2026, 3, 1, 1, 2, 3, 456789, tzinfo=UTC)
MOMENT = to_microseconds(NIGHT)
LARGE = 2**63 - 1


@pytest.fixture
def tables(connection: Connection) -> Iterator[Connection]:
    """The empty tables; nothing is committed."""
    connection.rollback()
    yield connection
    connection.rollback()


def integers(*values: int) -> history.Integers:
    return np.array(values, np.int64)


def keep(tables: Connection, keys: list[tuple[int, int]], states: np.ndarray, *, stored: bool, night: int) -> None:
    first, second = integers(*(key[0] for key in keys)), integers(*(key[1] for key in keys))
    nights, replaced = np.full(len(keys), night), np.full(len(keys), stored)
    history.write_states(tables, "student_topic", (first, second), nights, states, replaced)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    st.dictionaries(
        st.tuples(st.integers(-LARGE, LARGE), st.integers(-LARGE, LARGE)),
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=14, max_size=14),
        min_size=1,
        max_size=8,
    )
)
def test_a_state_is_read_as_it_was_written_and_as_it_was_replaced(
    tables: Connection, rows: dict[tuple[int, int], list[float]]
) -> None:
    tables.rollback()
    keys, values = list(rows), np.array(list(rows.values()))
    first, second = integers(*(key[0] for key in keys)), integers(*(key[1] for key in keys))

    for columns, stored, night in ((slice(0, 7), False, MOMENT), (slice(7, 14), True, MOMENT + 1)):
        keep(tables, keys, values[:, columns], stored=stored, night=night)
        found, nights = history.read_states(tables, "student_topic", first, second)
        assert np.array_equal(found, values[:, columns])
        assert nights.tolist() == [night] * len(keys)


def test_a_key_of_another_kind_or_that_nobody_knows_has_no_state(tables: Connection) -> None:
    keep(tables, [(1, 2)], np.ones((1, 7)), stored=False, night=MOMENT)

    states, nights = history.read_states(tables, "student_topic", integers(2, 1, 1), integers(1, 2, 3))
    others, _ = history.read_states(tables, "student_subject", integers(1), integers(2))

    assert nights.tolist() == [0, MOMENT, 0]
    assert states.sum(axis=1).tolist() == [0, 7, 0]
    assert others.sum() == 0


def observe(tables: Connection, rows: list[tuple[int, int, int, int, float]]) -> None:
    """Append observations of (outcome, session, revision, student, ratio), a microsecond after another each."""
    table = np.array([row[:4] for row in rows], np.int64)
    number = len(rows)
    columns = dict(zip(("outcome_id", "session_id", "revision", "student_id"), table.T, strict=True))
    columns |= {name: np.full(number, 5) for name in ("topic_id", "subject_key")}
    columns |= {"as_of": MOMENT + table[:, 0], "ratio": np.array([row[4] for row in rows])}
    columns |= {name: np.full(number, 0.25) for name in ("expected", "log_estimate", "log_difficulty")}
    columns |= {"log_focus": np.full(number, np.nan)}
    columns |= {f"{kind}_position": np.full(number, 3) for kind in history.KINDS}
    history.write_observations(tables, columns)


def test_the_last_observations_of_a_student_are_the_newest_up_to_a_night_and_never_removed_ones(
    tables: Connection,
) -> None:
    observe(tables, [(1, 11, 1, 7, 0.1), (2, 12, 1, 7, 0.2), (3, 11, 2, 7, np.nan), (4, 13, 1, 7, 0.4)])
    observe(tables, [(5, 14, 1, 8, 0.5), (6, 15, 1, 7, 0.6)])
    as_of = NIGHT.replace(microsecond=NIGHT.microsecond + 5)

    ratio, residual = history.read_last_observations(tables, integers(9, 8, 7), as_of=as_of, length=2)

    missing = [np.nan, np.nan]
    assert np.array_equal(ratio, [missing, [0.5, np.nan], [0.4, 0.2]], equal_nan=True)
    assert np.array_equal(residual, ratio - 0.25, equal_nan=True)


def test_the_newest_revision_of_a_session_is_read_with_all_that_it_was_stored_with(tables: Connection) -> None:
    observe(tables, [(1, 11, 1, 7, 0.1), (2, 12, 1, 7, 0.2), (3, 11, 2, 7, 0.9)])

    found = history.read_newest_revisions(tables, integers(11, 12, 99))

    assert found["session_id"].tolist() == [11, 12]
    assert found["ratio"].tolist() == [0.9, 0.2]
    assert found["topic_position"].tolist() == [3, 3]
    assert np.isnan(found["log_focus"]).all()


def test_observations_are_read_in_their_order_up_to_an_outcome_or_a_night(tables: Connection) -> None:
    observe(tables, [(3, 11, 1, 7, 0.3), (1, 12, 1, 7, 0.1), (2, 13, 1, 7, 0.2)])

    def ratios(**limits: object) -> list[float]:
        return history.read_observations(tables, **limits)["ratio"].tolist()  # type: ignore[arg-type]

    assert ratios() == [0.1, 0.2, 0.3]
    assert ratios(through_outcome_id=2) == [0.1, 0.2]
    assert ratios(as_of=NIGHT.replace(microsecond=NIGHT.microsecond + 1)) == [0.1]


def test_the_newest_two_nights_are_the_progress_and_a_night_continued_replaces_its_own(tables: Connection) -> None:
    assert history.read_progress(tables) == []
    nights = [history.Progress(MOMENT + each, each, np.eye(7) * each, np.arange(7.0)) for each in (1, 2, 3)]
    history.write_progress(tables, nights)
    history.write_progress(tables, [history.Progress(MOMENT + 3, 9, np.eye(7) / 3, np.arange(7) / 3)])

    newest, before = history.read_progress(tables)

    assert (newest.as_of, newest.through_outcome_id, before.through_outcome_id) == (MOMENT + 3, 9, 2)
    assert np.array_equal(newest.matrix, np.eye(7) / 3)
    assert np.array_equal(newest.vector, np.arange(7) / 3)
