"""What learning curves say: whether a network overfits, and whether its training converged.

A loss is judged by its root where it is a mean of squares, so that every limit below is a ratio of errors, whatever
the loss and the unit of the target. Several members are judged one by one; what at least half of them show counts,
so that one fold's luck does not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.evaluation.finding import Finding
from studyml.evaluation.remedies import CONVERGENCE, OVERFITTING, UNFINISHED, Remedy, settings_for

Floats = NDArray[np.float64]

#: Epochs that are averaged where one alone would be noise.
SMOOTHED = 3
#: Overfitting: validation error over training error at the end, and the rise of the validation error since its best.
#: Healthy trainings stay below one of them, overfitting ones are beyond both or far beyond the first (docs/model.md).
MEMORISED, ROSE = 2.0, 1.03
FAR_MEMORISED = 3.0
#: ... while the training error falls at least this much after that epoch.
FELL = 0.95
#: Poor convergence: an error that ends above this share of its first value did not decrease; where it is no more than
#: a constant's, that is underfitting.
UNDECREASED = 0.98
#: ... that turns back and forth by this share between epochs in validation, and comes back in training to so many times
#: its lowest (in one of ten epochs of the second half), oscillates ...
OSCILLATING, ABOVE_LOWEST = 0.035, 1.5
#: ... that is ever so many times a constant's, and ends no lower than this share of it, was thrown off ...
THROWN, RECOVERED = 3.0, 0.9
#: ... and one that falls by this share over the last tenth of the epochs was still falling.
FALLING, LAST_SHARE = 0.02, 0.1

#: The member that trains on everything: what it is judged on it may have seen.
_EVERYTHING = "all folds"


@dataclass(frozen=True)
class Member:
    """The errors of one network by epoch [epochs], in the unit of its target; NaN where training broke."""

    training: Floats
    validation: Floats

    @property
    def is_finite(self) -> bool:
        """Whether every epoch has numbers."""
        return bool(np.isfinite(self.training).all() and np.isfinite(self.validation).all())

    @property
    def best(self) -> int:
        """The epoch, from 0, with the lowest validation error."""
        return int(np.argmin(self.validation))


def members_of(curves: Mapping[str, Any], *, squared: bool) -> list[Member]:
    """The members in ``learning_curves.json``; ``squared``: its losses are means of squares."""

    def errors(values: Sequence[float | None]) -> Floats:
        losses = np.array([np.nan if value is None else value for value in values], np.float64)
        with np.errstate(invalid="ignore"):
            return np.sqrt(losses) if squared else losses

    return [
        Member(errors(each["loss"]), errors(each["val_loss"]))
        for each in curves["members"]
        if len(each["loss"]) and len(each["loss"]) == len(each["val_loss"]) and each.get("member") != _EVERYTHING
    ]


def overfitting(
    members: Sequence[Member], current: Mapping[str, Any], configured: Mapping[str, Any] = MappingProxyType({})
) -> Finding | None:
    """Training error falls while validation error rises, and the gap is beyond chance.

    ``current``: the hyperparameters that were trained with, so that no remedy leads the wrong way; ``configured``:
    those that were set, which a remedy keeps.
    """
    shown = [each for each in members if each.is_finite and _overfits(each)]
    if not shown or 2 * len(shown) < len(members):
        return None
    best = _middle([each.best + 1 for each in shown])
    training = _middle([_end(each.training) / _around(each.training, each.best) - 1 for each in shown])
    validation = _middle([_end(each.validation) / each.validation[each.best] - 1 for each in shown])
    rose = f"rose by {validation:.1%}" if validation >= 0.01 else f"did not ({validation:+.1%})"
    gap = _middle([_end(each.validation) / max(_end(each.training), 1e-12) for each in shown])
    return Finding(
        "overfitting",
        "warning",
        f"After epoch {best:.0f} the training error fell by {-training:.0%} more while the validation error {rose},"
        f" in {len(shown)} of {len(members)} networks: at the end it was {gap:.1f} times the training"
        " error, and the network learned its rows by heart.",
        settings_for(OVERFITTING, current, configured),
    )


def _overfits(member: Member) -> bool:
    count, best = len(member.training), member.best
    if count < 2 * SMOOTHED or best >= count - SMOOTHED:
        return False
    gap = _end(member.validation) / max(_end(member.training), 1e-12)
    rise = _end(member.validation) - member.validation[best]
    beyond_noise = rise > max((ROSE - 1) * member.validation[best], _noise(member.validation))
    fell = _end(member.training) <= FELL * _around(member.training, best)
    return fell and (gap >= FAR_MEMORISED or (gap >= MEMORISED and beyond_noise))


def poor_convergence(
    members: Sequence[Member],
    constant: float,
    current: Mapping[str, Any],
    configured: Mapping[str, Any] = MappingProxyType({}),
) -> Finding | None:
    """A training that broke, was thrown off, did not decrease, oscillates, or was stopped while it still improved.

    ``constant``: the error of the best constant in the unit of the curves; the others: as for ``overfitting``.
    """
    broken = [each for each in members if not each.is_finite]
    if broken:
        epochs = [int(np.argmin(np.isfinite(each.training + each.validation))) + 1 for each in broken]
        end = f"the loss was no longer a number at epoch {_middle(epochs):.0f}"
        return _convergence(broken, members, end, CONVERGENCE, current, configured)
    for shows, words, remedies in _FAULTS:
        shown = [each for each in members if shows(each, constant)]
        if shown and 2 * len(shown) >= len(members):
            return _convergence(shown, members, words(shown, constant), remedies, current, configured)
    return None


def _convergence(
    shown: Sequence[Member],
    members: Sequence[Member],
    words: str,
    remedies: Sequence[Remedy],
    current: Mapping[str, Any],
    configured: Mapping[str, Any],
) -> Finding:
    sentence = f"In {len(shown)} of {len(members)} networks {words}: the training did not converge."
    return Finding("poor_convergence", "warning", sentence, settings_for(remedies, current, configured))


def _is_thrown_off(member: Member, constant: float) -> bool:
    return bool(member.training.max() > THROWN * constant and _end(member.training) >= RECOVERED * constant)


def _thrown_words(shown: Sequence[Member], constant: float) -> str:
    highest = _middle([float(each.training.max()) / constant for each in shown])
    end = _middle([_end(each.training) / constant for each in shown])
    return f"the error went up to {highest:.3g} times that of a constant, and ended at {end:.2f} times it"


def _is_flat(member: Member, constant: float) -> bool:
    end = _end(member.training)
    return len(member.training) >= 2 and end >= UNDECREASED * member.training[0] and end > constant / RECOVERED


def _flat_words(shown: Sequence[Member], _: float) -> str:
    left = _middle([_end(each.training) / each.training[0] for each in shown])
    return f"the training error did not decrease (it ended at {left:.0%} of what it was after the first epoch)"


def _oscillates(member: Member, _: float) -> bool:
    if len(member.training) < 4 * SMOOTHED:
        return False
    return _swing(member.validation) >= OSCILLATING and _comeback(member.training) >= ABOVE_LOWEST


def _oscillating_words(shown: Sequence[Member], _: float) -> str:
    swing = _middle([_swing(each.validation) for each in shown])
    above = _middle([_comeback(each.training) for each in shown])
    return (
        f"the error oscillates (by {swing:.0%} from epoch to epoch in validation; in training it comes back to"
        f" {above:.1f} times its lowest)"
    )


def _comeback(errors: Floats) -> float:
    late = errors[len(errors) // 2 :]
    return float(np.quantile(late, 0.9) / max(float(errors.min()), 1e-12))


def _still_falls(member: Member, _: float) -> bool:
    count = len(member.validation)
    return count >= 2 and member.best >= count - max(1, round(count * LAST_SHARE / 2)) and _late_fall(member) >= FALLING


def _falling_words(shown: Sequence[Member], _: float) -> str:
    fall = _middle([_late_fall(each) for each in shown])
    epochs = _middle([len(each.validation) for each in shown])
    return f"the validation error was still falling when the epochs ended (by {fall:.0%} up to epoch {epochs:.0f})"


def _late_fall(member: Member) -> float:
    """Share by which the validation error fell over the last tenth of the epochs, at least two of them apart."""
    count = len(member.validation)
    back = min(max(SMOOTHED, round(count * LAST_SHARE)), count - 1)
    before = member.validation[max(0, count - back - SMOOTHED) : count - back]
    return float(1 - member.validation[-1] / np.mean(before))


def _swing(errors: Floats) -> float:
    """By how much of its level an error turns back and forth between epochs: a steady fall turns nowhere."""
    late = errors[len(errors) // 2 :]
    return float(np.median(np.abs(np.diff(late, n=2))) / 2 / max(float(np.median(late)), 1e-12))


def _noise(errors: Floats) -> float:
    """Standard deviation of one epoch's error around its trend, from the steps between epochs (robust)."""
    steps = np.abs(np.diff(errors[len(errors) // 2 :]))
    return float(1.4826 * np.median(steps) / np.sqrt(2)) if len(steps) else 0.0


def end_of_training(member: Member) -> float:
    """The training error at the end, in the unit of the curves."""
    return _end(member.training)


def _end(errors: Floats) -> float:
    return float(np.mean(errors[-SMOOTHED:]))


def _around(errors: Floats, epoch: int) -> float:
    return float(np.mean(errors[max(0, epoch - 1) : epoch + 2]))


def _middle(values: Sequence[float]) -> float:
    return float(np.median(values))


#: How each fault shows in a member, its words, and its remedies; both functions take the error of a constant too.
_FAULTS: tuple[tuple[Callable[[Member, float], bool], Callable[[Sequence[Member], float], str], Sequence[Remedy]], ...]
_FAULTS = (
    (_is_thrown_off, _thrown_words, CONVERGENCE),
    (_is_flat, _flat_words, CONVERGENCE),
    (_oscillates, _oscillating_words, CONVERGENCE),
    (_still_falls, _falling_words, UNFINISHED),
)
