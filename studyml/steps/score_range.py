"""Score one range of planned sessions: COPY in, ONNX Runtime, COPY out. Small, and safe to run twice."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from studyml.database.binary import encode, encode_text, encode_text_array
from studyml.database.connection import Connection, advisory_lock
from studyml.database.predictions import ScoringRun, planned_ids, scoring_run, write_range
from studyml.database.source import read_sessions, read_students, read_topics
from studyml.errors import ArtifactError, RegistryError
from studyml.features.definition import (
    Assembled,
    assemble,
    joint_categories,
    reading_vocabularies,
    unseen_categories,
)
from studyml.frame import Frame, to_microseconds
from studyml.registry.versions import find
from studyml.scoring.challenger_share import served_by_challenger
from studyml.scoring.predictor import Predictions
from studyml.settings import Settings
from studyml.steps.opening import own_database, read_source
from studyml.steps.plan_scoring import scoring_window
from studyml.steps.read_history import with_history_at
from studyml.steps.serving import ServedModel, open_version

_logger = logging.getLogger("studyml")
CHAMPION, CHALLENGER = "champion", "challenger"
GONE = "it was deleted or moved to another date while the night was scored"
_BLOCK_ROWS = 16_384

Mask = NDArray[np.bool_]


def score_range(settings: Settings, *, scoring_run_id: int, first_id: int, last_id: int) -> dict[str, int]:
    """Score the planned sessions with ids from ``first_id`` to ``last_id``; return how many were scored and refused.

    With a challenger on trial each session has a row of both versions, made of the same data read once, and one of the
    two is served. Raises ArtifactError where a version is damaged, RegistryError where the run is already published.
    """
    # A worker that was given up for lost may still write beside the one that took over.
    lock = f"score_range {scoring_run_id} {first_id}"
    with own_database(settings) as connection, advisory_lock(connection, lock):
        run = scoring_run(connection, scoring_run_id)
        if run.status != "running":
            raise RegistryError(f"scoring run {run.id} is already {run.status}: start the scoring again from its plan.")
        models = _open(settings, connection, run)
        sessions, students, topics = _read(settings, run.as_of, models, (first_id, last_id))
        planned = planned_ids(connection, run.id, (first_id, last_id))
        assembled = assemble(sessions.take(np.isin(sessions["id"], planned)), students, topics)
        scored = with_history_at(
            connection,
            assembled.frame.take(~assembled.refused),
            as_of=run.as_of,
            features={name for model in models for name in model.encoder.features},
        )
        impossible = {reason: rows[~assembled.refused] for reason, rows in assembled.impossible.items()}
        blocks = chain.from_iterable(
            _blocks(run, role, scored, impossible) for role in _roles(models, scored, settings.challenger_share)
        )
        refused = _refused(assembled) | dict.fromkeys(planned[~np.isin(planned, sessions["id"])].tolist(), GONE)
        write_range(connection, run.id, (first_id, last_id), blocks, refused)
    warned = _warnings(models[0], scored, impossible)
    _logger.info(
        "%d sessions scored, %d refused, %d with input warnings", len(scored), len(refused), _any(warned, len(scored))
    )
    return {"written": len(scored), "refused": len(refused)}


@dataclass(frozen=True)
class _Role:
    """A version, what it is in this night, and the rows [n] for which it is served."""

    name: str
    model: ServedModel
    served: Mask


def _open(settings: Settings, connection: Connection, run: ScoringRun) -> list[ServedModel]:
    """The run's versions, champion first. A damaged challenger stops the night: no other model serves its students."""
    champion, *tried = [find(connection, version) for version in run.versions]
    models = [open_version(settings, champion)]
    for version in tried:
        try:
            models.append(open_version(settings, version))
        except ArtifactError as error:
            raise ArtifactError(
                f"{error} It is a challenger: 'studyml versions retire {version.version} --reason damaged' ends its"
                " trial, then start the scoring again."
            ) from None
    return models


def _roles(models: list[ServedModel], scored: Frame, share: float) -> list[_Role]:
    champion, *tried = models
    if not tried:
        return [_Role(CHAMPION, champion, np.ones(len(scored), bool))]
    chosen = served_by_challenger(scored["student_id"].astype(np.int64), tried[0].version, share)
    return [_Role(CHAMPION, champion, ~chosen), _Role(CHALLENGER, tried[0], chosen)]


def _read(
    settings: Settings, as_of: datetime, models: list[ServedModel], ids: tuple[int, int]
) -> tuple[Frame, Frame, Frame]:
    vocabularies = reading_vocabularies(joint_categories(model.encoder.categories for model in models))
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


def _warnings(model: ServedModel, scored: Frame, impossible: Mapping[str, Mask]) -> dict[str, Mask]:
    return {**impossible, **unseen_categories(scored, reading_vocabularies(model.encoder.categories))}


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


def _blocks(run: ScoringRun, role: _Role, scored: Frame, impossible: Mapping[str, Mask]) -> Iterator[bytes]:
    """Binary COPY rows of one version, in groups that share their warnings, so that each group's rows have one width.

    Each block is predicted when it is asked for, while the server stores the one before.
    """
    rows = len(scored)
    if rows == 0:
        return
    warnings = _warnings(role.model, scored, impossible)
    groups = [np.arange(rows)]
    if warnings:
        kinds = np.unique(np.column_stack(list(warnings.values())), axis=0, return_inverse=True)[1].ravel()
        groups = np.split(np.argsort(kinds, kind="stable"), np.cumsum(np.bincount(kinds))[:-1])
    for members in groups:
        texts = [reason for reason, mask in warnings.items() if mask[members[0]]]
        for at in range(0, len(members), _BLOCK_ROWS):
            chosen = members[at : at + _BLOCK_ROWS]
            block = scored.take(chosen)
            yield _encode(run, role, block, role.served[chosen], role.model.predict(block), texts)


def _encode(
    run: ScoringRun, role: _Role, block: Frame, served: Mask, predictions: Predictions, warnings: list[str]
) -> bytes:
    as_of = to_microseconds(run.as_of).to_bytes(8, "big", signed=True)
    return encode(
        {
            "as_of": as_of,
            "session_id": block["id"],
            "student_id": block["student_id"],
            "topic_id": block["topic_id"],
            "session_date": block["session_date"],
            "role": encode_text(role.name),
            "model_version": encode_text(role.model.version),
            "served": served,
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
