"""Volume: far more or far fewer sessions in the last week than in the weeks before it."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Whole weeks, so that weekends weigh alike in both.
RECENT_DAYS, EARLIER_DAYS = 7, 28
#: Flagged beyond this chance, and only from a factor of two on.
_LEVEL, _FACTOR = 0.01, 2.0


@dataclass(frozen=True)
class Volume:
    """Sessions per day of the last week and of up to four before; ``ratio`` None where there were none before."""

    per_day: float
    earlier_per_day: float
    ratio: float | None
    p_value: float
    moved: bool
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def compare_volume(daily: NDArray[np.int64], *, log_days: int = RECENT_DAYS + EARLIER_DAYS) -> Volume:
    """Compare sessions by day [35], newest first: the last 7 days with the 28 before.

    The log began ``log_days`` ago: of a younger one only whole weeks since then are compared, and nothing moved where
    there is none before the last.

    Given their sum, the last week's count is binomial where sessions come by chance alone. They come in bursts: both
    counts are divided by their dispersion (variance over mean, at least 1) by day or by week, whichever is larger.
    """
    from scipy.special import betainc  # type: ignore[import-untyped]

    earlier_days = min(EARLIER_DAYS, (log_days // RECENT_DAYS - 1) * RECENT_DAYS)
    recent, earlier = daily[:RECENT_DAYS], daily[RECENT_DAYS : RECENT_DAYS + max(0, earlier_days)]
    per_day = float(recent.sum() / RECENT_DAYS)
    if len(earlier) == 0:
        words = f"sessions: {per_day:.3g} a day in the last week, the log's first"
        return Volume(per_day, 0.0, None, 1.0, False, words)
    dispersion = max(1.0, _dispersion(earlier), _dispersion(earlier.reshape(-1, RECENT_DAYS).sum(1)))
    now, before = recent.sum() / dispersion, earlier.sum() / dispersion
    share = RECENT_DAYS / (RECENT_DAYS + len(earlier))
    at_most = 1.0 if before <= 0 else float(betainc(before, now + 1, 1 - share))
    at_least = 1.0 if now <= 0 else float(betainc(now, before + 1, share))
    p_value = min(1.0, 2 * min(at_most, at_least))
    earlier_per_day = float(earlier.sum() / len(earlier))
    ratio = per_day / earlier_per_day if earlier_per_day > 0 else None
    large = ratio is None or ratio >= _FACTOR or ratio <= 1 / _FACTOR
    words = f"sessions: {earlier_per_day:.3g} -> {per_day:.3g} a day (last {RECENT_DAYS} days, {len(earlier)} before)"
    return Volume(per_day, earlier_per_day, ratio, p_value, bool(large and p_value < _LEVEL), words)


def _dispersion(counts: NDArray[np.int64]) -> float:
    return float(counts.var(ddof=1) / counts.mean()) if len(counts) > 1 and counts.sum() else 1.0
