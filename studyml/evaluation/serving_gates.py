"""The gates on what a version will serve: its range, its slices, its intervals, its inputs, its size and its speed."""

from collections.abc import Collection, Mapping, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from studyml.contract import MAXIMUM_HOURS
from studyml.evaluation.gates import GateResult, Holdout
from studyml.evaluation.paired import groups_of
from studyml.evaluation.slices import Dimension
from studyml.evaluation.spread import MINIMUM_GROUPS

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SCHEMA = "schema"
#: So many of the network's own outputs may lie outside of a day: they are limited when they are served.
OUTSIDE_LIMIT = 0.01
#: A slice of at least so many rows may be worse than the champion by so much, beyond chance.
SLICE_ROWS, SLICE_LIMIT = 30, 1.10
#: An interval may cover so much less or more than its nominal share, beyond chance.
COVERAGE_LIMIT = 0.05
#: Chance that a gate on slices or intervals fails where nothing is wrong; slices share it (Bonferroni).
CHANCE = 0.05
#: What scoring reads of a version, bytes: loaded by every scoring task.
SIZE_LIMIT_BYTES = 20_000_000
#: Encoding and predicting 1,000 sessions, seconds: a million of them are then scored in under 20 minutes on one core.
TIME_LIMIT_SECONDS = 1.0
_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, float("inf"))
#: A dimension by the outcome itself: what happened to be long is long for every predictor.
_HINDSIGHT = "actual_length"


def in_range(raw: Floats) -> GateResult:
    """The network's own outputs [n] in hours, before they are limited, lie between no time and a day."""
    outside = int(((raw < 0) | (raw > MAXIMUM_HOURS)).sum())
    share = outside / len(raw) if len(raw) else 0.0
    words = f"{outside} of {len(raw)} outputs of the network lie outside of 0 to {MAXIMUM_HOURS:g} h"
    return GateResult(
        "in_range", share <= OUTSIDE_LIMIT, f"{words} (limit {OUTSIDE_LIMIT:.0%})", share, None, OUTSIDE_LIMIT
    )


def worst_slice(holdout: Holdout, cuts: Sequence[Dimension]) -> GateResult:
    """No slice of at least 30 rows is worse than the champion by more than 10 %, beyond chance.

    Only rows count for which the champion has hours: it did not learn from them.

    Of each slice the mean of |error| less 1.10 times the champion's is held against its standard error between
    students, or student's weeks.
    """
    ours = np.abs(holdout.actual - holdout.predicted["network"])
    theirs = np.abs(holdout.actual - holdout.predicted["champion"])
    groups = groups_of(holdout.student_id, holdout.session_date)
    slices = [
        (f"{cut.title}: {label}", rows)
        for cut in cuts
        if cut.name != _HINDSIGHT
        for code, label in enumerate(cut.levels)
        if (rows := (cut.codes == code) & ~np.isnan(theirs)).sum() >= SLICE_ROWS
        and len(np.unique(groups[rows])) >= MINIMUM_GROUPS
    ]
    if not slices:
        words = f"there is no slice of {SLICE_ROWS} holdout sessions and {MINIMUM_GROUPS} students to judge"
        return GateResult("worst_slice", True, words, limit=SLICE_LIMIT)
    surely = {name: _excess(ours[rows] - SLICE_LIMIT * theirs[rows], groups[rows]) for name, rows in slices}
    name, rows = max(slices, key=lambda each: surely[each[0]])
    good = surely[name] <= NormalDist().inv_cdf(1 - CHANCE / len(slices))
    ratio = float(ours[rows].sum() / theirs[rows].sum()) if theirs[rows].sum() > 0 else float("inf")
    verb = "no slice is" if good else f"the slice {name} is"
    reason = (
        f"{verb} worse than the champion by more than {SLICE_LIMIT - 1:.0%} beyond chance; the worst of {len(slices)},"
        f" {name}, has a MAE ratio of {ratio:.3f} on {int(rows.sum())} holdout sessions"
    )
    return GateResult("worst_slice", bool(good), reason, ratio, limit=SLICE_LIMIT)


