"""The two rules: the guide's, and the one that asks for more than chance."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.monitoring.degradation import Evidence
from studyml.monitoring.rolling import SERVED, Rolling
from studyml.monitoring.verdict import Rule, judge

GUIDE = Rule(0.99, 1.2, 10)


@pytest.mark.parametrize(
    ("n", "mae", "verdict"),
    [
        (9, 50.0, "insufficient_data"),
        (0, None, "insufficient_data"),
        (10, 1.188, "healthy"),
        (10, 3.188 - 2.0, "healthy"),  # 1.1880000000000002 by rounding
        (10, 1.18801, "suspected"),
        (10, 0.0, "healthy"),
        (10, None, "error"),
        (10, math.nan, "error"),
        (10, math.inf, "error"),
    ],
)
def test_the_guides_rule(n: int, mae: float | None, verdict: str) -> None:
    assert judge(Rolling(SERVED, n, mae, mae), GUIDE).verdict == verdict


@given(mae=st.floats(0, 30), n=st.integers(0, 1000), baseline=st.floats(0.1, 5), ratio=st.floats(1.01, 3))
def test_suspected_means_more_than_ratio_times_baseline_over_enough_outcomes(
    mae: float, n: int, baseline: float, ratio: float
) -> None:
    found = judge(Rolling(SERVED, n, mae, mae), Rule(baseline, ratio, 10))

    assert (found.verdict == "suspected") == (n >= 10 and mae > baseline * ratio + 1e-9)
    assert (found.verdict == "insufficient_data") == (n < 10)


@pytest.mark.parametrize(("verdict", "words"), [((9, 2.0), "9 outcomes"), ((12, 2.0), "2.02 x the baseline")])
def test_a_verdict_says_why(verdict: tuple[int, float], words: str) -> None:
    n, mae = verdict

    assert words in judge(Rolling(SERVED, n, mae, mae), GUIDE).reason


@pytest.mark.parametrize(
    ("mae", "confirmed", "verdict"),
    [
        (0.5, False, "healthy"),
        (0.5, True, "confirmed"),  # far better than the baseline, and much worse than it was
        (2.0, False, "suspected"),
        (2.0, True, "confirmed"),
    ],
)
def test_what_is_beyond_chance_is_confirmed_with_and_without_the_guides_rule(
    mae: float, confirmed: bool, verdict: str
) -> None:
    evidence = Evidence(30, 40, 1.6, 1.5 if confirmed else 1.7, confirmed)

    found = judge(Rolling(SERVED, 40, mae, mae), GUIDE, evidence)

    assert found.verdict == verdict
    assert "1.60 x those expected over 40 outcomes of 30 days" in found.reason


def test_fewer_outcomes_than_are_needed_confirm_nothing() -> None:
    assert judge(Rolling(SERVED, 9, 5.0, 5.0), GUIDE, Evidence(30, 9, 9.0, 2.0, True)).verdict == "insufficient_data"


def test_without_evidence_the_reason_says_that_chance_was_not_weighed() -> None:
    assert "whether it is beyond chance is not known" in judge(Rolling(SERVED, 12, 2.0, 2.0), GUIDE).reason
