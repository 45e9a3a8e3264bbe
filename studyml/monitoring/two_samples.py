"""Are two samples of one distribution, and how far apart are they? Statistics of profiles and of rows.

Tests take sample sizes that need not be whole: what rows are worth where rows of one student are alike.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from studyml.monitoring.profile import NumberProfile

Floats = NDArray[np.float64]

#: A cell of a contingency table with a smaller expected count is pooled with others (Cochran 1954).
SMALLEST_EXPECTED = 5.0


def kolmogorov_smirnov(reference: NumberProfile, ordered: Floats) -> float:
    """The largest distance between two distribution functions, taken at the reference's values.

    ``ordered`` [n] ascending. Between those values it may be larger by at most a half percent, so a test is careful.
    """
    found = 0.0
    for side, shares in (("left", reference.below), ("right", reference.at_most)):
        now = np.searchsorted(ordered, reference.values, side=side) / len(ordered)  # type: ignore[call-overload]
        found = max(found, float(np.abs(now - np.array(shares)).max()))
    return found


def kolmogorov_smirnov_p(distance: float, rows: float, other_rows: float) -> float:
    """The chance of such a distance between two samples of one distribution (Stephens 1970)."""
    from scipy.special import kolmogorov  # type: ignore[import-untyped]

    root = math.sqrt(rows * other_rows / (rows + other_rows))
    return float(kolmogorov((root + 0.12 + 0.11 / root) * distance))


def wasserstein(one: NumberProfile, other: NumberProfile) -> float:
    """The earth mover's distance, in units of the first's standard deviation; NaN where that is zero or none.

    Between the values that a profile keeps its distribution function is taken as straight.
    """
    if not one.values or not other.values or one.deviation <= 0:
        return float("nan")
    points = np.unique([*one.values, *other.values])
    after = _shares(one, points, one.at_most) - _shares(other, points, other.at_most)
    before = _shares(one, points, one.below) - _shares(other, points, other.below)
    left, right = after[:-1], before[1:]
    with np.errstate(over="ignore", invalid="ignore"):
        apart = np.abs(left) + np.abs(right)
        crossing = (left * right < 0) & (apart > 0)
        mean = np.where(crossing, (left**2 + right**2) / np.where(apart > 0, 2 * apart, 1), apart / 2)
        return float((mean * np.diff(points)).sum() / one.deviation)


def _shares(profile: NumberProfile, points: Floats, own: Sequence[float]) -> Floats:
    """The distribution function at points: at its own values ``own``, between them straight, outside 0 and 1."""
    values = np.array(profile.values)
    place = np.searchsorted(values, points, side="right") - 1
    inside = np.clip(place, 0, max(len(values) - 2, 0))
    start, end = values[inside], values[np.minimum(inside + 1, len(values) - 1)]
    low, high = np.array(profile.at_most)[inside], np.array(profile.below)[np.minimum(inside + 1, len(values) - 1)]
    with np.errstate(over="ignore", invalid="ignore"):
        part = np.where(end > start, (points - start) / np.where(end > start, end - start, 1), 0.0)
        between = low + part * (high - low)
    found = np.where(points < values[0], 0.0, np.where(points > values[-1], 1.0, between))
    at = np.searchsorted(values, points)
    exact = (at < len(values)) & (values[np.minimum(at, len(values) - 1)] == points)
    return np.where(exact, np.array(own)[np.minimum(at, len(values) - 1)], found)


def decile_counts(reference: NumberProfile, ordered: Floats) -> tuple[Floats, Floats]:
    """Known rows of both [k] between the reference's deciles.

    Where deciles are equal there are fewer parts, and values outside the reference's range are parts of their own:
    of few distinct values another one is news.
    """
    known = reference.crowd.rows - reference.crowd.missing
    lowest, highest = reference.values[0], reference.values[-1]
    edges = np.unique([reference.quantile(share) for share in np.arange(1, 10) / 10])
    outside = len(edges) < 9 or highest in edges
    edges = edges[edges < highest]
    places = np.searchsorted(reference.values, edges)
    before = np.diff(np.concatenate([[0.0], np.array(reference.at_most)[places], [1.0]]) * known)
    now = np.diff(np.concatenate([[0], np.searchsorted(ordered, edges, side="right"), [len(ordered)]]))
    if outside:
        under, over = int((ordered < lowest).sum()), int((ordered > highest).sum())
        now[0], now[-1] = now[0] - under, now[-1] - over
        before, now = np.append(before, [0.0, 0.0]), np.append(now, [under, over])
    return before, now.astype(np.float64)


def population_stability(before: Floats, now: Floats) -> float:
    """The population stability index of counts [k]: sum of (q - p) log(q / p) over shares p before and q now.

    Half a row is added to each part, so that an empty one is no infinity; a part that is empty in both is left out.
    """
    used = (before > 0) | (now > 0)
    if not used.any() or before.sum() <= 0 or now.sum() <= 0:
        return 0.0
    shares = [(counts[used] + 0.5) / (counts[used] + 0.5).sum() for counts in (before, now)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def jensen_shannon(before: Floats, now: Floats) -> float:
    """The Jensen-Shannon distance of counts [k], base 2: 0 alike, 1 nothing in common (Endres and Schindelin 2003)."""
    p, q = before / before.sum(), now / now.sum()
    middle = (p + q) / 2
    terms = [each[each > 0] * np.log2(each[each > 0] / middle[each > 0]) for each in (p, q)]
    return math.sqrt(max(float(terms[0].sum() + terms[1].sum()) / 2, 0.0))


def chi_square(before: Floats, now: Floats) -> tuple[float, float]:
    """Pearson's statistic and p-value that counts [k] have the same shares; parts of few expected rows are pooled."""
    from scipy.special import chdtrc

    table = _pooled(np.stack([before, now]))
    if table.shape[1] < 2:
        return 0.0, 1.0
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    statistic = float((np.square(table - expected) / expected).sum())
    return statistic, float(chdtrc(table.shape[1] - 1, statistic))


