"""Each statistic against SciPy's on the same data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

from studyml.monitoring.profile import profile_numbers
from studyml.monitoring.two_samples import (
    chi_square,
    decile_counts,
    holm,
    jensen_shannon,
    kolmogorov_smirnov,
    kolmogorov_smirnov_p,
    population_stability,
    two_proportions,
    wasserstein,
)

COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=8)
SHIFTS = ((0.0, 1.0), (0.3, 1.0), (1.5, 1.0), (0.0, 2.5), (6.0, 0.3))


def profile(values: np.ndarray):
    return profile_numbers(values, np.arange(len(values)))


@pytest.mark.parametrize(("mean", "scale"), SHIFTS)
@pytest.mark.parametrize("whole", [False, True], ids=["continuous", "whole numbers"])
def test_kolmogorov_smirnov_is_scipys_and_never_more(mean: float, scale: float, whole: bool) -> None:
    random = np.random.default_rng(1)
    before, now = random.normal(size=3_000), random.normal(mean, scale, 700)
    if whole:
        before, now = np.round(before * 2), np.round(now * 2)
    expected = stats.ks_2samp(before, now, method="asymp")

    found = kolmogorov_smirnov(profile(before), np.sort(now))

    # A profile holds 201 ranks: between them its function can differ by half a percent.
    assert expected.statistic - 0.005 <= found <= expected.statistic + 1e-9
    if whole:
        assert found == pytest.approx(expected.statistic)


@pytest.mark.parametrize("rows", [20, 60, 300])
@pytest.mark.parametrize("shift", [0.0, 1.5, 3.0, 5.0])
def test_the_chance_of_a_distance_is_scipys_exact_one(rows: int, shift: float) -> None:
    random = np.random.default_rng(4)
    before, now = random.normal(size=rows), random.normal(shift / np.sqrt(rows), size=rows + 7)
    exact = stats.ks_2samp(before, now, method="exact")
    assert exact.pvalue > 1e-9

    # Stephens' approximation: within half of the p-value, where it decides anything.
    assert kolmogorov_smirnov_p(exact.statistic, rows, rows + 7) == pytest.approx(exact.pvalue, rel=0.5)


@pytest.mark.parametrize(("mean", "scale"), SHIFTS)
@pytest.mark.parametrize("whole", [False, True], ids=["continuous", "whole numbers"])
def test_wasserstein_is_scipys_in_standard_deviations(mean: float, scale: float, whole: bool) -> None:
    random = np.random.default_rng(2)
    before, now = random.normal(size=3_000), random.normal(mean, scale, 700)
    if whole:
        before, now = np.round(before * 2), np.round(now * 2)
    expected = stats.wasserstein_distance(before, now) / before.std()

    assert wasserstein(profile(before), profile(now)) == pytest.approx(expected, rel=0.02, abs=0.005)


def test_a_distance_without_a_scale_is_none() -> None:
    assert np.isnan(wasserstein(profile(np.ones(30)), profile(np.ones(30))))


@given(COUNTS)
def test_jensen_shannon_is_scipys(counts: list[tuple[int, int]]) -> None:
    before, now = np.array(counts, float).T + 0.0
    before[0] += 1
    now[-1] += 1

    assert jensen_shannon(before, now) == pytest.approx(jensenshannon(before, now, base=2), abs=1e-6)


@given(COUNTS)
def test_chi_square_is_scipys_where_no_part_is_rare(counts: list[tuple[int, int]]) -> None:
    table = np.array(counts, float).T + 50
    expected = stats.chi2_contingency(table, correction=False)

    statistic, p_value = chi_square(*table)

    assert statistic == pytest.approx(expected.statistic, abs=1e-9)
    assert p_value == pytest.approx(expected.pvalue, abs=1e-9)


@given(COUNTS)
def test_chi_square_never_rests_on_a_rare_part(counts: list[tuple[int, int]]) -> None:
    table = np.array(counts, float).T
    statistic, p_value = chi_square(*table)

    ordered = table[:, np.argsort(table.sum(0), kind="stable")]
    possible = [(0.0, 1.0)]
    for pooled in range(1, table.shape[1]):
        merged = np.concatenate([ordered[:, :pooled].sum(1, keepdims=True), ordered[:, pooled:]], 1)
        if (merged.sum(0) == 0).any() or (merged.sum(1) == 0).any():
            continue
        expected = stats.chi2_contingency(merged, correction=False)
        if expected.expected_freq.min() >= 5 - 1e-9:
            possible.append((expected.statistic, expected.pvalue))
    assert any(statistic == pytest.approx(a, abs=1e-9) and p_value == pytest.approx(b, abs=1e-9) for a, b in possible)


def test_three_of_a_new_level_are_no_proof_and_many_are() -> None:
    assert chi_square(np.array([500.0, 0.0]), np.array([17.0, 3.0]))[1] > 0.01
    assert chi_square(np.array([500.0, 0.0]), np.array([170.0, 130.0]))[1] < 1e-9


@given(st.integers(0, 40), st.integers(0, 400), st.integers(0, 40), st.integers(0, 60))
def test_two_proportions_are_fishers(before: int, more: int, now: int, also: int) -> None:
    if before + more == 0 or now + also == 0:
        return
    expected = stats.fisher_exact([[before, more], [now, also]])[1]

    assert two_proportions(before, before + more, now, now + also) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_a_single_missing_value_is_no_proof() -> None:
    assert two_proportions(0, 500, 1, 20) > 0.01


@pytest.mark.parametrize(("mean", "scale"), SHIFTS)
def test_the_stability_index_is_the_symmetrical_divergence_between_deciles(mean: float, scale: float) -> None:
    random = np.random.default_rng(3)
    before, now = random.normal(size=20_000), random.normal(mean, scale, 20_000)
    edges = np.quantile(before, np.arange(1, 10) / 10, method="inverted_cdf")
    p, q = (np.bincount(np.searchsorted(edges, each), minlength=10) + 0.5 for each in (before, now))
    p, q = p / p.sum(), q / q.sum()

    found = population_stability(*decile_counts(profile(before), np.sort(now)))

    # The deciles come from the profile's ranks and are exact there.
    assert found == pytest.approx(float(rel_entr(p, q).sum() + rel_entr(q, p).sum()), abs=1e-9)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=300))
def test_decile_counts_hold_every_row_once(values: list[int]) -> None:
    array = np.sort(np.array(values, float))
    before, now = decile_counts(profile(array), array)

    assert before.tolist() == pytest.approx(now.tolist())
    assert now.sum() == len(values)


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_is_never_below_the_p_values_and_never_above_bonferronis(p_values: list[float]) -> None:
    found = holm(p_values)

    for adjusted, p_value in zip(found, p_values, strict=True):
        assert p_value <= adjusted <= min(1.0, p_value * len(p_values)) + 1e-12
    assert [found[place] for place in np.argsort(p_values, kind="stable")] == sorted(found)
