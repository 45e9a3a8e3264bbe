"""Which features moved since a version was trained, by how much, and whether it may be chance. No labels are needed.

Drift explains and ranks causes: it never says by itself that a model is wrong.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.frame import Frame
from studyml.monitoring.drift_words import sentence
from studyml.monitoring.profile import (
    COLUMNS,
    PREDICTED,
    CategoryProfile,
    NumberProfile,
    Profile,
    Reference,
    profile_features,
    profile_numbers,
    students,
    units,
)
from studyml.monitoring.two_samples import (
    chi_square,
    decile_counts,
    holm,
    jensen_shannon,
    kolmogorov_smirnov,
    kolmogorov_smirnov_p,
    population_stability,
    two_proportions,
    wasserstein,
)

Floats = NDArray[np.float64]

#: Fewer rows (students, topics or sessions) than this are not judged.
FEWEST_ROWS = 20
#: A test counts when its p-value, adjusted for all tests of the night, is below this.
LEVEL = 0.01
#: And what it found must be large: the population stability index, or the rise of a share.
LARGE_INDEX, LARGE_RISE = 0.1, 0.05


@dataclass(frozen=True)
class FeatureDrift:
    """One feature then and now. ``rows`` are distinct students or topics where the feature is theirs.

    ``statistic``: Kolmogorov-Smirnov of numbers, chi-square of categories; ``wasserstein`` in standard deviations of
    then; ``psi`` counts missing values as a part; shares 0 to 1. P-values are adjusted for all tests of the night
    (Holm); None where there was nothing to test. ``unseen``: share of rows by level that training did not hold.
    """

    feature: str
    kind: str
    rows: int
    reference_rows: int
    judged: bool
    moved: bool = False
    psi: float = 0.0
    statistic: float | None = None
    p_value: float | None = None
    wasserstein: float | None = None
    jensen_shannon: float | None = None
    missing_before: float = 0.0
    missing_now: float = 0.0
    missing_p_value: float | None = None
    unseen: dict[str, float] | None = None
    unseen_share: float = 0.0
    unseen_p_value: float | None = None
    sentence: str = ""

    @property
    def reasons(self) -> dict[str, bool]:
        """What makes it count as moved: it is beyond chance, and large."""
        return {
            "distribution": _below(self.p_value) and self.psi >= LARGE_INDEX,
            "missing": _below(self.missing_p_value) and self.missing_now - self.missing_before >= LARGE_RISE,
            "unseen": _below(self.unseen_p_value) and self.unseen_share >= LARGE_RISE,
        }


@dataclass(frozen=True)
class Drift:
    """Every feature, those that moved first, by their index descending; what was not judged comes last."""

    features: tuple[FeatureDrift, ...]

    @property
    def moved(self) -> tuple[FeatureDrift, ...]:
        """The features that moved, the most first."""
        return tuple(each for each in self.features if each.moved)

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it: ``moved`` names, ``features`` with all their figures."""
        return {"moved": [each.feature for each in self.moved], "features": [asdict(each) for each in self.features]}


_TESTS = ("p_value", "missing_p_value", "unseen_p_value")


def _below(p_value: float | None) -> bool:
    return p_value is not None and p_value < LEVEL


def compare(reference: Reference, frame: Frame, predicted: Floats | None = None) -> Drift:
    """Compare assembled sessions [n], with student_id and topic_id, with what the version learned from.

    ``predicted`` [n]: hours, NaN where a session has no prediction. Columns that the reference lacks are left out.
    """
    there = np.zeros(len(frame), bool) if predicted is None else np.isfinite(predicted)
    predictions = np.zeros(0) if predicted is None else predicted[there]
    rows = profile_features(frame)
    rows[PREDICTED] = profile_numbers(predictions, students(frame)[there])
    found = []
    for name, before in reference.profiles.items():
        if name in rows:
            ordered = predictions if name == PREDICTED else _numbers_of(frame, name)
            found.append((_measure(name, before, rows[name], np.sort(ordered)), before, rows[name]))
    judged = _adjusted([each for each, _, _ in found])
    worded = [
        replace(each, sentence=_words(each, before, now)) for each, (_, before, now) in zip(judged, found, strict=True)
    ]
    return Drift(tuple(sorted(worded, key=lambda each: (not each.judged, not each.moved, -each.psi, each.feature))))


def _numbers_of(frame: Frame, name: str) -> Floats:
    """The known values of a column over its units; none of a category."""
    spec, unit = COLUMNS[name]
    if spec.kind == "category":
        return np.zeros(0)
    values = frame[name][units(frame, unit)].astype(np.float64)
    return values[np.isfinite(values)]


