"""Histories where they are used: a range is scored with them, a snapshot keeps them, and no session costs a query."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from studyml.database import history as stored
from studyml.features.definition import FEATURES
from studyml.features.encoder import Encoder, fit_encoder
from studyml.features.history import HISTORY_FEATURES, SEQUENCE_FEATURES
from studyml.frame import Frame
from studyml.model.naive_network import save_linear
from studyml.registry.snapshot import read_snapshot, write_snapshot
from studyml.scoring.predictor import open_network
from studyml.settings import Settings
from studyml.steps import score_range as module
from studyml.steps.observe import observe
from studyml.steps.opening import own_database
from studyml.steps.score import score
from studyml.steps.serving import ServedModel, open_version
from studyml.steps.training_data import LABEL, TrainingData, read_training_data, snapshot_columns
from tests.conftest import FIRST_NIGHT, NOW, silent
from tests.logs import ask

DAY = timedelta(days=1)


def read(settings: Settings, **options: bool) -> TrainingData:
    with own_database(settings) as connection:
        return read_training_data(settings, connection, as_of=NOW, through_outcome_id=10**9, **options)


@pytest.fixture(params=[HISTORY_FEATURES, (*HISTORY_FEATURES, *SEQUENCE_FEATURES)], ids=["history", "sequence"])
def champion(
    lived: Settings, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Encoder:
    """A network whose hours are 5 and a hundredth of every input of a history, served in place of the champion."""
    frame = read(lived, sequences=True).frame
    encoder = fit_encoder(frame, (*FEATURES, *request.param))
    folder = tmp_path / "linear"
    folder.mkdir()
    weights = [0.01 * (position + 1) * (each.feature not in FEATURES) for position, each in enumerate(encoder.inputs)]
    save_linear(folder, weights, 5.0)
    network = open_network(folder / "model.onnx")

    def serve(settings: Settings, version: object) -> ServedModel:
        return replace(open_version(settings, version), encoder=encoder, network=network)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "open_version", serve)
    return encoder


def predicted(settings: Settings) -> dict[int, float]:
    return dict(ask(settings.database, "SELECT session_id, predicted_hours FROM analytics.study_time_predictions"))


def by_hand(encoder: Encoder, frame: Frame) -> np.ndarray:
    weights = [0.01 * (position + 1) * (each.feature not in FEATURES) for position, each in enumerate(encoder.inputs)]
    return np.clip(encoder.encode(frame).astype(np.float64) @ np.array(weights) + 5, 0.1, 24)


def test_a_range_is_scored_with_the_history_of_its_night(lived: Settings, champion: Encoder) -> None:
    score(lived, as_of=FIRST_NIGHT, now=NOW, progress=silent)
    found = predicted(lived)
    observe(lived, as_of=FIRST_NIGHT + DAY, now=NOW)

    trained = read(lived, sequences=True).frame
    tomorrow = trained.take(np.isin(trained["id"], list(found)))
    assert len(tomorrow) > 3
    hours = [found[session] for session in tomorrow["id"].tolist()]
    assert hours == pytest.approx(by_hand(champion, tomorrow), abs=1e-4)
    assert np.std(hours) > 0.01


def test_a_replayed_night_is_scored_as_it_was(lived: Settings, champion: Encoder) -> None:
    score(lived, as_of=FIRST_NIGHT, now=NOW, progress=silent)
    before = predicted(lived)
    for night in (1, 3, 7):
        observe(lived, as_of=FIRST_NIGHT + night * DAY, now=NOW)

    score(lived, as_of=FIRST_NIGHT, now=NOW, progress=silent)

    assert predicted(lived) == before


def test_a_student_and_a_topic_without_a_past_are_scored(lived: Settings, champion: Encoder) -> None:
    ask(
        lived.source,
        "INSERT INTO students (id) VALUES (900); INSERT INTO topics (id, name, subject) VALUES (900, 'New', 'New');"
        " INSERT INTO study_sessions (id, student_id, topic_id, session_date) VALUES (9000, 900, 900, %s)",
        FIRST_NIGHT + DAY,
    )

    score(lived, as_of=FIRST_NIGHT, now=NOW, progress=silent)

    assert 0.1 <= predicted(lived)[9000] <= 24


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often the histories' tables were read."""
    count = 0
    copy_out = stored.copy_out

    def counting(*arguments: object) -> object:
        nonlocal count
        count += 1
        return copy_out(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(stored, "copy_out", counting)
    return lambda: count


def test_more_sessions_are_read_with_as_few_queries(
    lived: Settings, champion: Encoder, reads: Callable[[], int]
) -> None:
    score(lived, as_of=FIRST_NIGHT, now=NOW, progress=silent)
    few, before = reads(), len(predicted(lived))
    ask(
        lived.source,
        "INSERT INTO study_sessions (id, student_id, topic_id, session_date)"
        " SELECT 10000 + g, 1 + g % 30, 1 + g % 25, timestamptz '2026-02-23' + g * interval '10 minutes'"
        " FROM generate_series(1, 500) AS g",
    )

    score(lived, as_of=FIRST_NIGHT, now=NOW, progress=silent)

    assert len(predicted(lived)) == before + 500
    assert 0 < reads() - few == few <= 5


def test_a_snapshot_keeps_the_histories_that_were_read(lived: Settings, tmp_path: Path) -> None:
    for sequences in (False, True):
        frame = read(lived, sequences=sequences).frame
        kept = Frame({name: frame[name] for name in snapshot_columns(frame)}, frame.vocabularies)

        found = read_snapshot(tmp_path, write_snapshot(tmp_path, kept))

        names = HISTORY_FEATURES + (SEQUENCE_FEATURES if sequences else ())
        assert set(names) <= set(found.columns)
        assert SEQUENCE_FEATURES[0] in found.columns or not sequences
        for name in names:
            assert found[name].dtype == np.float32
            assert np.array_equal(found[name], frame[name], equal_nan=True)
        shutil.rmtree(tmp_path / "snapshots")


def test_who_needs_no_history_reads_none(lived: Settings, reads: Callable[[], int]) -> None:
    frame = read(lived, history=False).frame

    assert reads() == 0
    assert LABEL in frame.columns
    assert not set(frame.columns) & set(HISTORY_FEATURES)
