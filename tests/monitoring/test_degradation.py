"""The rule beyond chance: what it may depend on, and what it may not."""

import json
import math
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from studyml.monitoring.degradation import (
    MINIMUM_RATIO,
    RULES,
    ExpectedError,
    Window,
    expected_error,
    limit,
    over_limit,
    weigh,
)
from studyml.monitoring.degradation_query import relative_errors
from studyml.settings import Settings
from tests.conftest import END
from tests.scoring.world import EARLIER, VERSION, judged, query

DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
EXPECTED = ExpectedError(
    mean=0.25, coefficient_of_variation=0.8, skewness=1.0, week_effect=1.2, student_effect=1.5, rows=480, cap=1.5
)
WEEK = 7 * 24 * 3600 * 1_000_000
LONGEST, SHORTEST = RULES[0], RULES[-1]

seeds = st.integers(0, 2**32 - 1)
outcomes = st.integers(1, 100_000)
means = st.floats(0, 1.5)


def out_of_fold(seed: int, rows: int = 200) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    predicted = random.uniform(0.5, 5, rows)
    return predicted * random.lognormal(0, 0.5, rows), predicted


class TestExpectedError:
    """What a version leads one to expect."""

    @given(seeds, st.floats(0.01, 100))
    def test_the_unit_of_time_changes_nothing(self, seed: int, factor: float) -> None:
        actual, predicted = out_of_fold(seed)
        one, other = expected_error(actual, predicted), expected_error(actual * factor, predicted * factor)

        assert one is not None
        assert other is not None
        assert list(one.to_json().values()) == pytest.approx(list(other.to_json().values()))

    @given(seeds)
    def test_the_order_of_the_rows_changes_nothing(self, seed: int) -> None:
        actual, predicted = out_of_fold(seed)
        student, date = np.arange(200) % 9, np.arange(200) * WEEK // 12
        order = np.random.default_rng(seed).permutation(200)
        one, other = (
            expected_error(actual[rows], predicted[rows], student[rows], date[rows]) for rows in (np.arange(200), order)
        )

        assert one is not None
        assert other is not None
        assert list(one.to_json().values()) == pytest.approx(list(other.to_json().values()))

    def test_mean_and_variation_are_those_of_the_relative_errors(self) -> None:
        found = expected_error(np.tile([1.1, 2.4, 0.9, 1.6], 25), np.tile([1.0, 2.0, 1.0, 2.0], 25))

        assert found is not None
        assert (found.mean, found.rows) == (pytest.approx(0.15), 100)
        assert found.coefficient_of_variation == pytest.approx(1 / 3)
        assert found.skewness == pytest.approx(0)
        assert (found.week_effect, found.student_effect) == (1.0, pytest.approx(1 + 2 * math.sqrt(2 / 100)))

    def test_one_absurd_session_moves_the_mean_no_further_than_the_cap(self) -> None:
        actual, predicted = out_of_fold(1)
        usual = expected_error(actual, predicted)
        actual[0], predicted[0] = 24, 0.1
        found = expected_error(actual, predicted)

        assert usual is not None
        assert found is not None
        assert found.cap == pytest.approx(usual.cap, rel=0.2)
        assert found.mean < usual.mean + found.cap / 200

    @given(seeds)
    def test_one_absurd_session_among_the_fewest_outcomes_confirms_nothing(self, seed: int) -> None:
        expected = expected_error(*out_of_fold(seed))

        assert expected is not None
        for window in RULES:
            n = window.minimum_outcomes
            found = weigh(expected, {window.days: (n, ((n - 1) * expected.mean + expected.cap) / n)})
            assert found is not None
            assert not found.confirmed

    def test_sessions_of_one_student_that_are_all_alike_count_once(self) -> None:
        actual, predicted = (np.repeat(each, 8) for each in out_of_fold(2, rows=50))
        student, week = np.repeat(np.arange(50), 8), np.tile([0, 0, 1, 1, 2, 2, 3, 3], 50)
        alone = expected_error(actual, predicted)
        repeated = expected_error(actual, predicted, student, week * WEEK)

        assert alone is not None
        assert repeated is not None
        assert (alone.week_effect, alone.student_effect) == (1.0, pytest.approx(1 + 2 * math.sqrt(2 / 400)))
        assert repeated.week_effect == pytest.approx(2)
        assert repeated.student_effect == pytest.approx(8 * (1 + 2 * math.sqrt(2 / 50)))

    def test_in_a_log_of_one_student_the_weeks_repeat(self) -> None:
        actual, predicted = (np.repeat(each, 8) for each in out_of_fold(2, rows=50))
        found = expected_error(actual, predicted, np.ones(400, np.int64), np.repeat(np.arange(50), 8) * WEEK)

        assert found is not None
        assert found.week_effect == pytest.approx(8)
        assert found.student_effect == pytest.approx(8 * (1 + 2 * math.sqrt(2 / 50)))

    @pytest.mark.parametrize(
        ("actual", "predicted"),
        [
            (np.ones(29), np.full(29, 2.0)),
            (np.ones(50), np.ones(50)),
            (np.full(50, np.nan), np.ones(50)),
            (np.ones(50), np.zeros(50)),
            (np.empty(0), np.empty(0)),
        ],
        ids=["too few", "no errors", "not a number", "predictions of zero", "no rows"],
    )
    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    def test_there_is_none_where_nothing_could_be_compared_with_it(
        self, actual: NDArray[np.float64], predicted: NDArray[np.float64]
    ) -> None:
        assert expected_error(actual, predicted) is None

    @given(seeds)
    def test_it_survives_json(self, seed: int) -> None:
        found = expected_error(*out_of_fold(seed))
        assert found is not None
        assert ExpectedError.from_json(json.loads(json.dumps(found.to_json()))) == found

    @pytest.mark.parametrize("lost", [*EXPECTED.to_json()])
    def test_what_an_older_version_stored_in_part_is_none(self, lost: str) -> None:
        stored = EXPECTED.to_json()
        assert ExpectedError.from_json({name: value for name, value in stored.items() if name != lost}) is None
        assert ExpectedError.from_json({**stored, lost: None}) is None
        assert ExpectedError.from_json(None) is None


