"""The guide's data process, as its project generates it."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studyml import simulation
from studyml.contract import TABLES
from studyml.errors import InputError
from studyml.simulation import Simulation, simulate, write_csv

END = datetime(2026, 3, 1, tzinfo=UTC)


def read(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def labels(plan: Simulation) -> np.ndarray:
    return simulate(plan, END)["study_sessions"]["actual_duration"][: plan.sessions].astype(float)


def test_by_default_it_is_the_guides_own_size(tmp_path: Path) -> None:
    write_csv(simulate(Simulation(), END), tmp_path)
    assert (len(read(tmp_path, "students")), len(read(tmp_path, "topics"))) == (30, 25)
    sessions = read(tmp_path, "study_sessions")
    assert sum(bool(row["actual_duration"]) for row in sessions) == 600


def test_the_files_are_in_the_import_form(tmp_path: Path) -> None:
    write_csv(simulate(Simulation(sessions=10), END), tmp_path)
    for table, columns in TABLES.items():
        assert {each.header for each in columns} <= set(read(tmp_path, table)[0])


def test_the_same_seed_gives_the_same_files_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_csv(simulate(Simulation(sessions=50, seed=seed), END), tmp_path / name)
    files = [[path.read_bytes() for path in sorted((tmp_path / name).iterdir())] for name in "abc"]
    assert files[0] == files[1] != files[2]


@settings(max_examples=15, deadline=None)
@given(sessions=st.integers(1, 200), days=st.integers(1, 50), students=st.integers(1, 9), seed=st.integers(0, 99))
def test_labelled_sessions_end_before_the_end_and_planned_ones_are_in_the_week_after(
    sessions: int, days: int, students: int, seed: int
) -> None:
    table = simulate(Simulation(sessions, students, days, seed), END)["study_sessions"]
    dates = table["session_date"].astype("datetime64[s]")
    end = np.datetime64(END.replace(tzinfo=None))
    assert len(dates) > sessions
    assert (dates[:sessions] < end).all()
    assert (dates >= end - np.timedelta64(days, "D")).all()
    assert ((dates[sessions:] >= end) & (dates[sessions:] < end + np.timedelta64(7, "D"))).all()
    assert set(table["actual_duration"][sessions:]) == {""} == set(table["breaks_taken"][sessions:])
    assert table["student_id"].max() <= students


def test_a_session_is_as_long_as_its_topic_and_student_make_it() -> None:
    plan = Simulation(sessions=20_000, students=50)
    tables = simulate(plan, END)
    table = {name: values[: plan.sessions] for name, values in tables["study_sessions"].items()}
    topic, student = table["topic_id"] - 1, table["student_id"] - 1
    base = tables["topics"]["estimated_base_time"][topic]
    difficulty = tables["topics"]["difficulty_level"][topic]
    expected = base * tables["students"]["avg_focus_duration"][student] / 60 * (1 + 0.1 * (difficulty - 5))
    ratio = table["actual_duration"].astype(float) / expected
    capped = table["actual_duration"] == 24
    assert ratio[~capped].min() > 0.7 * 0.8 - 0.05
    assert ratio.max() < 1.3 * 1.4 + 0.05
    assert abs(ratio[~capped].mean() - 1.1) < 0.02
    assert (table["breaks_taken"] <= np.maximum(1, 2 * table["actual_duration"].astype(float))).all()


def test_a_shift_makes_the_sessions_from_its_day_on_longer_and_changes_nothing_else() -> None:
    plain, shifted = Simulation(sessions=900), Simulation(sessions=900, shift=1.4, shift_day=60)
    before, after = simulate(plain, END)["study_sessions"], simulate(shifted, END)["study_sessions"]
    start = np.datetime64((END - timedelta(days=30)).replace(tzinfo=None))
    late = before["session_date"][:900] >= start
    np.testing.assert_allclose(labels(shifted)[late], np.minimum(labels(plain)[late] * 1.4, 24), atol=0.02)
    np.testing.assert_array_equal(labels(shifted)[~late], labels(plain)[~late])
    assert 200 < late.sum() < 400
    np.testing.assert_array_equal(before["energy_level"], after["energy_level"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sessions": 0}, "--sessions must be from 1"),
        ({"sessions": 10**12}, "--sessions must be from 1 to 100000000"),
        ({"students": -1}, "--students must be from 1"),
        ({"days": 0}, "--days must be from 1"),
        ({"days": 10**6}, "--days must be from 1 to 36500"),
        ({"seed": -1}, "--seed must not be negative"),
        ({"shift": 0.0, "shift_day": 1}, "--shift must be above 0"),
        ({"shift": float("nan"), "shift_day": 1}, "--shift must be above 0"),
        ({"shift": 101.0, "shift_day": 1}, "at most 100"),
        ({"shift": 1.4}, "--shift needs --shift-day"),
        ({"shift": 1.4, "shift_day": -1}, "--shift-day must not be negative"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(options: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Simulation(**options)  # type: ignore[arg-type]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file cannot be written .*choose another folder for --out"):
        write_csv(simulate(Simulation(sessions=1), END), tmp_path / "file")


def test_more_rows_than_are_written_at_a_time_are_all_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "_CHUNK_ROWS", 7)
    write_csv(simulate(Simulation(sessions=50), END), tmp_path)
    assert [int(row["session_id"]) for row in read(tmp_path, "study_sessions")] == list(range(1, 55))
