"""Score one range of planned sessions: COPY in, ONNX Runtime, COPY out. Small, and safe to run twice."""

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from studyml.database.binary import encode, encode_text, encode_text_array
from studyml.database.connection import advisory_lock
from studyml.database.predictions import ScoringRun, planned_ids, scoring_run, write_range
from studyml.database.source import read_sessions, read_students, read_topics
from studyml.errors import RegistryError
from studyml.features.definition import Assembled, assemble, reading_vocabularies
from studyml.frame import Frame, to_microseconds
from studyml.registry.versions import find
from studyml.scoring.predictor import Predictions
from studyml.settings import Settings
from studyml.steps.opening import own_database, read_source
from studyml.steps.plan_scoring import scoring_window
from studyml.steps.read_history import with_history_at
from studyml.steps.serving import ServedModel, open_version

_logger = logging.getLogger("studyml")
CHAMPION = "champion"
GONE = "it was deleted or moved to another date while the night was scored"
_BLOCK_ROWS = 16_384

Mask = NDArray[np.bool_]


def score_range(settings: Settings, *, scoring_run_id: int, first_id: int, last_id: int) -> dict[str, int]:
    """Score the planned sessions with ids from ``first_id`` to ``last_id``; return rows written and refused.

    Raises ArtifactError where the version is damaged, RegistryError where the run is already published.
    """
    # A worker that was given up for lost may still write beside the one that took over.
    lock = f"score_range {scoring_run_id} {first_id}"
    with own_database(settings) as connection, advisory_lock(connection, lock):
        run = scoring_run(connection, scoring_run_id)
        if run.status != "running":
            raise RegistryError(f"scoring run {run.id} is already {run.status}: start the scoring again from its plan.")
        model = open_version(settings, find(connection, run.versions[0]))
        sessions, students, topics = _read(settings, run.as_of, model, (first_id, last_id))
        planned = planned_ids(connection, run.id, (first_id, last_id))
        assembled = assemble(sessions.take(np.isin(sessions["id"], planned)), students, topics)
        scored = with_history_at(
            connection,
            assembled.frame.take(~assembled.refused),
            as_of=run.as_of,
            features={each.feature for each in model.encoder.inputs},
        )
        warnings = {**assembled.impossible, **assembled.unseen}
        kept_warnings = {reason: rows[~assembled.refused] for reason, rows in warnings.items()}
        blocks = _blocks(run, model, scored, kept_warnings)
        refused = _refused(assembled) | dict.fromkeys(planned[~np.isin(planned, sessions["id"])].tolist(), GONE)
        written = write_range(connection, run.id, (first_id, last_id), blocks, refused)
    _logger.info(
        "%d sessions scored, %d refused, %d with input warnings", written, len(refused), _any(kept_warnings, written)
    )
    return {"written": written, "refused": len(refused)}


def _read(settings: Settings, as_of: datetime, model: ServedModel, ids: tuple[int, int]) -> tuple[Frame, Frame, Frame]:
    vocabularies = reading_vocabularies(model.encoder.categories)
    after, through = scoring_window(settings, as_of)
    schema = settings.source_schema
    return read_source(
        settings,
        lambda source: (
            read_sessions(source, schema, vocabularies, after=after, through=through, ids=ids),
            read_students(source, schema, vocabularies),
            read_topics(source, schema, vocabularies),
        ),
    )


def _refused(assembled: Assembled) -> dict[int, str]:
    ids = assembled.frame["id"]
    found: dict[int, str] = {}
    for reason, rows in assembled.refusals.items():
        for row in np.flatnonzero(rows):
            session = int(ids[row])
            found[session] = f"{found[session]}, {reason}" if session in found else reason
    return found


def _any(warnings: Mapping[str, Mask], rows: int) -> int:
    return int(np.logical_or.reduce([np.zeros(rows, bool), *warnings.values()]).sum())


def _blocks(run: ScoringRun, model: ServedModel, scored: Frame, warnings: Mapping[str, Mask]) -> Iterator[bytes]:
    """Binary COPY rows, in groups that share their warnings, so that each group's rows have one width.

    Each block is predicted when it is asked for, while the server stores the one before.
    """
    rows = len(scored)
    if rows == 0:
        return
    groups = [np.arange(rows)]
    if warnings:
        kinds = np.unique(np.column_stack(list(warnings.values())), axis=0, return_inverse=True)[1].ravel()
        groups = np.split(np.argsort(kinds, kind="stable"), np.cumsum(np.bincount(kinds))[:-1])
    for members in groups:
        texts = [reason for reason, mask in warnings.items() if mask[members[0]]]
        for at in range(0, len(members), _BLOCK_ROWS):
            block = scored.take(members[at : at + _BLOCK_ROWS])
            yield _encode(run, model.version, block, model.predict(block), texts)


def _encode(run: ScoringRun, version: str, block: Frame, predictions: Predictions, warnings: list[str]) -> bytes:
    as_of = to_microseconds(run.as_of).to_bytes(8, "big", signed=True)
    return encode(
        {
            "as_of": as_of,
            "session_id": block["id"],
            "student_id": block["student_id"],
            "topic_id": block["topic_id"],
            "session_date": block["session_date"],
            "role": encode_text(CHAMPION),
            "model_version": encode_text(version),
            "served": b"\x01",
            "predicted_hours": predictions.hours,
            "lower_hours": predictions.lower,
            "upper_hours": predictions.upper,
            "lower_hours_90": predictions.lower_90,
            "upper_hours_90": predictions.upper_90,
            "input_warnings": encode_text_array(warnings),
            "scored_at": to_microseconds(run.started_at).to_bytes(8, "big", signed=True),
        },
        len(block),
    )
