"""The guide's 15 features, two derived and two cyclical ones, assembled from sessions, students and topics."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studyml.contract import TABLES, Column, column, impossible_reason
from studyml.frame import UNSEEN, Frame

STUDENT_FEATURES = ("age", "education_level", "learning_style", "avg_focus_duration")
TOPIC_FEATURES = ("subject", "difficulty_level", "estimated_base_time", "prerequisites_count", "content_type")
SESSION_FEATURES = ("time_of_day", "study_method", "environment", "energy_level", "distraction_level", "breaks_taken")
FEATURES = STUDENT_FEATURES + TOPIC_FEATURES + SESSION_FEATURES
CATEGORIES = tuple(
    each.name for columns in TABLES.values() for each in columns if each.kind == "category" and each.name in FEATURES
)
DERIVED = ("difficulty_focus_ratio", "energy_distraction_diff")
CYCLICAL = ("hour_sin", "hour_cos")
#: A column of the topics that tells one subject's history from another's; not a feature itself.
SUBJECT_KEY = "subject_key"

#: The guide's hour of each time of day; another word has no hour.
HOURS = {"morning": 9, "afternoon": 14, "evening": 19, "night": 23}

#: Impossible values of a column that a reason names one by one; the rest share one.
NAMED_VALUES = 10

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Assembled:
    """Sessions with their features, and what is wrong with some: each dict maps a reason to the rows [n] it holds for.

    ``refusals``: the student or topic does not exist, the row cannot be used at all. ``impossible``: a feature is
    impossible and was made missing; training quarantines the row. ``unseen``: a category that is not known.
    """

    frame: Frame
    refusals: dict[str, Mask]
    impossible: dict[str, Mask]
    unseen: dict[str, Mask]

    @property
    def refused(self) -> Mask:
        """Rows that cannot be used at all."""
        return any_of(self.refusals, len(self.frame))


def any_of(reasons: Mapping[str, Mask], rows: int) -> Mask:
    """Rows [rows] for which any reason holds."""
    found: Mask = np.logical_or.reduce([np.zeros(rows, bool), *reasons.values()])
    return found


def assemble(sessions: Frame, students: Frame, topics: Frame) -> Assembled:
    """Join by position, mask what is impossible or unknown before a session, and derive.

    Keeps the keys that a history is found by: student_id, topic_id and, where the topics have it, subject_key.

    ``breaks_taken`` is counted during a session: it is unknown here always, in training as in scoring (design
    section 3). Impossible values become missing.
    """
    student_rows, has_student = positions(sessions["student_id"], students["id"])
    topic_rows, has_topic = positions(sessions["topic_id"], topics["id"])
    columns = dict(sessions.columns)
    columns |= {name: _fetch(students, name, student_rows, has_student) for name in STUDENT_FEATURES}
    columns |= {name: _fetch(topics, name, topic_rows, has_topic) for name in TOPIC_FEATURES}
    if SUBJECT_KEY in topics.columns:
        columns[SUBJECT_KEY] = _fetch(topics, SUBJECT_KEY, topic_rows, has_topic)
    columns["breaks_taken"] = np.full(len(sessions), np.nan)
    vocabularies = {**students.vocabularies, **topics.vocabularies, **sessions.vocabularies}
    frame, impossible_rows = _mask_impossible(Frame(columns, vocabularies))
    unseen = unseen_categories(frame, vocabularies)
    refusals = {"its student does not exist": ~has_student, "its topic does not exist": ~has_topic}
    return Assembled(derive(frame), _present(refusals), _present(impossible_rows), unseen)


def unseen_categories(frame: Frame, vocabularies: Mapping[str, Sequence[str]]) -> dict[str, Mask]:
    """The reasons and rows [n] of categories outside ``vocabularies``, whose levels the frame's hold too."""
    found = {}
    for name, levels in vocabularies.items():
        if not levels:  # a model without any level of a category does not look at it
            continue
        others = [code for code, level in enumerate(frame.vocabularies[name]) if level not in levels]
        codes = frame[name]
        unseen = np.isin(codes, [UNSEEN, *others]) if others else codes == UNSEEN
        found[f"{name} is not a category that the model knows"] = unseen
    return _present(found)


