"""Champion or challenger? A few planned looks at their errors on the same sessions, by the statistics of the gates.

Looking every night and stopping at the first good one would promote many a worse version by chance. So the trial is
looked at when the paired outcomes reach the minimum, twice and four times as many, and nothing is decided in between.
How often each mistake is made is measured (``make bench-gates``, docs/decisions).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from studyml.evaluation.gates import BOUND_LIMIT
from studyml.evaluation.paired import Comparison, compare, groups_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: A look is due at these multiples of the minimum number of paired outcomes.
LOOKS = (1, 2, 4)
#: Before the last look only a challenger that is better beyond chance is promoted: a worse one has three tries at luck.
EARLY_LIMIT = 1.0
PROMOTE, RETIRE, CONTINUE = "promoted", "retired", "continued"


@dataclass(frozen=True)
class Pairs:
    """Sessions [n] that both versions predicted in the same night: hours, student and date (microseconds)."""

    student_id: Integers
    session_date: Integers
    actual: Floats
    champion: Floats
    challenger: Floats


@dataclass(frozen=True)
class Finding:
    """What a night says of a trial: the decision with its reason, the looks taken, and the figures (hours, ratios)."""

    decision: str
    reason: str
    look: int
    outcomes: int
    students: int
    challenger_mae: float | None = None
    champion_mae: float | None = None
    ratio: float | None = None
    lower_bound: float | None = None
    upper_bound: float | None = None


def looks_due(outcomes: int, minimum: int) -> int:
    """How many of the planned looks so many paired outcomes reach.

    >>> [looks_due(n, 100) for n in (99, 100, 399, 400)]
    [0, 1, 2, 3]
    """
    return sum(outcomes >= minimum * times for times in LOOKS)


def judge_trial(pairs: Pairs, *, minimum: int, looks_taken: int, time_is_over: bool, seed: int) -> Finding:
    """Promote, retire or continue.

    At a look the challenger is promoted if its ratio is at most 1 with a bound below ``BOUND_LIMIT``, as at the gates,
    and retired if it is worse beyond chance (the lower bound is above 1), or if the look is the last, or time is over.
    """
    outcomes = len(pairs.actual)
    if outcomes == 0:
        figures, comparison, lower = Finding(CONTINUE, "", looks_taken, 0, 0), None, None
    else:
        figures, comparison, lower = _measured(pairs, looks_taken, seed)
    due = looks_due(outcomes, minimum)
    last = due == len(LOOKS) or time_is_over
    if comparison is None or outcomes < minimum or (due <= looks_taken and not time_is_over):
        return _between_looks(figures, minimum, looks_taken, time_is_over)
    words = f"MAE ratio {comparison.ratio:.3f}, 90 % bounds {lower:.3f} to {comparison.upper_bound:.3f}"
    over = f"on {outcomes} sessions: {words}"
    if comparison.ratio <= 1 and comparison.upper_bound < (BOUND_LIMIT if last else EARLY_LIMIT):
        return _decided(figures, PROMOTE, f"the challenger is not worse than the champion {over}", due)
    if lower is not None and lower > 1:
        return _decided(figures, RETIRE, f"the challenger is worse than the champion {over}", due)
    if last:
        why = "the time of the trial is over" if time_is_over else "this was the last look"
        return _decided(figures, RETIRE, f"nothing speaks for the challenger, and {why} ({over})", due)
    following = minimum * LOOKS[due]
    return _decided(figures, CONTINUE, f"undecided {over}; the next look is at {following} sessions", due)


def _measured(pairs: Pairs, looks_taken: int, seed: int) -> tuple[Finding, Comparison, float]:
    ours, theirs = np.abs(pairs.actual - pairs.challenger), np.abs(pairs.actual - pairs.champion)
    groups = groups_of(pairs.student_id, pairs.session_date)
    comparison = compare(ours, theirs, groups, seed=seed)
    # The upper bound of the turned ratio is the lower one of this: the same students are drawn.
    turned = compare(theirs, ours, groups, seed=seed).upper_bound
    lower = 1 / turned if turned > 0 else float("inf")
    found = Finding(
        CONTINUE,
        "",
        looks_taken,
        comparison.rows,
        len(np.unique(pairs.student_id)),
        float(ours.mean()),
        float(theirs.mean()),
        _finite(comparison.ratio),
        _finite(lower),
        _finite(comparison.upper_bound),
    )
    return found, comparison, lower


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _between_looks(figures: Finding, minimum: int, looks_taken: int, time_is_over: bool) -> Finding:
    if time_is_over:
        reason = f"the time of the trial is over with {figures.outcomes} paired outcomes of the {minimum} it needs"
        return _decided(figures, RETIRE, reason, looks_taken)
    following = minimum * LOOKS[min(looks_taken, len(LOOKS) - 1)]
    reason = f"{figures.outcomes} paired outcomes; the next look is at {following}"
    return _decided(figures, CONTINUE, reason, looks_taken)


def _decided(figures: Finding, decision: str, reason: str, look: int) -> Finding:
    return replace(figures, decision=decision, reason=reason, look=look)
