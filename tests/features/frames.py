"""Frames without a database: small ones made by hand or by hypothesis, and a whole simulated log."""

import csv
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from studyml.contract import TABLES
from studyml.features.definition import FEATURES, STUDENT_FEATURES, TOPIC_FEATURES, Assembled, assemble
from studyml.frame import MISSING, UNSEEN, Frame, to_microseconds
from studyml.simulation import Simulation, Table, simulate, write_csv

END = datetime(2026, 3, 1, tzinfo=UTC)
CATEGORIES = tuple(
    each.name for columns in TABLES.values() for each in columns if each.kind == "category" and each.name in FEATURES
)
NUMBERS = tuple(name for name in FEATURES if name not in CATEGORIES)
#: What an ordinary row holds.
ORDINARY: Mapping[str, object] = {
    "age": 24.0,
    "education_level": "graduate",
    "learning_style": "visual",
    "avg_focus_duration": 60.0,
    "subject": "Physics",
    "difficulty_level": 6.0,
    "estimated_base_time": 3.0,
    "prerequisites_count": 2.0,
    "content_type": "video",
    "time_of_day": "morning",
    "study_method": "reading",
    "environment": "home",
    "energy_level": 4.0,
    "distraction_level": 1.0,
}


def table(rows: Sequence[Mapping[str, object]], names: Sequence[str], **keys: np.ndarray) -> Frame:
    """Rows as columns; a category absent from its vocabulary is unseen, None is missing."""
    columns: dict[str, np.ndarray] = dict(keys)
    vocabularies: dict[str, tuple[str, ...]] = {}
    for name in names:
        values = [row[name] for row in rows]
        if name in CATEGORIES:
            levels = tuple(sorted({str(value) for value in values if value is not None and value != "?unseen"}))
            vocabularies[name] = levels
            codes = [MISSING if v is None else levels.index(str(v)) if v != "?unseen" else UNSEEN for v in values]
            columns[name] = np.array(codes, np.int32)
        else:
            columns[name] = np.array([np.nan if v is None else float(str(v)) for v in values])
    return Frame(columns, vocabularies)


def assembled(rows: Sequence[Mapping[str, object]]) -> Assembled:
    """Each given row as a session of its own student and its own topic; what it leaves out is ordinary."""
    whole = [{**ORDINARY, **row} for row in rows]
    ids = np.arange(1, len(whole) + 1, dtype=np.int64)
    names = [name for name in FEATURES if name not in (*STUDENT_FEATURES, *TOPIC_FEATURES, "breaks_taken")]
    sessions = table(whole, names, id=ids, student_id=ids, topic_id=ids, session_date=ids)
    return assemble(sessions, table(whole, STUDENT_FEATURES, id=ids), table(whole, TOPIC_FEATURES, id=ids))


def frame_of(rows: Sequence[Mapping[str, object]]) -> Frame:
    """The features of the given rows."""
    return assembled(rows).frame


def any_rows(minimum: int = 1, maximum: int = 12) -> st.SearchStrategy[list[dict[str, object]]]:
    """Rows with anything that PostgreSQL can hold in these columns: gaps, infinities, giants, unknown words."""
    words = st.one_of(
        st.none(), st.sampled_from(["morning", "evening", "home", "a", "b", "?unseen"]), st.text("äß ,\n")
    )
    numbers = st.one_of(st.none(), st.integers(-3, 30), st.floats(allow_nan=False))
    features = {name: words if name in CATEGORIES else numbers for name in ORDINARY}
    return st.lists(st.fixed_dictionaries(features), min_size=minimum, max_size=maximum)


def simulated_log(seed: int = 42, sessions: int = 600) -> Frame:
    """The guide's labelled log as training sees it: oldest first, with ``actual_duration``."""
    rows = _rows(simulate(Simulation(seed=seed, sessions=sessions), END))
    labelled = [row for row in rows["study_sessions"] if row["actual_duration"] != ""]
    names = [name for name in FEATURES if name in labelled[0] and name != "breaks_taken"]
    keys = {key: _whole(labelled, name) for key, name in _SESSION_KEYS.items()}
    dates = [to_microseconds(datetime.fromisoformat(str(row["session_date"]))) for row in labelled]
    sessions_frame = table(labelled, names, **keys, session_date=np.array(dates, np.int64))
    students = table(rows["students"], STUDENT_FEATURES, id=_whole(rows["students"], "student_id"))
    topics = table(rows["topics"], TOPIC_FEATURES, id=_whole(rows["topics"], "topic_id"))
    frame = assemble(sessions_frame, students, topics).frame
    frame = frame.with_columns(actual_duration=np.array([float(str(row["actual_duration"])) for row in labelled]))
    return frame.take(np.lexsort((frame["id"], frame["session_date"])))


def _rows(tables: Mapping[str, Table]) -> dict[str, list[dict[str, str]]]:
    with tempfile.TemporaryDirectory() as name:
        write_csv(tables, Path(name))
        texts = {table: (Path(name) / f"{table}.csv").read_text(encoding="utf-8") for table in tables}
    return {table: list(csv.DictReader(text.splitlines())) for table, text in texts.items()}


_SESSION_KEYS = {"id": "session_id", "student_id": "student_id", "topic_id": "topic_id"}


def _whole(rows: Sequence[Mapping[str, object]], name: str) -> np.ndarray:
    return np.array([int(str(row[name])) for row in rows], np.int64)