class TestLimit:
    """What the ratio has to exceed."""

    @given(outcomes, outcomes)
    def test_more_outcomes_never_raise_it(self, one: int, other: int) -> None:
        few, many = sorted((one, other))
        assert limit(EXPECTED, LONGEST, many) <= limit(EXPECTED, LONGEST, few)

    @given(outcomes)
    def test_it_is_never_below_the_guides_ratio(self, n: int) -> None:
        certain = ExpectedError(0.25, 0.0, 0.0, 1.0, 1.0, 10**9, 1.0)
        assert limit(certain, LONGEST, n) == MINIMUM_RATIO

    def test_it_is_that_of_a_ratio_of_two_means_and_a_term_for_skewness(self) -> None:
        symmetric = replace(EXPECTED, skewness=0.0)
        found = float(limit(symmetric, Window(30, 10, 4.0), 50))

        assert found - 1 == pytest.approx(4 * 0.8 * math.sqrt(1.2 / 50 + found**2 * 1.5 / 480))
        skewed = 0.8 * (16 - 1) / 6 * 1.0 * 1.2 / 50
        assert limit(EXPECTED, Window(30, 10, 4.0), 50) == pytest.approx(found + skewed)

    def test_there_is_none_where_the_expected_error_itself_is_hardly_known(self) -> None:
        assert limit(replace(EXPECTED, rows=30, student_effect=8.0), LONGEST, 10_000) == np.inf

    @pytest.mark.parametrize(
        "worse",
        [
            {"coefficient_of_variation": 1.0},
            {"skewness": 2.0},
            {"week_effect": 2.0},
            {"student_effect": 3.0},
            {"rows": 100},
        ],
        ids=lambda each: next(iter(each)),
    )
    def test_whatever_makes_chance_larger_raises_it(self, worse: dict[str, float]) -> None:
        noisier = ExpectedError.from_json({**EXPECTED.to_json(), **worse})
        assert noisier is not None
        assert limit(noisier, LONGEST, 50) > limit(EXPECTED, LONGEST, 50)