def _present(reasons: dict[str, Mask]) -> dict[str, Mask]:
    return {reason: rows for reason, rows in reasons.items() if rows.any()}


def positions(keys: NDArray[np.generic], ids: NDArray[np.generic]) -> tuple[NDArray[np.intp], Mask]:
    """Where each key [n] is among the ascending ids, and whether it is there at all."""
    if len(ids) == 0:
        return np.zeros(len(keys), np.intp), np.zeros(len(keys), bool)
    found = np.minimum(np.searchsorted(ids, keys), len(ids) - 1)
    return found, ids[found] == keys


def _fetch(table: Frame, name: str, rows: NDArray[np.intp], found: Mask) -> NDArray[np.generic]:
    values = table[name]
    empty = np.nan if values.dtype.kind == "f" else -1
    if len(values) == 0:
        return np.full(len(rows), empty, values.dtype)
    return np.where(found, values.take(rows), empty).astype(values.dtype)


def impossible(spec: Column, values: Floats) -> Mask:
    """Rows [n] whose value is impossible by the contract; NaN means missing, which is possible."""
    outside = np.isinf(values)
    if spec.above is not None:
        outside |= values <= spec.above
    if spec.at_most is not None:
        outside |= values > spec.at_most
    return outside


def _mask_impossible(frame: Frame) -> tuple[Frame, dict[str, Mask]]:
    reasons: dict[str, Mask] = {}
    replaced: dict[str, NDArray[np.generic]] = {}
    for spec in _feature_columns():
        values = frame[spec.name].astype(np.float64)
        wrong = impossible(spec, values)
        if not wrong.any():
            continue
        replaced[spec.name] = np.where(wrong, np.nan, values)
        named = np.unique(values[wrong])[:NAMED_VALUES]
        reasons |= {impossible_reason(spec, float(value)): values == value for value in named}
        reasons[f"{spec.name} is impossible"] = wrong & ~np.isin(values, named)
    return frame.with_columns(**replaced), reasons


def _feature_columns() -> list[Column]:
    tables = {"students": STUDENT_FEATURES, "topics": TOPIC_FEATURES, "study_sessions": SESSION_FEATURES}
    found = [column(table, name) for table, names in tables.items() for name in names]
    return [spec for spec in found if spec.kind == "number"]


def reading_vocabularies(categories: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The levels of every category to tell apart when rows are read for a model that knows ``categories``."""
    known = {name: tuple(categories.get(name, ())) for name in CATEGORIES}
    return known | {"time_of_day": tuple(dict.fromkeys([*known["time_of_day"], *HOURS]))}


def joint_categories(models: Iterable[Mapping[str, Sequence[str]]]) -> dict[str, tuple[str, ...]]:
    """The categories that any of the models knows, to read rows once for all of them."""
    found: dict[str, dict[str, None]] = {}
    for categories in models:
        for name, levels in categories.items():
            found.setdefault(name, {}).update(dict.fromkeys(levels))
    return {name: tuple(levels) for name, levels in found.items()}


def derive(frame: Frame) -> Frame:
    """The frame with the derived features and the guide's cyclical encoding of the time of day added."""
    number = {name: frame[name].astype(np.float64) for name in frame.columns if frame[name].dtype.kind == "f"}
    hours = np.array([*(float(HOURS.get(level, np.nan)) for level in frame.vocabularies["time_of_day"]), np.nan])
    codes = frame["time_of_day"].astype(np.intp)
    angle = 2 * np.pi * hours[np.where(codes < 0, len(hours) - 1, codes)] / 24
    # Absurd but possible numbers overflow to infinity, which the encoder takes for missing.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratio = number["difficulty_level"] / (number["avg_focus_duration"] / 60)
        difference = number["energy_level"] - number["distraction_level"]
    return frame.with_columns(
        difficulty_focus_ratio=ratio,
        energy_distraction_diff=difference,
        hour_sin=np.sin(angle),
        hour_cos=np.cos(angle),
    )
