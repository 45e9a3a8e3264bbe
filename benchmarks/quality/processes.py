"""Data processes whose best possible prediction is known.

Each takes the rows of a simulated log (students, topics and sessions as the guide's project draws them) and draws
what the sessions took. The best point prediction for the absolute error is the conditional median, given everything
that decides a duration but chance. What that includes differs, and is said where a table is printed (``oracle``).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studyml.frame import Frame

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Complete rows of a simulated log; ``day`` [rows] counts from the first day of the training period."""

    frame: Frame
    day: Floats

    def number(self, name: str) -> Floats:
        """A numeric feature [rows]."""
        return self.frame[name].astype(np.float64)

    def effect(self, random: np.random.Generator, spread: float, *names: str) -> Floats:
        """A normal effect [rows] of a category's levels, or of each combination of several categories."""
        cell = np.zeros(len(self.frame), np.int64)
        cells = 1
        for name in names:
            levels = len(self.frame.vocabularies[name])
            cell, cells = cell * levels + self.frame[name].astype(np.int64), cells * levels
        effects = random.normal(0, spread, cells)
        return effects[cell]

    def identity(self, random: np.random.Generator, spread: float, *names: str) -> Floats:
        """A normal effect [rows] of whose or what the session is: ``student_id``, ``topic_id`` or both."""
        keys = np.column_stack([self.frame[name].astype(np.int64) for name in names])
        _, position = np.unique(keys, axis=0, return_inverse=True)
        position = position.ravel()
        return random.normal(0, spread, position.max() + 1)[position]


@dataclass(frozen=True)
class Durations:
    """Hours [rows] that sessions took, and their conditional medians."""

    actual: Floats
    best: Floats


@dataclass(frozen=True)
class Process:
    """A way in which durations come about; ``gaps`` is the share of every feature that is NULL."""

    durations: Callable[[np.random.Generator, Rows], Durations]
    words: str
    oracle: str
    sessions_per_student: int = 20
    gaps: float = 0.0


def _guide_factors(random: np.random.Generator, rows: int) -> Floats:
    return random.uniform(0.7, 1.3, rows) * random.uniform(0.8, 1.4, rows)


def guide_median_factor() -> float:
    """The median of U(0.7, 1.3) x U(0.8, 1.4), solved to 1e-12: P(A B <= m) = mean over A of P(B <= m / A)."""
    share = (np.arange(200_000) + 0.5) / 200_000  # midpoints: the error of the mean is below 1e-10
    first = 0.7 + 0.6 * share
    low, high = 0.5, 1.8
    while high - low > 1e-12:
        middle = (low + high) / 2
        below = np.clip((middle / first - 0.8) / 0.6, 0, 1).mean()
        low, high = (middle, high) if below < 0.5 else (low, middle)
    return (low + high) / 2


def guide_expected(rows: Rows) -> Floats:
    """Hours [rows] of the guide's process without chance: base x focus/60 x (1 + 0.1 (difficulty - 5))."""
    return (
        rows.number("estimated_base_time")
        * rows.number("avg_focus_duration")
        / 60
        * (1 + 0.1 * (rows.number("difficulty_level") - 5))
    )


def guide(random: np.random.Generator, rows: Rows) -> Durations:
    """The guide's own process (``studyml/simulation.py``)."""
    expected = guide_expected(rows)
    return Durations(expected * _guide_factors(random, len(expected)), expected * guide_median_factor())


def additive(random: np.random.Generator, rows: Rows) -> Durations:
    """Effects in hours that add up, with normal noise of half an hour."""
    best = (
        0.5 * rows.number("estimated_base_time")
        + 0.02 * (rows.number("avg_focus_duration") - 75)
        + 0.15 * (rows.number("difficulty_level") - 6)
        + 0.12 * (rows.number("distraction_level") - rows.number("energy_level"))
        + rows.effect(random, 0.3, "study_method")
        + 1.5
    )
    return Durations(best + random.normal(0, 0.5, len(best)), best)


