"""Logs without a database: the three import files, or tables as simulated, as one labelled Frame."""

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.contract import TABLES, Column
from studyml.features.definition import FEATURES, any_of, assemble, impossible
from studyml.frame import MISSING, Frame, to_microseconds
from studyml.simulation import Table

LABEL = "actual_duration"
_TIMES_START = np.datetime64("2000-01-01", "us")


def read_tables(folder: Path) -> dict[str, Table]:
    """The three import files of a folder; an empty text is a missing value."""
    found: dict[str, Table] = {}
    for table in TABLES:
        with (folder / f"{table}.csv").open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file))
        columns = list(zip(*rows, strict=True))
        found[table] = {name: np.array(column, object) for name, column in zip(header, columns, strict=True)}
    return found


def labelled_frame(tables: Mapping[str, Table]) -> Frame:
    """Every labelled session, oldest first, with the features as known before it and its label in hours.

    ``breaks_taken`` is unknown here as it is when a session is scored. Rows that training would quarantine are
    left out.
    """
    parts = {table: _frame(tables[table], columns) for table, columns in TABLES.items()}
    sessions = parts["study_sessions"]
    label = next(each for each in TABLES["study_sessions"] if each.name == LABEL)
    hours = sessions[LABEL].astype(np.float64)
    assembled = assemble(sessions, parts["students"], parts["topics"])
    refused = any_of({**assembled.refusals, **assembled.impossible}, len(sessions))
    frame = assembled.frame.take(~refused & ~np.isnan(hours) & ~impossible(label, hours))
    return frame.take(np.lexsort((frame["id"], frame["session_date"])))


def concatenate(frames: Sequence[Frame]) -> Frame:
    """The rows of frames that have the same columns and vocabularies."""
    first = frames[0]
    return Frame({name: np.concatenate([each[name] for each in frames]) for name in first.columns}, first.vocabularies)


def _frame(table: Table, columns: Sequence[Column]) -> Frame:
    made: dict[str, NDArray[np.generic]] = {}
    vocabularies: dict[str, tuple[str, ...]] = {}
    for column in columns:
        if column.kind == "category" and column.name not in FEATURES:
            continue
        values = table[column.header]
        if column.kind == "category":
            made[column.name], vocabularies[column.name] = _codes(values)
        elif column.kind == "time":
            made[column.name] = _microseconds(values)
        elif column.kind == "id":
            made[column.name] = values.astype(np.int64)
        else:
            made[column.name] = np.where(_empty(values), "nan", values).astype(np.float64)
    frame = Frame(made, vocabularies)
    return frame.take(np.argsort(frame["id"], kind="stable"))


def _empty(values: NDArray[Any]) -> NDArray[np.bool_]:
    return np.array([value == "" for value in values.tolist()], bool)


def _codes(values: NDArray[Any]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    levels = tuple(sorted({str(value) for value in values.tolist()} - {""}))
    position = {level: code for code, level in enumerate(levels)} | {"": MISSING}
    return np.array([position[str(value)] for value in values.tolist()], np.int32), levels


def _microseconds(values: NDArray[Any]) -> NDArray[np.int64]:
    if values.dtype.kind == "M":
        return (values.astype("datetime64[us]") - _TIMES_START).astype(np.int64)
    moments = [datetime.fromisoformat(text) for text in values.tolist()]
    zoned = [moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in moments]
    return np.array([to_microseconds(moment) for moment in zoned], np.int64)
