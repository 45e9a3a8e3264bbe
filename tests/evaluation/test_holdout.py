"""The holdout: the newest rows, and a file from which the decision can be computed again."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from studyml.evaluation.gates import Holdout
from studyml.evaluation.holdout import newest_rows, read_holdout, write_holdout

Dates = st.lists(st.integers(-5, 5), min_size=0, max_size=60)
Fractions = st.floats(0.001, 0.899)


@given(Dates, Fractions, st.randoms(use_true_random=False))
def test_no_training_row_is_newer_than_a_holdout_row(dates: list[int], fraction: float, shuffler: object) -> None:
    date, ids = np.array(dates, np.int64), np.random.default_rng(len(dates)).permutation(len(dates))

    held = newest_rows(date, ids, fraction)

    if held.any():
        oldest_held = min(zip(date[held], ids[held], strict=True))
        assert all(pair < oldest_held for pair in zip(date[~held], ids[~held], strict=True))


@given(st.integers(0, 500), Fractions)
def test_the_holdout_is_the_asked_share_and_both_sides_have_a_row_where_there_are_two(
    rows: int, fraction: float
) -> None:
    held = newest_rows(np.arange(rows), np.arange(rows), fraction).sum()

    if rows < 2:
        assert held == 0
    else:
        assert 1 <= held <= rows - 1
        assert held in (1, rows - 1) or abs(held - rows * fraction) <= 0.5


def test_ties_are_broken_by_id_so_that_the_order_of_rows_does_not_matter() -> None:
    dates, ids = np.zeros(10, np.int64), np.array([3, 9, 1, 7, 5, 0, 8, 2, 6, 4])

    held = newest_rows(dates, ids, 0.3)

    assert sorted(ids[held].tolist()) == [7, 8, 9]


Numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)


@given(st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**62), Numbers, Numbers), max_size=20))
def test_the_file_keeps_every_digit(tmp_path_factory: object, rows: list[tuple[int, int, float, float]]) -> None:
    path = Path(tmp_path_factory.mktemp("holdout")) / "holdout.csv"  # type: ignore[attr-defined]
    ids, dates = (np.array([row[at] for row in rows], np.int64) for at in (0, 1))
    actual, predicted = (np.array([row[at] for row in rows], np.float64) for at in (2, 3))
    holdout = Holdout(ids, ids, dates, actual, {"network": predicted, "median": actual})

    write_holdout(path, holdout)
    again = read_holdout(path)

    assert again.session_id.tolist() == ids.tolist()
    assert again.session_date.tolist() == dates.tolist()
    np.testing.assert_array_equal(again.actual, actual)
    np.testing.assert_array_equal(again.predicted["network"], predicted)
    assert list(again.predicted) == ["network", "median"]