def test_the_windows_and_the_cap_are_those_of_the_decision_that_measured_them() -> None:
    """What rings for nothing, and how often, was measured for these: docs/decisions/0005."""
    assert {(each.days, each.minimum_outcomes, each.z) for each in RULES} == {
        *((days, 10, 3.25) for days in (45, 30, 21, 14)),
        *((days, 10, 3.7) for days in (7, 3)),
    }
    hours = np.linspace(1, 4, 400)
    found = expected_error(hours, hours + np.linspace(0, 1, 400))
    assert found is not None
    errors = np.linspace(0, 1, 400) / (hours + np.linspace(0, 1, 400))
    assert found.cap == pytest.approx(3 * np.quantile(errors, 0.95))


class TestWeigh:
    """Which window decides, and what it says."""

    @given(st.dictionaries(st.sampled_from([each.days for each in RULES]), st.tuples(outcomes, means)))
    def test_the_decision_is_that_of_the_windows_with_enough_outcomes(
        self, observed: dict[int, tuple[int, float]]
    ) -> None:
        enough = {
            rule.days: mean / EXPECTED.mean > limit(EXPECTED, rule, n)
            for rule in RULES
            if rule.days in observed
            for n, mean in [observed[rule.days]]
            if n >= rule.minimum_outcomes
        }
        found = weigh(EXPECTED, observed)

        assert (found is None) == (not enough)
        if found is not None:
            over = [
                days for days in enough if observed[days][1] / EXPECTED.mean <= over_limit(EXPECTED, observed[days][0])
            ]
            confirming = [days for days, confirms in enough.items() if confirms]
            lasting = [days for days in confirming if days <= min(over, default=days)]
            assert found.confirmed == bool(lasting)
            assert found.days == (max(lasting) if lasting else min(over) if confirming else max(enough))
            assert (found.n, found.error_ratio) == (
                observed[found.days][0],
                observed[found.days][1] / EXPECTED.mean,
            )

    @given(st.lists(st.floats(0, 3), min_size=10, max_size=40), st.floats(0, 3))
    def test_another_outcome_with_a_larger_error_never_lowers_the_ratio(self, errors: list[float], more: float) -> None:
        def ratio(values: list[float]) -> float:
            found = weigh(EXPECTED, {LONGEST.days: (len(values), float(np.mean(np.minimum(values, EXPECTED.cap))))})
            assert found is not None
            return found.error_ratio

        assert ratio([*errors, max(errors) + more]) >= ratio(errors) - 1e-12

    @given(st.integers(1, LONGEST.minimum_outcomes - 1), means)
    def test_too_few_outcomes_never_confirm(self, n: int, mean: float) -> None:
        assert weigh(EXPECTED, {LONGEST.days: (n, mean)}) is None

    def test_a_short_window_confirms_where_the_long_one_cannot_yet(self) -> None:
        found = weigh(EXPECTED, {30: (600, 0.27), SHORTEST.days: (60, 0.5)})
        assert found is not None
        assert (found.days, found.confirmed) == (SHORTEST.days, True)

    def test_where_none_confirms_the_longest_speaks(self) -> None:
        found = weigh(EXPECTED, {30: (600, 0.27), SHORTEST.days: (60, 0.26)})
        assert found is not None
        assert (found.days, found.confirmed) == (30, False)

    @pytest.mark.parametrize(("since", "confirmed"), [((10, 0.3), True), ((100, 0.25), False), ((100, 0.35), True)])
    def test_a_bad_week_is_over_once_the_days_since_show_it(self, since: tuple[int, float], confirmed: bool) -> None:
        found = weigh(EXPECTED, {45: (600, 0.4), 21: since})
        assert found is not None
        assert found.confirmed == confirmed
        assert found.days == (45 if confirmed else 21)

    def test_no_outcomes_no_evidence(self) -> None:
        assert weigh(EXPECTED, {}) is None


def observed(
    settings: Settings, caps: dict[str, float], as_of: datetime = END, days: tuple[int, ...] = (30, 7)
) -> dict[str, dict[int, tuple[int, float]]]:
    with psycopg2.connect(settings.database) as connection:
        found = relative_errors(connection, as_of=as_of, caps=caps, days=days)
    connection.close()
    return found


