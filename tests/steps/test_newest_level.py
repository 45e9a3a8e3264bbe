"""A retraining after a lasting change: it learns at the newest level and is judged on what came after."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studyml.evaluation.holdout import read_holdout
from studyml.evaluation.level import LevelChange
from studyml.features.definition import derive
from studyml.hyperparameters import Hyperparameters
from studyml.monitoring.profile import Reference
from studyml.registry.snapshot import read_snapshot
from studyml.settings import Settings
from studyml.simulation import Simulation
from studyml.steps.compare_versions import compare_versions
from studyml.steps.load import simulate_into_database
from studyml.steps.newest_level import FEWEST_HELD, changes_of, split_rows, with_newest_level
from studyml.steps.reproduce import reproduce
from studyml.steps.training_data import LABEL
from tests.conftest import END, NOW, silent
from tests.steps.retraining import champions, constant_network, query, retrained

__all__ = ["constant_network"]

FACTOR, DAYS_SINCE = 1.5, 15
CHANGED = Simulation(sessions=1200, students=60, days=120, shift=FACTOR, shift_day=120 - DAYS_SINCE)
QUICK: dict[str, Any] = {
    "architecture": "mlp",
    "recipe": "selected",
    "hyperparameters": Hyperparameters(epochs=40),
}


@pytest.fixture
def changed(make_settings: Callable[..., Settings]) -> Settings:
    """120 days of ten sessions; those of the last 15 take half as long again."""
    settings = make_settings(**QUICK)
    simulate_into_database(settings, CHANGED, end=END, now=NOW, progress=silent)
    return settings


def served(settings: Settings) -> tuple[Path, dict[str, Any]]:
    """The champion's folder and its metadata."""
    folder = settings.artifact_root / champions(settings)[0]
    return folder, json.loads((folder / "metadata.json").read_text())


def test_a_retraining_follows_the_change_says_so_and_can_be_repeated(changed: Settings) -> None:
    retrained(changed)
    folder, metadata = served(changed)
    holdout = read_holdout(folder / "holdout.csv")
    (change,) = [LevelChange.from_json(each) for each in metadata["level_changes"]]

    assert abs(change.since - (END - timedelta(days=DAYS_SINCE))) <= timedelta(days=2)
    assert change.factor == pytest.approx(FACTOR, rel=0.1)
    assert len(holdout.actual) == FEWEST_HELD, "judged on sessions from after the change alone"
    labels = dict(query(changed, "SELECT id, actual_duration::float8 FROM study_sessions"))
    assert holdout.actual.tolist() == [labels[session] for session in holdout.session_id.tolist()], "as they were"
    bias = np.mean(np.log(holdout.actual / holdout.predicted["network"]))
    assert abs(bias) < 0.2 < np.log(FACTOR), "it predicts at the newest level"
    said = f"From {change.since:%Y-%m-%d} on sessions take {change.factor:.2f} times as long as before"
    assert said in (folder / "model_card.md").read_text()
    assert said in (folder / "evaluation.html").read_text()
    assert reproduce(changed, folder.name)["agrees"]


def test_a_fallback_after_a_change_is_expected_to_err_as_at_the_newest_level(
    changed: Settings, constant_network: Callable[[float], None]
) -> None:
    constant_network(24.0)
    query(changed, "UPDATE topics SET estimated_base_time = 0.2")  # useless: the median is better
    retrained(changed)
    (rejected,) = query(changed, "SELECT version FROM studyml.model_versions WHERE NOT is_fallback")
    metadata = json.loads((changed.artifact_root / rejected[0] / "metadata.json").read_text())
    frame = derive(read_snapshot(changed.artifact_root, metadata["snapshot_sha256"]))
    changes = changes_of(metadata)
    folder, fallback = served(changed)
    reference = Reference.from_json(json.loads((folder / "reference.json").read_text()))

    assert fallback["recipe"] == "median"
    assert len(changes) == 1
    at_newest, as_they_were = (rows[LABEL].astype(np.float64) for rows in (with_newest_level(frame, changes), frame))
    median = reference.errors.predicted[0]
    expected = np.average(reference.errors.error, weights=reference.errors.rows)
    assert expected == pytest.approx(np.abs(at_newest - median).mean())
    assert expected != pytest.approx(np.abs(as_they_were - median).mean())


def test_a_comparison_of_versions_lists_the_changes_that_one_followed(
    changed: Settings, make_settings: Callable[..., Settings], constant_network: Callable[[float], None]
) -> None:
    constant_network(4.0)
    retrained(changed)
    retrained(make_settings(**QUICK, level_changes="ignore"), now=NOW + timedelta(minutes=1))

    networks = query(changed, "SELECT version FROM studyml.model_versions WHERE NOT is_fallback ORDER BY version")
    found = compare_versions(changed, *(version for (version,) in networks))

    (listed,) = [each for each in found["differences"] if (each["section"], each["name"]) == ("data", "level_changes")]
    assert [change["factor"] for change in listed["first"]] == [pytest.approx(FACTOR, rel=0.1)]
    assert listed["second"] == []


def test_told_to_ignore_changes_it_learns_from_labels_as_they_are(
    changed: Settings, make_settings: Callable[..., Settings]
) -> None:
    retrained(make_settings(**QUICK, level_changes="ignore"))
    folder, metadata = served(changed)
    holdout = read_holdout(folder / "holdout.csv")

    assert metadata["level_changes"] == []
    assert len(holdout.actual) == metadata["holdout_samples"] > 200
    assert np.mean(np.log(holdout.actual / holdout.predicted["network"])[-100:]) > 0.2


def test_without_a_change_a_fifth_is_held_out_and_no_label_moves(lived: Settings) -> None:
    _, metadata = served(lived)
    frame = derive(read_snapshot(lived.artifact_root, metadata["snapshot_sha256"]))

    split = split_rows(frame, holdout_fraction=0.2, follow=True)

    assert split.changes == ()
    assert int(split.held.sum()) == round(0.2 * len(frame))
    assert with_newest_level(frame, split.changes) is frame


def test_no_label_grows_beyond_a_day(lived: Settings) -> None:
    _, metadata = served(lived)
    frame = derive(read_snapshot(lived.artifact_root, metadata["snapshot_sha256"]))

    longer = with_newest_level(frame, (LevelChange(END + timedelta(days=1), 100.0, len(frame)),))

    assert longer[LABEL].astype(np.float64).max() == 24
    assert (longer[LABEL].astype(np.float64) > frame[LABEL].astype(np.float64)).all()