def interactions(random: np.random.Generator, rows: Rows) -> Durations:
    """Steps and products: what one feature does depends on another."""
    energy, distraction = rows.number("energy_level"), rows.number("distraction_level")
    difficulty, age = rows.number("difficulty_level"), rows.number("age")
    logs = (
        0.5 * np.log(rows.number("estimated_base_time"))
        + 0.5 * ((energy <= 2) & (difficulty >= 7))
        - 0.4 * ((age >= 26) & (rows.number("prerequisites_count") >= 3))
        + 0.08 * (distraction - 3) * (difficulty - 6) / 2
        + 0.3 * (rows.number("avg_focus_duration") < 60) * (distraction >= 4)
        + rows.effect(random, 0.2, "time_of_day", "environment")
    )
    return _lognormal(random, logs, 0.25)


def heavy_tails(random: np.random.Generator, rows: Rows) -> Durations:
    """The guide's expectation times exp(0.3 t) with 3 degrees of freedom, and one session in 50 absurdly long."""
    expected = guide_expected(rows) * np.exp(0.3 * random.standard_t(3, len(rows.frame)))
    absurd = random.random(len(expected)) < 0.02
    actual = np.where(absurd, random.uniform(12, 24, len(expected)), expected)
    # With a share a of absurd ones above it, the median is the 0.5 / (1 - a) quantile of the others; t(3)'s density
    # at 0 is 0.3676.
    shift = (0.5 / 0.98 - 0.5) / 0.3676
    return Durations(actual, guide_expected(rows) * np.exp(0.3 * shift))


def returning_students(random: np.random.Generator, rows: Rows) -> Durations:
    """Students differ in pace, and in pace by subject and by topic; no feature tells."""
    subject = rows.frame["subject"].astype(np.int64)
    with_subject = Rows(rows.frame.with_columns(subject_number=subject), rows.day)
    logs = (
        np.log(rows.number("estimated_base_time") / 3)
        + rows.identity(random, 0.35, "student_id")
        + with_subject.identity(random, 0.2, "student_id", "subject_number")
        + rows.identity(random, 0.1, "student_id", "topic_id")
        + rows.identity(random, 0.2, "topic_id")
    )
    return _lognormal(random, logs, 0.3)


def categories(random: np.random.Generator, rows: Rows) -> Durations:
    """Nominal effects, among them one of study method and content type together."""
    logs = (
        0.5 * np.log(rows.number("estimated_base_time"))
        + rows.effect(random, 0.3, "study_method", "content_type")
        + rows.effect(random, 0.25, "subject")
        + rows.effect(random, 0.2, "environment")
        + rows.effect(random, 0.2, "learning_style")
    )
    return _lognormal(random, logs, 0.25)


def drifting(random: np.random.Generator, rows: Rows) -> Durations:
    """Everyone's pace changes: 35 % slower every 90 days, and a wave of 45 days."""
    wave = 0.15 * np.sin(2 * np.pi * (rows.day / 45 + random.random()))
    logs = np.log(guide_expected(rows)) - 0.4 + 0.3 * rows.day / 90 + wave
    return _lognormal(random, logs, 0.25)


def _lognormal(random: np.random.Generator, logs: Floats, spread: float) -> Durations:
    return Durations(np.exp(logs + random.normal(0, spread, len(logs))), np.exp(logs))


KNOWS_FEATURES = "knows the formula and every feature"
PROCESSES = {
    "guide": Process(guide, "the guide's own process", KNOWS_FEATURES),
    "additive": Process(additive, "effects that add up, normal noise", KNOWS_FEATURES),
    "interactions": Process(interactions, "steps and products of features", KNOWS_FEATURES),
    "heavy_tails": Process(heavy_tails, "the guide's, with Student's t noise and absurd sessions", KNOWS_FEATURES),
    "returning_students": Process(
        returning_students,
        "students who differ in pace and return, 40 sessions each",
        "knows each student's pace, which no feature tells: nobody reaches 1",
        sessions_per_student=40,
    ),
    "categories": Process(categories, "nominal categories that matter, two of them together", KNOWS_FEATURES),
    "drifting": Process(drifting, "everyone's pace changes over time", "knows the pace of the day: nobody reaches 1"),
    "missing": Process(
        guide,
        "the guide's, with 30 % of every feature NULL",
        "knows what is missing: nobody reaches 1",
        gaps=0.3,
    ),
}