#: Sessions corrected before the night that looks, and others corrected after it.
CORRECTED = (range(0, 120, 3), range(1, 120, 3))


def row(random: np.random.Generator, session: int, predicted: float) -> tuple[int, datetime, float | None, float]:
    """An outcome at a random time, one in ten without its label."""
    actual = None if random.random() < 0.1 else float(random.uniform(0.1, 9))
    return session, END - float(random.uniform(0, 40)) * DAY, actual, predicted


class TestRelativeErrors:
    """What PostgreSQL sums up is what the rule means."""

    @pytest.mark.parametrize("seed", range(3))
    def test_it_is_numpys_mean_on_a_random_ledger_with_corrections(self, settings: Settings, seed: int) -> None:
        random = np.random.default_rng(seed)
        caps = {VERSION: 0.6, EARLIER: 1.1}
        first = {each: row(random, each, float(random.uniform(0.1, 6))) for each in range(120)}
        corrected, too_late = ({each: row(random, each, first[each][3]) for each in ids} for ids in CORRECTED)
        for rows, observed_at, revision in ((first, 3, 1), (corrected, 1, 2), (too_late, -1, 2)):
            for version, of_version in zip(caps, (0, 1), strict=True):
                listed = [each for session, each in rows.items() if session % 2 == of_version]
                judged(settings, listed, observed_at=END - observed_at * DAY, version=version, revision=revision)

        found = observed(settings, caps)
        for version, of_version in zip(caps, (0, 1), strict=True):
            known = [each for session, each in (first | corrected).items() if session % 2 == of_version]
            for days in (30, 7):
                errors = [
                    min(abs(actual - predicted) / predicted, caps[version])
                    for _, date, actual, predicted in known
                    if actual is not None and END - days * DAY < date <= END
                ]
                assert found[version][days] == (len(errors), pytest.approx(np.mean(errors), rel=1e-12))

    def test_a_window_leaves_out_its_first_instant_and_holds_its_last(self, settings: Settings) -> None:
        start = END - 7 * DAY
        rows = [(1, start, 2.0, 1.0), (2, start + TICK, 3.0, 2.0), (3, END, 4.0, 2.0), (4, END + TICK, 9.0, 1.0)]
        judged(settings, rows, observed_at=END)

        assert observed(settings, {VERSION: 9.0}) == {
            VERSION: {7: (2, 0.75), 30: (3, pytest.approx(2.5 / 3))},
        }

    def test_the_night_before_a_correction_says_what_it_said(self, settings: Settings) -> None:
        judged(settings, [(1, END - 2 * DAY, 2.0, 1.0)], observed_at=END - DAY)
        judged(settings, [(1, END - 2 * DAY, 4.0, 1.0)], observed_at=END, revision=2)

        assert observed(settings, {VERSION: 9.0}, END - TICK)[VERSION][7] == (1, 1.0)
        assert observed(settings, {VERSION: 9.0})[VERSION][7] == (1, 3.0)

    def test_only_those_of_a_version_asked_for_whether_served_or_not(self, settings: Settings) -> None:
        judged(settings, [(1, END - DAY, 2.0, 1.0)], observed_at=END)
        judged(settings, [(2, END - DAY, 2.0, 1.0)], observed_at=END, version=EARLIER)

        assert set(observed(settings, {VERSION: 9.0})) == {VERSION}
        query(settings, "UPDATE studyml.outcome_predictions SET role = 'challenger', served = false")
        assert set(observed(settings, {VERSION: 9.0})) == {VERSION}
        assert observed(settings, {}) == {}

    def test_what_is_no_number_counts_as_the_cap_and_fails_nothing(self, settings: Settings) -> None:
        rows = [(1, END - DAY, 2.0, math.nan), (2, END - DAY, 2.0, 0.0), (3, END - DAY, 2.0, 2.0)]
        judged(settings, rows, observed_at=END)

        assert observed(settings, {VERSION: 0.75})[VERSION][7] == (3, 0.5)
