"""Columns of rows: what one part hands to the next."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.frame import NULL_INTEGER, Frame, to_datetime, to_microseconds

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=9)), timezone(timedelta(hours=-3, minutes=-30))])


@given(moment=st.datetimes(timezones=ZONES, allow_imaginary=False))
def test_a_time_survives_the_way_to_microseconds_and_back(moment: datetime) -> None:
    if not datetime(1, 1, 2, tzinfo=UTC) < moment < datetime(9999, 12, 30, tzinfo=UTC):
        return
    assert to_datetime(to_microseconds(moment)) == moment
    assert to_datetime(np.int64(to_microseconds(moment))).tzinfo is UTC  # type: ignore[arg-type]


@given(first=st.datetimes(timezones=st.just(UTC)), second=st.datetimes(timezones=st.just(UTC)))
def test_microseconds_keep_the_order(first: datetime, second: datetime) -> None:
    assert (to_microseconds(first) < to_microseconds(second)) == (first < second)


def test_a_missing_time_is_before_every_time() -> None:
    assert to_microseconds(datetime(1, 1, 1, tzinfo=UTC)) > NULL_INTEGER


class TestFrame:
    frame = Frame({"id": np.array([1, 2, 3]), "hours": np.array([0.5, np.nan, 2.0])}, {"subject": ("a",)})

    def test_has_as_many_rows_as_its_columns(self) -> None:
        assert len(self.frame) == 3
        assert len(Frame({}, {})) == 0

    def test_takes_rows_by_mask_and_by_position(self) -> None:
        assert self.frame.take(np.array([True, False, True]))["id"].tolist() == [1, 3]
        assert self.frame.take(np.array([2, 0]))["hours"].tolist() == [2.0, 0.5]

    def test_adds_and_replaces_columns_without_changing_the_first(self) -> None:
        changed = self.frame.with_columns(id=np.array([7, 8, 9]), more=np.zeros(3))
        assert (changed["id"].tolist(), list(changed.columns)) == ([7, 8, 9], ["id", "hours", "more"])
        assert self.frame["id"].tolist() == [1, 2, 3]
        assert changed.vocabularies == {"subject": ("a",)}

    def test_does_not_know_columns_that_are_not_there(self) -> None:
        with pytest.raises(KeyError):
            self.frame["name"]
