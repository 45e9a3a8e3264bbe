"""Snapshots: the same rows give the same name, what is read is what was written, and damage is found."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from studyml.errors import ArtifactError
from studyml.features.definition import derive
from studyml.features.encoder import fit_encoder
from studyml.features.history import history_from_log
from studyml.frame import Frame
from studyml.registry.snapshot import read_snapshot, remove_snapshots, snapshot_path, write_snapshot
from studyml.steps.training_data import SNAPSHOT_COLUMNS
from tests.features.frames import any_rows, frame_of, simulated_log


def snapshot_frame(frame: Frame) -> Frame:
    columns = [name for name in SNAPSHOT_COLUMNS if name in frame.columns]
    return Frame({name: frame[name] for name in columns}, frame.vocabularies)


def reordered(frame: Frame) -> Frame:
    """The same rows under longer vocabularies in another order, with numbers of the other byte order."""
    columns = {name: values.astype(values.dtype.newbyteorder(">")) for name, values in frame.columns.items()}
    for name, levels in frame.vocabularies.items():
        codes = frame[name].astype(np.int64)
        columns[name] = np.where(codes >= 0, len(levels) - codes, codes).astype(np.int32)
    return Frame(columns, {name: ("of no row", *reversed(levels)) for name, levels in frame.vocabularies.items()})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(any_rows())
def test_what_is_read_encodes_as_what_was_written(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    frame = frame_of(rows)
    encoder = fit_encoder(frame)

    again = derive(read_snapshot(tmp_path, write_snapshot(tmp_path, snapshot_frame(frame))))

    assert (encoder.encode(again) == encoder.encode(frame)).all()
    assert fit_encoder(again) == encoder


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(any_rows())
def test_the_same_rows_have_the_same_name_however_their_vocabulary_is_ordered(
    tmp_path: Path, rows: list[dict[str, object]]
) -> None:
    frame = snapshot_frame(frame_of(rows))

    assert write_snapshot(tmp_path, reordered(frame)) == write_snapshot(tmp_path, frame)


def test_two_that_write_the_same_rows_at_the_same_time_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, replace, others = snapshot_frame(simulated_log()), os.replace, []

    def as_another_writes(source: Path, target: Path) -> None:
        if not others:
            others.append("in the middle of writing")
            others[0] = write_snapshot(tmp_path, frame)
        replace(source, target)

    monkeypatch.setattr(os, "replace", as_another_writes)

    assert [write_snapshot(tmp_path, frame)] == others
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == [f"{others[0]}.parquet"]


def test_one_changed_value_gives_another_name(tmp_path: Path) -> None:
    frame = snapshot_frame(simulated_log())
    hours = frame["actual_duration"].copy()
    hours[0] += 1e-9

    assert write_snapshot(tmp_path, frame) != write_snapshot(tmp_path, frame.with_columns(actual_duration=hours))


def test_a_snapshot_holds_neither_name_nor_address(tmp_path: Path) -> None:
    log = simulated_log()
    frame = snapshot_frame(history_from_log(log, log["session_date"].astype(np.int64), sequences=False))

    columns = set(pd.read_parquet(snapshot_path(tmp_path, write_snapshot(tmp_path, frame))).columns)

    assert columns == set(SNAPSHOT_COLUMNS)
    assert not columns & {"name", "email"}


def test_a_damaged_snapshot_is_found_and_writing_it_again_mends_it(tmp_path: Path) -> None:
    frame = snapshot_frame(simulated_log())
    sha256 = write_snapshot(tmp_path, frame)
    path = snapshot_path(tmp_path, sha256)
    table = pd.read_parquet(path)
    table.loc[0, "actual_duration"] = 1.0
    table.to_parquet(path, index=False)

    with pytest.raises(ArtifactError, match="is damaged: train again"):
        read_snapshot(tmp_path, sha256)
    write_snapshot(tmp_path, frame)
    assert len(read_snapshot(tmp_path, sha256)) == len(frame)


@pytest.mark.parametrize("content", [b"", b"PAR1 half a file"])
def test_a_snapshot_that_is_no_parquet_file_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    sha256 = write_snapshot(tmp_path, snapshot_frame(simulated_log()))
    snapshot_path(tmp_path, sha256).write_bytes(content)

    with pytest.raises(ArtifactError, match="is damaged: train again"):
        read_snapshot(tmp_path, sha256)


def test_a_missing_snapshot_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is missing: train again"):
        read_snapshot(tmp_path, "0" * 64)


def test_a_file_in_the_place_of_the_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "snapshots").write_text("")

    with pytest.raises(ArtifactError, match=r"cannot be written .*check STUDYML_ARTIFACT_ROOT"):
        write_snapshot(tmp_path, snapshot_frame(simulated_log()))


def test_old_snapshots_that_nobody_needs_are_removed_and_others_kept(tmp_path: Path) -> None:
    frame = snapshot_frame(simulated_log())
    names = [write_snapshot(tmp_path, frame.take(np.arange(rows))) for rows in (10, 20, 30)]
    (tmp_path / "snapshots" / "half.123.part").write_bytes(b"")
    for path in (tmp_path / "snapshots").iterdir():
        os.utime(path, (1000, 1000))
    write_snapshot(tmp_path, frame.take(np.arange(20)))  # in use again

    removed = remove_snapshots(tmp_path, kept=[names[0]], older_than=2000)

    assert sorted(removed) == sorted([f"{names[2]}.parquet", "half.123.part"])
    assert {path.stem for path in (tmp_path / "snapshots").iterdir()} == set(names[:2])


def test_without_any_snapshot_nothing_is_removed(tmp_path: Path) -> None:
    assert remove_snapshots(tmp_path, kept=[], older_than=1e12) == []
