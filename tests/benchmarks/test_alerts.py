"""How often alerts ring: the years are as they are described, and the figures follow from them."""

import io

import numpy as np
import pytest
from rich.console import Console

from benchmarks.alerts.arrivals import ARRIVALS
from benchmarks.alerts.detectors import GUIDES_RULE, OURS, PEERS, Stream, guides_rule, ours, peer, peers_at_hand
from benchmarks.alerts.errors import ERRORS_GROW, SESSIONS_GROW, ErrorPool, changed, guides_errors
from benchmarks.alerts.measure import CHANGE_DAY, CHANGES, DAYS, KINDS, Case, Found, _count, incidents, measure
from benchmarks.alerts.oracle import Oracle
from benchmarks.alerts.report import print_report, targets
from studyml.monitoring.degradation import RULES, expected_error, weigh
from studyml.monitoring.rolling import Rolling
from studyml.monitoring.verdict import CONFIRMED, Rule, judge

PEER = pytest.mark.skipif(not peers_at_hand(), reason="river is not installed")


@pytest.fixture(scope="module")
def pool() -> ErrorPool:
    return guides_errors()


def a_year(pool: ErrorPool, rate: float, *, change: float = 0.0, seed: int = 1) -> Stream:
    arrived = ARRIVALS["even"](np.random.default_rng(seed), pool, rate, DAYS)
    after = changed(pool, ERRORS_GROW, change) if change else pool.actual
    actual = np.where(arrived.day < CHANGE_DAY, pool.actual[arrived.row], after[arrived.row])
    return Stream(arrived.day, actual, pool.predicted[arrived.row], DAYS)


class TestErrors:
    """What is drawn from."""

    def test_what_is_predicted_is_near_the_best_possible_error(self, pool: ErrorPool) -> None:
        best = np.abs(pool.actual - np.median(pool.actual / pool.predicted) * pool.predicted).mean()
        assert pool.mae < 1.02 * best
        assert pool.mae < 0.6 * np.abs(pool.actual - np.median(pool.actual)).mean()

    @pytest.mark.parametrize("kind", [ERRORS_GROW, SESSIONS_GROW])
    @pytest.mark.parametrize("by", [0.1, 0.5])
    def test_a_change_raises_the_mae_by_its_size(self, pool: ErrorPool, kind: str, by: float) -> None:
        after = changed(pool, kind, by)
        assert np.abs(after - pool.predicted).mean() / pool.mae == pytest.approx(1 + by, abs=1e-6)

    def test_where_errors_grow_no_duration_changes_its_side_and_none_is_cut_off(self, pool: ErrorPool) -> None:
        after = changed(pool, ERRORS_GROW, 0.5)
        assert (np.sign(after - pool.predicted) == np.sign(pool.actual - pool.predicted)).all()
        assert after.min() > 0.5 * pool.actual.min()


