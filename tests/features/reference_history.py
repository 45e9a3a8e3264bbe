"""Histories by their definition, one row at a time: slow, and simple enough to be believed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studyml.features.history import HISTORY_FEATURES, SEQUENCE_FEATURES, SEQUENCE_LENGTH


@dataclass(frozen=True)
class Seen:
    """A label as observed, in order of arrival; hours None where it was removed."""

    session: int
    student: int
    topic: int
    subject: int
    night: int
    hours: float | None
    estimate: float = math.nan
    focus: float = math.nan
    difficulty: float = math.nan

    @property
    def ratio(self) -> float:
        """log(actual / estimate)."""
        estimate = 1.0 if math.isnan(self.estimate) else self.estimate
        return math.nan if self.hours is None else math.log(self.hours / estimate)

    @property
    def design(self) -> list[float]:
        """1, then each input's logarithm and whether it is missing."""
        row = [1.0]
        for value in (self.estimate, self.focus / 60, self.difficulty / 5):
            row += [0.0, 1.0] if math.isnan(value) else [math.log(value), 0.0]
        return row


def standing(seen: Sequence[Seen]) -> list[Seen]:
    """The newest revision of each session, in the order of their first observations; removed ones too."""
    newest: dict[int, Seen] = {}
    for each in seen:
        newest[each.session] = each
    return list(newest.values())


def expected(seen: Sequence[Seen], each: Seen) -> float:
    """What a ridge regression on the outcomes standing before the night of a session's first observation expected."""
    night = next(other.night for other in seen if other.session == each.session)
    known = [other for other in standing([other for other in seen if other.night < night]) if other.hours is not None]
    design = np.array([other.design for other in known]).reshape(-1, 7)
    ratios = np.array([other.ratio for other in known])
    weights = np.linalg.solve(3 * np.eye(7) + design.T @ design, design.T @ ratios)
    return float(np.array(each.design) @ weights)


def history(seen: Sequence[Seen], student: int, topic: int, subject: int, before: int) -> dict[str, float]:
    """All features of a row whose nights are those before a moment."""
    past = [each for each in seen if each.night < before]
    now = standing(past)
    keys = {
        "student": lambda each: each.student == student,
        "student_subject": lambda each: each.student == student and each.subject == subject,
        "student_topic": lambda each: each.student == student and each.topic == topic,
        "topic": lambda each: each.topic == topic,
    }
    found: dict[str, float] = {}
    for kind, belongs in keys.items():
        mine = [each for each in now if belongs(each)]
        kept = [(age, each) for age, each in enumerate(reversed(mine)) if each.hours is not None]
        weights = [0.5 ** (age / 10) for age, _ in kept]
        values = {
            "ratio": [each.ratio for _, each in kept],
            "residual": [each.ratio - expected(past, each) for _, each in kept],
        }
        found[f"{kind}_history_count"] = math.log1p(len(kept))
        for name, numbers in values.items():
            found[f"{kind}_history_{name}"] = sum(numbers) / (len(numbers) + 3)
            weighed = sum(w * number for w, number in zip(weights, numbers, strict=True))
            found[f"{kind}_recent_{name}"] = weighed / sum(weights) if weights else 0.0
    observed = [each for each in reversed(past) if each.student == student and each.hours is not None]
    for step in range(SEQUENCE_LENGTH):
        each = observed[step] if step < len(observed) else None
        found[f"previous_{step + 1}_ratio"] = math.nan if each is None else each.ratio
        found[f"previous_{step + 1}_residual"] = math.nan if each is None else each.ratio - expected(past, each)
    return {name: found[name] for name in (*HISTORY_FEATURES, *SEQUENCE_FEATURES)}