def _pooled(table: Floats) -> Floats:
    """The table [2, k] with its rarest parts put together until each has enough expected rows in both samples."""
    totals = table.sum(0)
    table = table[:, np.argsort(totals, kind="stable")][:, np.count_nonzero(totals == 0) :]
    least = SMALLEST_EXPECTED * table.sum() / max(float(table.sum(1).min()), 1e-12)
    reached = np.cumsum(table.sum(0))
    if table.shape[1] == 0 or reached[0] >= least:
        return table
    pooled = int(np.searchsorted(reached, least)) + 1
    return np.concatenate([table[:, :pooled].sum(1, keepdims=True), table[:, pooled:]], 1)


def two_proportions(before: float, before_rows: float, now: float, now_rows: float) -> float:
    """Fisher's exact p-value, two-sided, that ``now`` of ``now_rows`` is the share ``before`` of ``before_rows`` was.

    Exact, since shares of missing values are near zero, where a normal approximation rings at a single one.
    """
    from scipy.special import gammaln

    one, other = max(round(before_rows), 1), max(round(now_rows), 1)
    first, second = min(round(before), one), min(round(now), other)
    hits = first + second
    possible = np.arange(max(0, hits - one), min(hits, other) + 1)

    def chosen(total: int, part: NDArray[np.int64]) -> Floats:
        found: Floats = gammaln(total + 1) - gammaln(part + 1) - gammaln(total - part + 1)
        return found

    logs = chosen(other, possible) + chosen(one, hits - possible)
    logs -= np.logaddexp.reduce(logs)
    here = logs[second - possible[0]]
    return min(1.0, float(np.exp(logs[logs <= here + 1e-7]).sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number (Holm 1979): one below a level is significant at it, whatever the others.

    >>> holm([0.04, 0.01, 0.5])
    [0.08, 0.03, 0.5]
    """
    adjusted, largest = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda each: p_values[each])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
