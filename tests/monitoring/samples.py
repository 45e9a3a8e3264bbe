"""Assembled sessions by the thousand, without a database: every compared column, drawn with a seed."""

import numpy as np

from studyml.frame import Frame
from studyml.monitoring.profile import COLUMNS

DAY = 24 * 3600 * 1_000_000
LEVELS = ("a", "b", "c", "d")


def sample(rows: int, seed: int, *, own: bool = True, students: int = 200, topics: int = 150) -> Frame:
    """``own``: every session has a student and a topic of its own, so that all columns have ``rows`` units."""
    random = np.random.default_rng(seed)
    numbers = np.arange(rows, dtype=np.int64)
    columns: dict[str, np.ndarray] = {
        "id": numbers,
        "student_id": numbers if own else random.integers(0, students, rows),
        "topic_id": numbers if own else random.integers(0, topics, rows),
        "session_date": numbers * DAY // 10,
    }
    vocabularies = {}
    for name, (spec, unit) in COLUMNS.items():
        if spec.kind == "category":
            values: np.ndarray = random.choice(4, rows, p=[0.4, 0.3, 0.2, 0.1]).astype(np.int32)
            vocabularies[name] = LEVELS
        elif name in ("avg_focus_duration", "estimated_base_time"):
            values = random.lognormal(4, 0.4, rows)
        else:
            values = random.integers(1, 6, rows).astype(np.float64)
        columns[name] = values if unit == "id" else values[columns[unit] % rows]
    return Frame(columns, vocabularies)


def hours(frame: Frame, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Predicted hours [n], as they are kept, and actual ones with a relative error alike at all lengths."""
    random = np.random.default_rng(seed)
    predicted = np.clip(random.lognormal(0.8, 0.5, len(frame)), 0.1, 24)
    predicted = predicted.astype(np.float32).astype(np.float64)
    return predicted, predicted * random.uniform(0.6, 1.4, len(frame))