def _excess(differences: Floats, groups: Integers) -> float:
    """The mean [n] over its standard error between groups."""
    mean, error = float(differences.mean()), _error(differences, groups)
    return mean / error if error > 0 else float(np.inf if mean > 0 else -np.inf)


def _error(values: Floats, groups: Integers) -> float:
    numbers = np.unique(groups, return_inverse=True)[1].ravel()
    sums = np.bincount(numbers, values - values.mean())
    count = len(sums)
    return float(np.sqrt(np.square(sums).sum() * count / (count - 1)) / len(values)) if count > 1 else float("inf")


def intervals_cover(holdout: Holdout, ends: Mapping[float, tuple[Floats, Floats]]) -> list[GateResult]:
    """Each interval, by its nominal coverage as (lower, upper) [n] in hours, covers within 5 points beyond chance.

    Chance is what the outcomes show between students, and not less than what as many independent outcomes would have
    at the limit: where almost all lie inside, they hardly differ, and would seem to know the share for certain.
    """
    groups = groups_of(holdout.student_id, holdout.session_date)
    z = NormalDist().inv_cdf(1 - CHANCE / 2)
    found = []
    for nominal, (lower, upper) in ends.items():
        inside = ((holdout.actual >= lower) & (holdout.actual <= upper)).astype(np.float64)
        share = float(inside.mean())
        at_limit = nominal + (COVERAGE_LIMIT if share > nominal else -COVERAGE_LIMIT)
        independent = float(np.sqrt(at_limit * (1 - at_limit) / len(inside)))
        chance = z * max(_error(inside, groups), independent)
        good = bool(abs(share - nominal) - chance <= COVERAGE_LIMIT)
        verb = "covers" if good else "does not cover what it says: it covers"
        reason = (
            f"the {nominal:.0%} interval {verb} {share:.1%} of {len(inside)} holdout sessions"
            f" (limit {COVERAGE_LIMIT * 100:.0f} points beyond chance)"
        )
        found.append(GateResult(f"interval_{nominal * 100:.0f}", good, reason, share, limit=COVERAGE_LIMIT))
    return found


def same_schema(wanted: Collection[str], supplied: Collection[str], *, inputs: int, width: int | None) -> GateResult:
    """Scoring supplies every feature that is wanted, and the network takes as many inputs as the encoder makes."""
    lacking = sorted(set(wanted) - set(supplied))
    good = not lacking and width == inputs
    if lacking:
        reason = f"scoring cannot supply {', '.join(lacking)}"
    elif not good:
        reason = f"the network takes {width} inputs, and {inputs} are encoded"
    else:
        reason = (
            f"scoring supplies all {len(set(wanted))} features, and the network takes the {inputs} inputs made of them"
        )
    return GateResult(SCHEMA, good, reason, float(len(lacking)), limit=0.0)


def small_and_fast(size_bytes: int, seconds_per_1000: float) -> list[GateResult]:
    """What scoring loads is small, and it predicts fast: told in steps, since a time is never the same twice."""
    seconds_per_1000 = next(each for each in _SECONDS if seconds_per_1000 <= each)
    size = f"scoring reads {size_bytes / 1e6:.2f} MB (limit {SIZE_LIMIT_BYTES / 1e6:.0f} MB)"
    time = f"1,000 sessions are predicted in at most {seconds_per_1000:g} s (limit {TIME_LIMIT_SECONDS:g} s)"
    return [
        GateResult("size", size_bytes <= SIZE_LIMIT_BYTES, size, float(size_bytes), limit=float(SIZE_LIMIT_BYTES)),
        GateResult("time", seconds_per_1000 <= TIME_LIMIT_SECONDS, time, seconds_per_1000, limit=TIME_LIMIT_SECONDS),
    ]
