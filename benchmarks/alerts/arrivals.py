"""Which sessions get a label on which day.

*Even*: a Poisson number a day, each session drawn from the whole log. *Bursty*: as study logs are. Students work in
bursts, on average 8 sessions (geometric) within 5 days that follow one another in their own log; a week brings few
bursts or many (log-normal); on a third of the days nothing is labelled; and in a quarter of the months long sessions
prevail, as before exams: four of five bursts then start in the longer half of a student's sessions and stay there. The
mean rate is the same.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.alerts.errors import ErrorPool

Integers = NDArray[np.int64]

BURST_SESSIONS, BURST_DAYS = 8, 5
WEEK, MONTH = 7, 28
WEEK_SPREAD = 0.7
EMPTY_DAYS = 1 / 3
LONG_MONTHS, LONG_BURSTS = 0.25, 0.8


@dataclass(frozen=True)
class Labelled:
    """Labelled sessions in the order of time: the day of each, from 0, and its row in the log. [n] each."""

    day: Integers
    row: Integers


Arrivals = Callable[[np.random.Generator, ErrorPool, float, int], Labelled]


def even(random: np.random.Generator, pool: ErrorPool, rate: float, days: int) -> Labelled:
    """``rate`` sessions a day on average, independent of one another."""
    day = np.repeat(np.arange(days), random.poisson(rate, days))
    return Labelled(day, random.integers(0, len(pool.actual), len(day)))


def bursty(random: np.random.Generator, pool: ErrorPool, rate: float, days: int) -> Labelled:
    """``rate`` sessions a day on average, in bursts of one student each."""
    start = _burst_starts(random, rate / BURST_SESSIONS, days)
    size = random.geometric(1 / BURST_SESSIONS, len(start))
    months = (days + BURST_DAYS) // MONTH + 2
    is_long = random.random(months) < LONG_MONTHS
    phase = random.integers(0, MONTH)
    long = is_long[(start + BURST_DAYS + phase) // MONTH] & (random.random(len(start)) < LONG_BURSTS)
    burst = np.repeat(np.arange(len(start)), size)
    row = _burst_rows(random, pool, burst, size, long)
    day = start[burst] + random.integers(0, BURST_DAYS, len(burst))
    order = np.lexsort((random.random(len(day)), day))
    day, row = day[order], row[order]
    inside = (day >= 0) & (day < days)
    return Labelled(_to_open_days(random, day[inside], days), row[inside])


def _burst_starts(random: np.random.Generator, bursts_a_day: float, days: int) -> Integers:
    """First days of bursts, from ``BURST_DAYS`` before day 0 on, so that day 0 is as full as any other."""
    length = days + BURST_DAYS
    week = (np.arange(length) + random.integers(0, WEEK)) // WEEK
    level = random.lognormal(-(WEEK_SPREAD**2) / 2, WEEK_SPREAD, week[-1] + 1)
    return np.repeat(np.arange(length) - BURST_DAYS, random.poisson(bursts_a_day * level[week]))


def _burst_rows(
    random: np.random.Generator, pool: ErrorPool, burst: Integers, size: Integers, long: NDArray[np.bool_]
) -> Integers:
    """Rows of each burst, consecutive in its student's log; ``long`` ones in the log of the longer sessions."""
    # A student is drawn by the sessions in the log, as the rows of an even arrival are.
    student = random.choice(len(pool.first), len(size), p=pool.count / pool.count.sum())
    within = np.arange(len(burst)) - np.repeat(np.cumsum(size) - size, size)
    offset = (random.random(len(size)) * pool.count[student]).astype(np.int64)
    place = (offset[burst] + within) % pool.count[student][burst]
    row = pool.first[student][burst] + place
    return np.where(long[burst], pool.longer[row], row)


def _to_open_days(random: np.random.Generator, day: Integers, days: int) -> Integers:
    """What falls on a day without labels moves to the next day that has some."""
    is_open = random.random(days) >= EMPTY_DAYS
    is_open[-1] = True
    following = np.flatnonzero(is_open)
    return following[np.searchsorted(following, day)]


ARRIVALS: dict[str, Arrivals] = {"even": even, "bursty": bursty}
