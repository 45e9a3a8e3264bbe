"""Windows, their boundaries, and the errors in them."""

import math
from datetime import datetime, timedelta

import numpy as np
import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.monitoring.rolling import SERVED, Rolling, coverage, rolling_errors
from studyml.settings import Settings
from tests.conftest import END
from tests.scoring.world import EARLIER, VERSION, judged, query

DAY, TICK = timedelta(days=1), timedelta(microseconds=1)


def rolling(settings: Settings, as_of: datetime = END) -> dict[str, tuple[int, float | None]]:
    connection = psycopg2.connect(settings.database)
    try:
        return {each.scope: (each.n, each.mae) for each in rolling_errors(connection, as_of=as_of, window_days=30)}
    finally:
        connection.close()


def test_the_window_leaves_out_its_first_instant_and_holds_its_last(settings: Settings) -> None:
    start = END - 30 * DAY
    outcomes = [(1, start, 2.0, 1.0), (2, start + TICK, 4.0, 1.0), (3, END, 6.0, 1.0), (4, END + TICK, 9.0, 1.0)]
    judged(settings, outcomes, observed_at=END)

    assert rolling(settings)[SERVED] == (2, 4.0)


def test_an_outcome_counts_from_the_night_that_observed_it(settings: Settings) -> None:
    judged(settings, [(1, END - 5 * DAY, 2.0, 1.0)], observed_at=END)

    assert rolling(settings, END - TICK)[SERVED] == (0, None)
    assert rolling(settings, END)[SERVED] == (1, 1.0)


def test_a_late_label_counts_in_the_window_of_its_own_session(settings: Settings) -> None:
    judged(settings, [(1, END - 40 * DAY, 2.0, 1.0)], observed_at=END)

    assert rolling(settings, END)[SERVED] == (0, None)


def test_the_newest_revision_counts_also_where_it_took_the_session_out_of_the_window(settings: Settings) -> None:
    judged(settings, [(1, END - DAY, 2.0, 1.0), (2, END - DAY, 2.0, 1.0)], observed_at=END - DAY)
    judged(settings, [(1, END - 40 * DAY, 3.0, 1.0)], observed_at=END, revision=2)

    assert rolling(settings, END - TICK)[SERVED] == (2, 1.0)
    assert rolling(settings, END)[SERVED] == (1, 1.0)


def test_a_removed_label_counts_no_more(settings: Settings) -> None:
    judged(settings, [(1, END - DAY, 2.0, 1.0)], observed_at=END - DAY)
    judged(settings, [(1, END - DAY, None, 1.0)], observed_at=END, revision=2)

    assert rolling(settings) == {SERVED: (0, None)}


def test_each_version_is_a_scope_of_its_own_and_the_served_one_runs_across_them(settings: Settings) -> None:
    judged(settings, [(1, END - 3 * DAY, 2.0, 1.0)], observed_at=END, version=EARLIER)
    judged(settings, [(2, END - 2 * DAY, 5.0, 2.0)], observed_at=END, version=VERSION)

    assert rolling(settings) == {SERVED: (2, 2.0), EARLIER: (1, 1.0), VERSION: (1, 3.0)}


def test_what_a_challenger_predicted_is_in_its_scope_only(settings: Settings) -> None:
    judged(settings, [(1, END - DAY, 2.0, 1.0)], observed_at=END)
    query(settings, "UPDATE studyml.outcome_predictions SET role = 'challenger', served = false")

    assert rolling(settings) == {SERVED: (0, None), VERSION: (1, 1.0)}


def test_served_comes_first_even_with_nothing_in_the_window(settings: Settings) -> None:
    assert list(rolling(settings)) == [SERVED]


def test_an_error_that_is_not_a_number_never_leaves_as_one(settings: Settings) -> None:
    judged(settings, [(1, END - DAY, 2.0, math.nan), (2, END - DAY, 2.0, 1.0)], observed_at=END)

    assert rolling(settings)[SERVED] == (2, None)


class TestIntervals:
    """Judged by the interval that the prediction carried."""

    @staticmethod
    def carry(settings: Settings, session: int, narrow: tuple[float, float], wide: tuple[float, float]) -> None:
        query(
            settings,
            "UPDATE studyml.outcome_predictions SET lower_hours = %s, upper_hours = %s, lower_hours_90 = %s,"
            " upper_hours_90 = %s WHERE session_id = %s",
            *narrow,
            *wide,
            session,
        )

    @staticmethod
    def covered(settings: Settings) -> dict[str, tuple[float | None, float | None]]:
        with psycopg2.connect(settings.database) as connection:
            found = rolling_errors(connection, as_of=END, window_days=30)
        connection.close()
        return {each.scope: (each.interval_80_coverage, each.interval_90_coverage) for each in found}

    def test_both_ends_belong_to_an_interval_and_each_scope_has_its_own_share(self, settings: Settings) -> None:
        judged(settings, [(1, END - DAY, 2.0, 2.0), (2, END - DAY, 3.0, 2.0)], observed_at=END, version=EARLIER)
        judged(settings, [(3, END - DAY, 4.0, 2.0), (4, END - DAY, 0.5, 2.0)], observed_at=END, version=VERSION)
        for session in (1, 2, 3, 4):
            self.carry(settings, session, (1.0, 3.0), (0.5, 3.5))

        assert self.covered(settings) == {SERVED: (0.5, 0.75), EARLIER: (1.0, 1.0), VERSION: (0.0, 0.5)}

    def test_predictions_without_an_interval_count_neither_way(self, settings: Settings) -> None:
        judged(settings, [(1, END - DAY, 2.0, 2.0), (2, END - DAY, 9.0, 2.0)], observed_at=END)
        query(settings, "UPDATE studyml.outcome_predictions SET lower_hours = 1, upper_hours = 3 WHERE session_id = 1")

        assert self.covered(settings) == {SERVED: (1.0, None), VERSION: (1.0, None)}

    def test_without_any_there_is_no_share(self, settings: Settings) -> None:
        judged(settings, [(1, END - DAY, 2.0, 2.0)], observed_at=END)

        assert self.covered(settings) == {SERVED: (None, None), VERSION: (None, None)}


@pytest.mark.parametrize(("outcomes", "sessions", "share"), [(0, 0, None), (0, 4, 0.0), (3, 4, 0.75), (5, 4, 1.0)])
def test_coverage_is_the_share_of_sessions_with_an_outcome(outcomes: int, sessions: int, share: float | None) -> None:
    assert coverage(outcomes, sessions) == share


@given(errors=st.lists(st.floats(-20, 20), min_size=2, max_size=50))
def test_the_bounds_are_those_of_the_mean_absolute_error(errors: list[float]) -> None:
    absolute = np.abs(errors)
    found = Rolling(SERVED, len(errors), float(absolute.mean()), float(np.sqrt(np.mean(absolute**2))))
    half = 1.96 * absolute.std(ddof=1) / math.sqrt(len(errors))

    lower, upper = found.mae_bounds

    assert lower == pytest.approx(max(absolute.mean() - half, 0), abs=1e-5)
    assert upper == pytest.approx(absolute.mean() + half, abs=1e-5)


def test_one_outcome_has_no_bounds() -> None:
    assert Rolling(SERVED, 1, 1.0, 1.0).mae_bounds == (None, None)