def _adjusted(found: list[FeatureDrift]) -> list[FeatureDrift]:
    """The same with p-values adjusted for all of them, and whether each moved."""
    places = [(row, test) for row, each in enumerate(found) for test in _TESTS if getattr(each, test) is not None]
    adjusted = holm([getattr(found[row], test) for row, test in places])
    changes: list[dict[str, Any]] = [{} for _ in found]
    for (row, test), p_value in zip(places, adjusted, strict=True):
        changes[row][test] = p_value
    judged = [replace(each, **change) for each, change in zip(found, changes, strict=True)]
    return [replace(each, moved=any(each.reasons.values())) for each in judged]


def _measure(name: str, before: Profile, now: Profile, ordered: Floats) -> FeatureDrift:
    kind = "number" if isinstance(before, NumberProfile) else "category"
    rows = now.crowd.rows, before.crowd.rows
    empty = FeatureDrift(name, kind, *rows, judged=min(rows) >= FEWEST_ROWS)
    if not empty.judged:
        return empty
    if isinstance(before, NumberProfile) and isinstance(now, NumberProfile):
        found = _numbers(empty, before, now, ordered)
    elif isinstance(before, CategoryProfile) and isinstance(now, CategoryProfile):
        found = _categories(empty, before, now)
    else:
        raise AssertionError("a column has one kind")
    return _missing(found, before, now)


def _worth(before: Profile, now: Profile, *, missing: bool = False) -> float:
    """What a row is worth in a test, at most 1: less where few students, each alike in all they do, make the night.

    With shares w of the rows per student, two samples of the same students differ by chance with the variance
    alike x sum (w now - w before)^2 between students plus (1 - alike) (1 / n + 1 / m) within them. Who they are is
    not known: where the same ones return, that sum is about sum (w now)^2 - sum (w before)^2, and never less than
    1 / n + 1 / m, its value where every session is anybody's.
    """
    one, other = before.crowd, now.crowd
    alike = one.alike_missing if missing else one.alike
    independent = 1 / one.rows + 1 / other.rows
    between = max(other.together / other.rows - one.together / one.rows, independent)
    return independent / (alike * between + (1 - alike) * independent)


def _missing(found: FeatureDrift, before: Profile, now: Profile) -> FeatureDrift:
    crowds = before.crowd, now.crowd
    shares = [each.missing / each.rows for each in crowds]
    if not any(shares):
        return found
    worth = _worth(before, now, missing=True)
    counts = (each * worth for crowd in crowds for each in (crowd.missing, crowd.rows))
    return replace(found, missing_before=shares[0], missing_now=shares[1], missing_p_value=two_proportions(*counts))


def _numbers(found: FeatureDrift, before: NumberProfile, now: NumberProfile, ordered: Floats) -> FeatureDrift:
    known = before.crowd.rows - before.crowd.missing, len(ordered)
    gaps = before.crowd.missing, now.crowd.missing
    parts = decile_counts(before, ordered) if min(known) else tuple(np.array([float(each)]) for each in known)
    found = replace(
        found, psi=population_stability(*(np.append(each, gap) for each, gap in zip(parts, gaps, strict=True)))
    )
    if min(known) < FEWEST_ROWS:
        return found
    distance = kolmogorov_smirnov(before, ordered)
    worth = _worth(before, now)
    apart = wasserstein(before, now)
    return replace(
        found,
        statistic=distance,
        p_value=kolmogorov_smirnov_p(distance, known[0] * worth, known[1] * worth),
        wasserstein=apart if np.isfinite(apart) else None,
    )


def _categories(found: FeatureDrift, before: CategoryProfile, now: CategoryProfile) -> FeatureDrift:
    unseen = {} if before.other else {level: n for level, n in now.counts.items() if level not in before.counts}
    strange = sum(unseen.values()) + (0 if before.other else now.other)
    levels = sorted({*before.counts, *now.counts})
    counts = [np.array([*(float(each.counts.get(level, 0)) for level in levels), each.other]) for each in (before, now)]
    gaps = before.crowd.missing, now.crowd.missing
    found = replace(
        found,
        psi=population_stability(*(np.append(each, gap) for each, gap in zip(counts, gaps, strict=True))),
        unseen={level: n / now.crowd.rows for level, n in sorted(unseen.items(), key=lambda each: -each[1])[:5]},
        unseen_share=strange / now.crowd.rows,
    )
    if strange:
        p_value = two_proportions(0, before.crowd.rows, strange, now.crowd.rows)
        found = replace(found, unseen_p_value=p_value)
    known = [each.crowd.rows - each.crowd.missing for each in (before, now)]
    if min(known) < FEWEST_ROWS:
        return found
    worth = _worth(before, now)
    statistic, p_value = chi_square(*(each * worth for each in counts))
    return replace(found, statistic=statistic, p_value=p_value, jensen_shannon=jensen_shannon(*counts))


def _words(found: FeatureDrift, before: Profile, now: Profile) -> str:
    reasons = found.reasons
    large: Iterable[str] = [name for name in ("unseen", "missing", "distribution") if reasons[name]]
    return sentence(
        found.feature,
        before,
        now,
        judged=found.judged,
        about=next(iter(large), "distribution"),
        unseen_share=found.unseen_share,
    )
