"""The holdout: the most recent labelled sessions, and the file that keeps every error the decision rests on."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from studyml.evaluation.gates import Holdout

FILE = "holdout.csv"
_FIXED = ("session_id", "student_id", "session_date", "actual")


def newest_rows(session_date: NDArray[np.int64], session_id: NDArray[np.int64], fraction: float) -> NDArray[np.bool_]:
    """Mask [n] of the newest ``fraction`` of sessions by date, ties by id; at least one row of two."""
    count = len(session_date)
    mask = np.zeros(count, bool)
    held = min(max(round(count * fraction), 1), count - 1) if count > 1 else 0
    mask[np.lexsort((session_id, session_date))[count - held :]] = True
    return mask


def write_holdout(path: Path, holdout: Holdout) -> None:
    """Write one row per session, numbers with all their digits, so that the decision can be computed again."""
    names = list(holdout.predicted)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*_FIXED, *names])
        columns = [
            holdout.session_id.tolist(),
            holdout.student_id.tolist(),
            holdout.session_date.tolist(),
            holdout.actual.tolist(),
            *(holdout.predicted[name].tolist() for name in names),
        ]
        writer.writerows(zip(*columns, strict=True))


def read_session_ids(path: Path) -> NDArray[np.int64]:
    """The sessions [n] of a file that ``write_holdout`` wrote, without reading the rest of it."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        next(rows)
        return np.fromiter((int(row[0]) for row in rows), np.int64)


def read_holdout(path: Path) -> Holdout:
    """The inverse of ``write_holdout``."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    columns = {name: [row[position] for row in rows] for position, name in enumerate(header)}
    whole = {name: np.array([int(value) for value in columns[name]], np.int64) for name in _FIXED[:3]}
    floats = {name: np.array([float(value) for value in columns[name]]) for name in header[3:]}
    actual = floats.pop("actual")
    return Holdout(whole["session_id"], whole["student_id"], whole["session_date"], actual, floats)
