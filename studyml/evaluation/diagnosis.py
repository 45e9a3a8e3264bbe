"""What is wrong with a training run, in words: the guide's troubleshooting (guide.md) as code.

``diagnose`` looks at the learning curves, at the errors out of fold, and at the rows. A *warning* says that the model
suffers or is likely to; an *information* that something is worth knowing. Limits are those of the guide where it has
one (under 100 rows, 1.5 interquartile ranges), else measured so that healthy trainings stay silent (docs/model.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.evaluation.finding import Finding
from studyml.evaluation.learning_curves import Member, end_of_training, members_of, overfitting, poor_convergence
from studyml.evaluation.remedies import CONVERGENCE, FEW_ROWS, OUTLIERS, UNDERFITTING, Remedy, settings_for
from studyml.evaluation.shift import Shift, compare_parts

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: Fewer rows than this are too few: the guide's number.
FEWEST_ROWS = 100
#: Fewer rows per input than this are reported.
ROWS_PER_INPUT = 5
#: A network whose error out of fold is more than this share of a naive predictor's is no better.
NO_BETTER = 0.99
#: ... and neither is one beyond this share whose training error, too, stays above this share of a constant's.
NOTHING_LEARNED = 0.95
#: One whose error is beyond this multiple of the median's ended where not even a small network would.
ASTRAY = 2.0
#: Standardised inputs have mean 0 and standard deviation 1; beyond these they were not standardised.
LARGEST_MEAN, LARGEST_DEVIATION, SMALLEST_DEVIATION = 1.0, 3.0, 0.1
#: The guide's rule for outliers, in interquartile ranges, and Tukey's for those far out.
OUTLYING, FAR_OUT = 1.5, 3.0
#: Of normal logarithms 0.7 % are outlying and none far out: shares from which a network feels them.
MANY_OUTLYING, MANY_FAR_OUT = 0.04, 0.005
FEWEST_OUTLYING, FEWEST_FAR_OUT = 5, 3
#: Rows of a group from which its median is its own.
SMALLEST_GROUP = 15
#: A shift by less than this share of the older part's hours per estimate, or less sure than this, is not reported.
SMALLEST_SHIFT = 0.1
SUREST_Z = 4.0
#: Names that a sentence lists; the rest is counted.
NAMED = 6


@dataclass(frozen=True)
class Evidence:
    """What a training run left to judge, for its n rows, oldest first; hours are float64 [n].

    ``predicted``: out of fold, by networks that never saw the row's group, NaN where there is none; ``naive``: hours
    of the naive predictors on the same rows; ``estimate``: the topics' hours, NaN where there is none; ``groups``:
    ``paired.groups_of``; ``newest``: the rows of the newest part. ``inputs`` [n, k] is what reached the network,
    ``names`` [k] says what it is. ``constant``: the features that were dropped, with the reason; only those that a
    person can mend. ``squared``: the loss is a mean of squares; ``is_log``: the target is the standardised logarithm
    of the hours. ``hyperparameters``: what was trained with, by the
    names of ``STUDYML_HYPERPARAMETERS``; ``configured``: those of them that it held.
    """

    actual: Floats
    predicted: Floats
    naive: Mapping[str, Floats]
    estimate: Floats
    groups: Integers
    newest: Mask
    inputs: NDArray[np.floating[Any]]
    names: Sequence[str]
    constant: Mapping[str, str] = field(default_factory=dict)
    squared: bool = True
    is_log: bool = False
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    configured: Mapping[str, Any] = field(default_factory=dict)

    def offered(self, remedies: Sequence[Remedy]) -> tuple[str, ...]:
        """Those of the remedies that change something for this training, as settings."""
        return settings_for(remedies, self.hyperparameters, self.configured)


def diagnose(curves: Mapping[str, Any], evidence: Evidence) -> tuple[Finding, ...]:
    """Every fault that the curves (``learning_curves.json``) and the rows show, warnings first; often none."""
    members, constant = members_of(curves, squared=evidence.squared), _constant_error(evidence)
    overfits = overfitting(members, evidence.hyperparameters, evidence.configured)
    converges_badly = poor_convergence(members, constant, evidence.hyperparameters, evidence.configured) or (
        None if overfits else _astray(evidence)
    )
    found = [
        overfits,
        converges_badly,
        None if overfits or converges_badly else _underfitting(evidence, members, constant),
        _too_few_rows(evidence),
        _unscaled_features(evidence),
        _constant_features(evidence),
        _outliers(evidence),
        _target_shift(evidence),
    ]
    return tuple(sorted((each for each in found if each), key=lambda each: each.severity != "warning"))


def _constant_error(evidence: Evidence) -> float:
    """The error of the best constant in the unit of the learning curves: that of the target, its root where squared."""
    target = np.log(evidence.actual) if evidence.is_log else evidence.actual
    spread = float(target.std()) or 1.0
    error = spread if evidence.squared else float(np.abs(target - np.median(target)).mean()) or spread
    return error / spread if evidence.is_log else error


def _errors(evidence: Evidence, name: str) -> tuple[float, float]:
    """MAE of the network out of fold and of a naive predictor, hours, on the rows that have both."""
    judged = np.isfinite(evidence.predicted) & np.isfinite(evidence.naive[name])
    if not judged.any():
        return float("nan"), float("nan")
    actual = evidence.actual[judged]
    ours = np.abs(actual - evidence.predicted[judged]).mean()
    return float(ours), float(np.abs(actual - evidence.naive[name][judged]).mean())


def _astray(evidence: Evidence) -> Finding | None:
    if "median" not in evidence.naive:
        return None
    ours, median = _errors(evidence, "median")
    if not ours > ASTRAY * median:
        return None
    sentence = (
        f"The training ended at an error of {ours:.2f} h out of fold where saying the median every time has"
        f" {median:.2f} h: it did not converge to anything of use."
    )
    return Finding("poor_convergence", "warning", sentence, evidence.offered(CONVERGENCE))


def _underfitting(evidence: Evidence, members: Sequence[Member], constant: float) -> Finding | None:
    pairs = {name: _errors(evidence, name) for name in evidence.naive}
    pairs = {name: pair for name, pair in pairs.items() if np.isfinite(pair).all()}
    if not pairs:
        return None
    best, (ours, theirs) = min(pairs.items(), key=lambda item: item[1][1] / max(item[1][0], 1e-12))
    learned = [end_of_training(each) / constant for each in members]
    left = float(np.median(learned)) if learned else 0.0
    if ours < (NO_BETTER if left < NOTHING_LEARNED else NOTHING_LEARNED) * theirs:
        return None
    sentence = (
        f"Training and validation error stay high: out of fold the network is off by {ours:.2f} h, the {best} by"
        f" {theirs:.2f} h, and on its own rows its error ended at {left:.0%} of a constant's. Either it is too small or"
        " too tightly bound, or these features say nothing about a duration."
    )
    return Finding("underfitting", "warning", sentence, evidence.offered(UNDERFITTING))


def _too_few_rows(evidence: Evidence) -> Finding | None:
    rows, inputs = evidence.inputs.shape
    more = "more labelled sessions"
    each = f"{rows / max(inputs, 1):.1f} for each of {inputs} inputs"
    if rows < FEWEST_ROWS:
        sentence = f"{rows} training rows ({each}) are few: the guide asks for {FEWEST_ROWS}."
        return Finding("too_few_rows", "warning", sentence, (*evidence.offered(FEW_ROWS), more))
    if rows < ROWS_PER_INPUT * inputs:
        sentence = f"{rows} training rows are few for the network's inputs: {each}."
        return Finding("too_few_rows", "information", sentence, (more,))
    return None


def _unscaled_features(evidence: Evidence) -> Finding | None:
    inputs = evidence.inputs.astype(np.float64)
    if not inputs.size:
        return None
    means, deviations = inputs.mean(axis=0), inputs.std(axis=0)
    # A rare level, standardised and clipped, has a small deviation too, but reaches far out: it is no fault. Nor is the
    # zero of a sequence's place that no student has filled yet.
    reach = np.abs(inputs).max(axis=0)
    tiny = (deviations < SMALLEST_DEVIATION) & (reach > 0) & (reach < 1)
    wrong = ~np.isfinite(means + deviations) | (np.abs(means) > LARGEST_MEAN) | (deviations > LARGEST_DEVIATION) | tiny
    if not wrong.any():
        return None
    shown = [
        f"{name} (mean {mean:.3g}, deviation {deviation:.3g})"
        for name, mean, deviation, each in zip(evidence.names, means, deviations, wrong, strict=True)
        if each
    ]
    positive = deviations[deviations > 0]
    spread = float(positive.max() / positive.min()) if len(positive) else 1.0
    sentence = (
        f"{int(wrong.sum())} of {len(means)} inputs reach the network unscaled, the widest {spread:.3g} times as wide"
        f" as the narrowest: {_listed(shown)}."
    )
    remedy = "standardise every input on the training rows (StandardScaler), as the encoder of features.json does"
    return Finding("unscaled_features", "warning", sentence, (remedy,))


def _constant_features(evidence: Evidence) -> Finding | None:
    if not evidence.constant:
        return None
    shown = [f"{name} ({reason})" for name, reason in evidence.constant.items()]
    sentence = f"{len(shown)} features say nothing in the training rows and were dropped: {_listed(shown)}."
    remedies = ("look whether the study app records these columns", "leave them: the network does not see them")
    return Finding("constant_features", "warning", sentence, remedies)


def _listed(shown: Sequence[str]) -> str:
    rest = len(shown) - NAMED
    return ", ".join(shown[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def outlying(values: Floats, ranges: float) -> Mask:
    """Rows [n] more than ``ranges`` interquartile ranges outside the quartiles (the guide's rule with 1.5)."""
    lower, upper = np.quantile(values, [0.25, 0.75])
    reach = ranges * (upper - lower)
    outside: Mask = (values < lower - reach) | (values > upper + reach)
    return outside


def _felt(values: Floats) -> bool:
    """Whether more of the values are outlying, or far out, than chance and a long tail would have."""
    out, far = outlying(values, OUTLYING), outlying(values, FAR_OUT)
    many = out.sum() >= FEWEST_OUTLYING and out.mean() >= MANY_OUTLYING
    return bool(many or (far.sum() >= FEWEST_FAR_OUT and far.mean() >= MANY_FAR_OUT))


def _outliers(evidence: Evidence) -> Finding | None:
    actual = evidence.actual
    if len(actual) < 4:
        return None
    logs, known = np.log(actual), np.isfinite(evidence.estimate) & (evidence.estimate > 0)
    scales = {"the scale of hours": actual, "that of their logarithm": logs}
    # A timer that ran on may be no longer than a long session, but much longer than its estimate.
    beside = _beside_usual(logs[known] - np.log(evidence.estimate[known]), evidence.groups[known])
    if 2 * len(beside) >= len(actual):
        scales["that of hours over estimate beside the student's usual"] = beside
    masks = {name: outlying(values, OUTLYING) for name, values in scales.items()}
    if not any(mask.any() for mask in masks.values()):
        return None
    severe = any(_felt(values) for values in scales.values() if values is not actual)
    counts = ", ".join(f"{int(mask.sum())} ({mask.mean():.1%}) on {name}" for name, mask in masks.items())
    sentence = (
        f"Outliers by the guide's rule (1.5 interquartile ranges) among {len(actual)} durations: {counts}; the longest"
        f" duration is {float(actual.max()):.2f} h."
    )
    if not severe:
        return Finding("outliers", "information", sentence)
    look = "look at these sessions: a timer that ran on is a wrong label, a long session is not"
    # What is removed is what is outlying on the scale of logarithms.
    removed = evidence.offered(OUTLIERS) if masks["that of their logarithm"].any() else ()
    return Finding("outliers", "warning", sentence, (look, *removed))


def _beside_usual(values: Floats, groups: Integers) -> Floats:
    """Values less the median of their group, of the rows in large groups: so one slow student is no outlier."""
    numbers, counts = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    ordered = values[np.lexsort((values, numbers))]
    first = np.cumsum(counts) - counts
    medians = (ordered[first + (counts - 1) // 2] + ordered[first + counts // 2]) / 2
    beside: Floats = (values - medians[numbers])[counts[numbers] >= SMALLEST_GROUP]
    return beside


def _target_shift(evidence: Evidence) -> Finding | None:
    estimated = np.isfinite(evidence.estimate) & (evidence.estimate > 0)
    by_estimate = bool(estimated.mean() >= 0.5) if len(estimated) else False
    rows = estimated if by_estimate else np.ones(len(evidence.actual), bool)
    values = np.log(evidence.actual[rows])
    if by_estimate:
        values = values - np.log(evidence.estimate[rows])
    shift = compare_parts(values, evidence.newest[rows], evidence.groups[rows])
    if shift is None or abs(shift.chance - 0.5) < SMALLEST_SHIFT or abs(shift.z) < SUREST_Z:
        return None
    return Finding("target_shift", "warning", _shift_words(shift, by_estimate), _SHIFT_REMEDIES)


_SHIFT_REMEDIES = (
    "look at the newest sessions: new students or topics, another way of recording, a term's end",
    "a network that follows each student: STUDYML_RECIPE=history",
    "retraining sooner: STUDYML_RETRAIN_MIN_LABELS=25",
    "waiting, if it is to last: a retraining follows as soon as it is sure, with 100 sessions since at the earliest",
    "learning from the sessions since alone, once there are about 200, if more changed than their length:"
    " studyml retrain --force --training-from DATE",
)


def _shift_words(shift: Shift, by_estimate: bool) -> str:
    unit = "times the estimate" if by_estimate else "hours"
    return (
        f"The newest {shift.newer_rows} sessions take {np.exp(shift.newer):.2f} {unit} in the middle, the"
        f" {shift.older_rows} before them {np.exp(shift.older):.2f}: a newer one is the longer in {shift.chance:.0%} of"
        f" pairs (z = {shift.z:.1f})."
    )
