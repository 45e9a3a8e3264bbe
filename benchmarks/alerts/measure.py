"""Many simulated years of one log, one arrival pattern and one rate: how often it rings, and how soon.

A year is 30 days to fill the windows and 365 nights after them. *Healthy*: the errors are those of the log throughout.
*Changed*: from day 90 on they are larger (errors.changed). Each year has a version of its own: its expected error is
that of sessions drawn anew, which arrive by the same pattern: 480 as in a log of the guide's, or as many as its 90 days
bring where that is more. The guide's baseline is exact, the MAE of the whole log. Where a year has many sessions fewer
are simulated, and fewer still for river's detectors, which cost a loop over the sessions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.alerts.arrivals import ARRIVALS
from benchmarks.alerts.detectors import GUIDES_RULE, OURS, PEERS, Stream, guides_rule, ours, peer
from benchmarks.alerts.errors import ERRORS_GROW, SESSIONS_GROW, ErrorPool, changed
from studyml.monitoring.degradation import ExpectedError, expected_error

Integers = NDArray[np.int64]
Nights = NDArray[np.bool_]

RATES = (0.5, 2.0, 5.0, 20.0, 100.0)
CHANGES = (0.1, 0.2, 0.3, 0.5)
KINDS = (ERRORS_GROW, SESSIONS_GROW)
WARM_UP, YEAR, CHANGE_DAY = 30, 365, 90
DAYS = WARM_UP + YEAR
EXPECTED_ROWS, EXPECTED_DAYS, EXPECTED_RATE = 480, 90, 8.0
_DAY_MICROSECONDS = 24 * 3600 * 1_000_000
#: At most so many sessions are simulated for a case, and so many are shown to a peer.
_SESSIONS, _PEER_SESSIONS = 8_000_000, 200_000

Rings = Callable[[Stream], Nights]


@dataclass(frozen=True)
class Case:
    """One cell of the plan."""

    pool: str
    arrivals: str
    rate: float


@dataclass
class Found:
    """What one rule did in the years of a case; days from the change to the first alarm, infinite where none came."""

    years: int = 0
    alarms: int = 0
    years_with_alarm: int = 0
    delays: dict[tuple[str, float], list[float]] = field(default_factory=dict)

    @property
    def alarms_a_year(self) -> float:
        """False alarms."""
        return self.alarms / self.years

    def median_delay(self, kind: str, by: float) -> float:
        """Days; NaN where every year rang already before the change."""
        days = self.delays.get((kind, by), [])
        return float(np.quantile(days, 0.5, method="lower")) if days else float("nan")

    def to_json(self) -> dict[str, Any]:
        """Without the single years."""
        delays = {f"{kind} +{by:.0%}": self.median_delay(kind, by) for kind, by in self.delays}
        plain = {name: value if np.isfinite(value) else None for name, value in delays.items()}
        return {name: value for name, value in asdict(self).items() if name != "delays"} | {"median_delays": plain}


def measure(pool: ErrorPool, case: Case, *, years: int, seed: int, peers: Sequence[str] = PEERS) -> dict[str, Found]:
    """What each rule did in up to ``years`` years of ``case``; the same arguments give the same figures."""
    random = np.random.default_rng([seed, list(ARRIVALS).index(case.arrivals), round(case.rate * 10), len(pool.actual)])
    actual = {(kind, by): changed(pool, kind, by) for kind in KINDS for by in CHANGES}
    found = {name: Found() for name in (GUIDES_RULE, OURS, *peers)}
    for year in range(min(years, _years(case, _SESSIONS))):
        expected = _expected(random, pool, case)
        arrived = ARRIVALS[case.arrivals](random, pool, case.rate, DAYS)
        before, predicted = pool.actual[arrived.row], pool.predicted[arrived.row]
        healthy = Stream(arrived.day, before, predicted, DAYS)
        streams = {
            key: replace(healthy, actual=np.where(arrived.day < CHANGE_DAY, before, after[arrived.row]))
            for key, after in actual.items()
        }
        for name, rings in _rules(pool, expected, peers if year < _years(case, _PEER_SESSIONS) else ()).items():
            _count(found[name], rings, healthy, streams, pool.mae)
    return found


def _rules(pool: ErrorPool, expected: ExpectedError, peers: Sequence[str]) -> dict[str, Rings]:
    """What could ring in a year, by name."""
    return {
        GUIDES_RULE: lambda stream: guides_rule(stream, pool.mae)[0],
        OURS: lambda stream: ours(stream, expected),
        **{name: partial(peer, name) for name in peers},
    }


def _years(case: Case, sessions: int) -> int:
    return max(1, round(sessions / DAYS / case.rate))


def _expected(random: np.random.Generator, pool: ErrorPool, case: Case) -> ExpectedError:
    """The expected error of a version that was trained before the year."""
    rows = max(EXPECTED_ROWS, round(EXPECTED_DAYS * case.rate))
    rate = max(EXPECTED_RATE, case.rate)
    row: Integers = np.empty(0, np.int64)
    while len(row) < rows:
        arrived = ARRIVALS[case.arrivals](random, pool, rate, round(2 * rows / rate))
        row, day = arrived.row[:rows], arrived.day[:rows]
    expected = expected_error(pool.actual[row], pool.predicted[row], pool.student[row], day * _DAY_MICROSECONDS)
    if expected is None:
        raise ValueError(f"the errors of {pool.name} cannot be compared with anything")
    return expected


def _count(
    found: Found, rings: Rings, healthy: Stream, changed_streams: Mapping[tuple[str, float], Stream], baseline: float
) -> None:
    """Add a year."""
    alarms = incidents(rings(healthy), guides_rule(healthy, baseline)[1])
    found.years += 1
    found.alarms += alarms
    found.years_with_alarm += alarms > 0
    for key, stream in changed_streams.items():
        nights = rings(stream)
        if nights[CHANGE_DAY - 1]:
            continue  # an incident is open already: this year says nothing about a delay
        after = np.flatnonzero(nights[CHANGE_DAY:])
        found.delays.setdefault(key, []).append(float(after[0] + 1) if len(after) else np.inf)


def incidents(rings: Nights, is_healthy: Nights) -> int:
    """Incidents of the year after the warm-up: alarms with a night between them that is healthy by the guide's rule.

    >>> nights = np.zeros(DAYS, bool)
    >>> nights[[40, 41, 50, 60]] = True
    >>> healthy = np.zeros(DAYS, bool)
    >>> healthy[55] = True
    >>> incidents(nights, healthy)
    2
    """
    nights = WARM_UP + np.flatnonzero(rings[WARM_UP:])
    healthy_before = np.cumsum(is_healthy & ~rings)[nights]
    return len(np.unique(healthy_before))