class TestArrivals:
    """Which sessions are labelled when."""

    @pytest.mark.parametrize("arrivals", ARRIVALS)
    @pytest.mark.parametrize("rate", [2.0, 50.0])
    def test_the_mean_rate_is_the_one_asked_for(self, pool: ErrorPool, arrivals: str, rate: float) -> None:
        random = np.random.default_rng(1)
        years = [ARRIVALS[arrivals](random, pool, rate, DAYS) for _ in range(40)]
        assert np.mean([len(each.day) for each in years]) / DAYS == pytest.approx(rate, rel=0.08)
        assert all((np.diff(each.day) >= 0).all() and each.day.max() < DAYS for each in years)

    def test_bursts_leave_days_empty_and_repeat_students(self, pool: ErrorPool) -> None:
        def seen(arrivals: str) -> tuple[int, int]:
            arrived = ARRIVALS[arrivals](np.random.default_rng(1), pool, 5.0, DAYS)
            pairs = np.unique(np.column_stack([arrived.day // 7, pool.student[arrived.row]]), axis=0)
            return len(np.unique(arrived.day)), len(pairs)

        assert seen("bursty")[0] < 0.75 * seen("even")[0]
        assert seen("bursty")[1] < 0.5 * seen("even")[1]


class TestDetectors:
    """What rings, and when."""

    @pytest.mark.parametrize("rate", [0.3, 3.0])
    def test_our_nights_are_those_of_the_verdict_that_pages(self, pool: ErrorPool, rate: float) -> None:
        stream = a_year(pool, rate, change=0.9)
        expected = expected_error(pool.actual[::7], pool.predicted[::7], pool.student[::7])
        assert expected is not None
        errors = np.minimum(stream.absolute_errors / stream.predicted, expected.cap)
        found = []
        for night in range(DAYS):
            inside = {rule.days: (stream.day <= night) & (stream.day > night - rule.days) for rule in RULES}
            weighed = weigh(
                expected, {d: (int(rows.sum()), errors[rows].mean()) for d, rows in inside.items() if rows.any()}
            )
            month = stream.absolute_errors[inside[30]]
            rolling = Rolling("served", len(month), float(month.mean()) if len(month) else None, None)
            found.append(judge(rolling, Rule(pool.mae, 1.2, 10), weighed).verdict == CONFIRMED)

        assert ours(stream, expected).tolist() == found
        assert any(found)

    def test_the_guides_rule_needs_ten_outcomes_and_a_fifth_more(self) -> None:
        def judged(outcomes: int, error: float) -> tuple[bool, bool]:
            stream = Stream(np.zeros(outcomes, np.int64), np.full(outcomes, 1 + error), np.ones(outcomes), 1)
            rings, healthy = guides_rule(stream, 1.0)
            return bool(rings[0]), bool(healthy[0])

        assert judged(10, 1.25) == (True, False)
        assert judged(10, 1.15) == (False, True)
        assert judged(9, 1.25) == (False, False)

    @PEER
    @pytest.mark.parametrize("name", PEERS)
    def test_a_peer_sees_errors_that_double_and_not_errors_that_halve(self, name: str) -> None:
        day = np.repeat(np.arange(100), 20)
        error = np.random.default_rng(1).uniform(0, 2, 2000)
        for factor, sees in ((2.0, True), (0.5, False)):
            stream = Stream(day, 1 + np.where(day < 50, error, factor * error), np.ones(2000), 100)
            assert peer(name, stream)[50:].any() == sees

    def test_an_incident_lasts_until_a_healthy_night(self) -> None:
        rings, healthy = np.zeros((2, DAYS), bool)
        rings[[10, 100, 102, 110]] = True
        healthy[[50, 105]] = True
        assert incidents(rings, healthy) == 2


class TestMeasure:
    """A few years of each."""

    def test_a_year_that_rings_already_says_nothing_of_a_delay_and_a_ringing_night_parts_no_incidents(self) -> None:
        quiet = Stream(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), DAYS)

        def rings(_: Stream) -> np.ndarray:
            nights = np.zeros(DAYS, bool)
            nights[[CHANGE_DAY - 1, CHANGE_DAY + 5]] = True
            return nights

        found = Found()
        _count(found, rings, quiet, {(ERRORS_GROW, 0.5): quiet}, 1.0)
        assert found.delays == {}
        both = np.ones(DAYS, bool)
        assert incidents(both, both) == 1

    def test_ours_is_quiet_while_nothing_changes_and_soon_sees_a_large_change(self, pool: ErrorPool) -> None:
        found = measure(pool, Case(pool.name, "even", 20.0), years=8, seed=3, peers=())
        assert found[OURS].alarms <= 2
        assert found[OURS].median_delay(ERRORS_GROW, 0.5) <= 5
        assert found[OURS].median_delay(ERRORS_GROW, 0.5) <= found[OURS].median_delay(ERRORS_GROW, 0.2)

    def test_the_guides_rule_rings_most_years_at_two_a_day(self, pool: ErrorPool) -> None:
        found = measure(pool, Case(pool.name, "even", 2.0), years=8, seed=3, peers=())
        assert found[GUIDES_RULE].years_with_alarm >= 6
        assert found[OURS].years_with_alarm <= 2

    def test_a_seed_repeats_itself(self, pool: ErrorPool) -> None:
        case = Case(pool.name, "bursty", 2.0)
        assert measure(pool, case, years=2, seed=3, peers=()) == measure(pool, case, years=2, seed=3, peers=())


class TestReport:
    """The tables, and what was reached."""

    @staticmethod
    def cells(alarms: float, delays: list[float]) -> dict[Case, dict[str, Found]]:
        both = {(kind, by): delays for kind in KINDS for by in CHANGES}
        return {Case("guide", "even", 20.0): {OURS: Found(10, round(10 * alarms), 1, both)}}

    @pytest.mark.parametrize(
        ("alarms", "delays", "reached"),
        [
            (0.1, [1, 3, np.inf], [True, True]),
            (0.2, [1, 3, np.inf], [False, True]),
            (0.1, [1, 4, np.inf], [True, False]),
            (0.1, [1, np.inf, np.inf], [True, False]),
        ],
    )
    def test_a_target_is_reached_up_to_its_limit(
        self,
        alarms: float,
        delays: list[float],
        reached: list[bool],
    ) -> None:
        cells, text = self.cells(alarms, delays), io.StringIO()
        oracles = [Oracle(Case("guide", "even", 20.0), ERRORS_GROW, 0.5, 17.0)]
        assert [each.passed for each in targets(cells, oracles)] == reached
        assert print_report(Console(file=text, width=160), cells, oracles) == all(reached)
        assert f"{alarms:.2f}" in text.getvalue()
        assert "17" in text.getvalue()

    def test_a_target_is_missed_by_its_worst_rate_and_its_worst_kind_of_change(self) -> None:
        rates = {
            Case("guide", "even", rate): {OURS: Found(10, alarms, 1, {(kind, 0.5): [days] for kind, days in both})}
            for rate, alarms, both in (
                (2.0, 0, ((ERRORS_GROW, 10), (SESSIONS_GROW, 40))),
                (20.0, 5, ((ERRORS_GROW, 1), (SESSIONS_GROW, 2))),
            )
        }
        assert [each.passed for each in targets(rates, [])] == [False, False, True]

    @pytest.mark.parametrize(
        ("of_oracle", "delay", "words"),
        [(3.0, 4, "NO"), (5.0, 4, "NO, 5 by a rule that is told all"), (5.0, 3, "yes")],
    )
    def test_a_target_that_the_oracle_misses_says_so_and_is_missed_all_the_same(
        self, of_oracle: float, delay: float, words: str
    ) -> None:
        case = Case("guide", "even", 20.0)
        oracles = [Oracle(case, kind, 0.5, days) for kind, days in zip(KINDS, (1.0, of_oracle), strict=True)]
        (_, sees) = targets(self.cells(0.0, [delay]), oracles)
        assert sees.reached == words
        assert sees.passed == (words == "yes")
