"""A candidate's folder: every labelled session judged honestly, once, by its own label, whatever trained beside it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studyml.errors import TrainingError
from studyml.evaluation.gates import Holdout
from studyml.evaluation.holdout import read_holdout
from studyml.evaluation.paired import groups_of
from studyml.features.definition import derive
from studyml.frame import Frame
from studyml.hyperparameters import Hyperparameters
from studyml.interval import Interval, bounds
from studyml.model import training
from studyml.model.recipe import RECIPES, Recipe
from studyml.registry.bundle import build_folder
from studyml.registry.snapshot import read_snapshot
from studyml.registry.versions import find
from studyml.settings import Settings
from studyml.steps import build_candidate as module
from studyml.steps.opening import own_database
from studyml.steps.serving import open_version
from studyml.steps.train_candidate import train_candidate
from tests.conftest import NOW
from tests.steps.retraining import champions, constant_network, opened, query, trained_to_say

__all__ = ["constant_network"]


@pytest.fixture
def served(lived: Settings) -> Path:
    """The folder of a champion that was trained in full."""
    return lived.artifact_root / champions(lived)[0]


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def files(folder: Path) -> tuple[Holdout, Holdout]:
    return read_holdout(folder / "holdout.csv"), read_holdout(folder / "out_of_fold.csv")


def built(settings: Settings) -> Path:
    version = train_candidate(settings, retraining_run_id=opened(settings), now=NOW)
    assert version is not None
    return build_folder(settings.artifact_root, version)


def test_every_labelled_session_is_judged_once_and_the_newest_are_the_holdout(lived: Settings, served: Path) -> None:
    holdout, out_of_fold = files(served)
    labels = dict(query(lived, "SELECT session_id, actual_hours FROM studyml.outcomes"))

    judged = [*out_of_fold.session_id.tolist(), *holdout.session_id.tolist()]
    assert sorted(judged) == sorted(labels)
    assert [*out_of_fold.actual, *holdout.actual] == pytest.approx([labels[session] for session in judged])
    assert out_of_fold.session_date.max() <= holdout.session_date.min()


def test_the_holdouts_predictions_are_those_that_would_be_served(lived: Settings, served: Path) -> None:
    holdout, _ = files(served)
    with own_database(lived) as connection:
        model = open_version(lived, find(connection, served.name))
    frame = derive(read_snapshot(lived.artifact_root, read(served, "metadata.json")["snapshot_sha256"]))
    rows = [int(np.flatnonzero(frame["id"] == session)[0]) for session in holdout.session_id]

    assert holdout.predicted["network"] == pytest.approx(model.predict(frame.take(np.array(rows))).hours, abs=1e-6)


def test_out_of_fold_predictions_are_what_chose_the_recipe(served: Path) -> None:
    _, out_of_fold = files(served)
    metadata = read(served, "metadata.json")
    (chosen,) = [each for each in metadata["portfolio"] if each["chosen"]]

    errors = np.abs(out_of_fold.predicted["network"] - out_of_fold.actual)
    assert (chosen["architecture"], chosen["recipe"]) == (metadata["architecture"], metadata["recipe"])
    assert chosen["out_of_fold_mae"] == pytest.approx(errors.mean())
    assert metadata["metrics"]["out_of_fold_mae"] == pytest.approx(errors.mean())
    assert chosen["recent_out_of_fold_mae"] == pytest.approx(errors[-round(0.2 * len(errors)) :].mean())
    assert chosen["recent_out_of_fold_mae"] == min(each["recent_out_of_fold_mae"] for each in metadata["portfolio"])
    assert [each["recipe"] for each in metadata["portfolio"]] == ["selected", "history"]


def test_a_fold_is_predicted_by_what_never_saw_it(lived: Settings, served: Path) -> None:
    _, out_of_fold = files(served)
    fold = out_of_fold.predicted["fold"]

    assert set(fold) == {0.0, 1.0, 2.0, 3.0, 4.0}
    groups = groups_of(out_of_fold.student_id, out_of_fold.session_date)
    assert len(set(zip(groups.tolist(), fold.tolist(), strict=True))) == len(set(groups.tolist()))
    for each in range(5):
        others = np.median(out_of_fold.actual[fold != each])
        assert out_of_fold.predicted["median"][fold == each] == pytest.approx(others)
    estimates = dict(
        query(lived, "SELECT s.id, t.estimated_base_time FROM study_sessions s JOIN topics t ON t.id = s.topic_id")
    )
    expected = [estimates[session] for session in out_of_fold.session_id.tolist()]
    assert out_of_fold.predicted["estimate"] == pytest.approx(np.clip(expected, 0.1, 24))


def test_the_champion_is_the_chosen_network_and_not_the_setting(lived: Settings, served: Path) -> None:
    metadata = read(served, "metadata.json")

    (row,) = query(lived, "SELECT architecture, recipe FROM studyml.model_versions WHERE status = 'champion'")
    assert row == (metadata["architecture"], metadata["recipe"])
    assert "auto" not in row
    said = metadata["hyperparameters"]
    assert (said["architecture"], said["name"], said["seed"]) == (*row, metadata["seed"])
    assert metadata["libraries"].keys() >= {"scikit-learn", "onnx"}
    assert metadata["metrics"]["epochs"] == len(read(served, "learning_curves.json")["learning_rate"]) == 40


def test_the_intervals_hold_what_they_promise_of_the_errors_that_they_were_made_from(served: Path) -> None:
    _, out_of_fold = files(served)
    intervals = [Interval.from_json(each) for each in read(served, "features.json")["output"]["intervals"]]

    assert [each.coverage for each in intervals] == [0.8, 0.9]
    for each, (lower, upper) in zip(intervals, bounds(out_of_fold.predicted["network"], intervals), strict=True):
        inside = (out_of_fold.actual >= lower) & (out_of_fold.actual <= upper)
        assert inside.mean() == pytest.approx(each.coverage, abs=0.04)


def test_copies_train_and_are_never_judged_and_outliers_are_judged_and_do_not_train(
    simulated: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[training.Rows] = []

    def train(*given: Any) -> training.Trained:
        trained.append(given[0])
        return trained_to_say(3.0, *given[:3])

    monkeypatch.setattr(training, "train", train)
    query(simulated, "UPDATE study_sessions SET actual_duration = 0.1 WHERE id IN (20, 21)")
    changes = {"recipe": "guide", "hyperparameters": Hyperparameters(augmentation=2.0, outliers="remove")}

    folder = built(simulated.model_copy(update=changes))

    holdout, out_of_fold = files(folder)
    labels = dict(query(simulated, "SELECT session_id, actual_hours FROM studyml.outcomes"))
    judged = [*out_of_fold.session_id.tolist(), *holdout.session_id.tolist()]
    assert sorted(judged) == sorted(labels)
    assert [*out_of_fold.actual, *holdout.actual] == [labels[session] for session in judged]
    rows = trained[0]
    fitting = len(out_of_fold.actual)
    assert fitting == rows.judge.sum() == 480
    assert (rows.hours[:fitting] == out_of_fold.actual).all()
    removed = int((~rows.learn).sum())
    assert removed >= 2
    assert len(rows.hours) == fitting + 2 * (fitting - removed)
    metadata = read(folder, "metadata.json")
    assert (metadata["training_samples"], metadata["holdout_samples"]) == (480, 120)
    assert metadata["metrics"]["outlying_labels"] == removed
    snapshot = read_snapshot(simulated.artifact_root, metadata["snapshot_sha256"])
    assert len(snapshot) == 600


def test_nobody_trains_on_the_holdout(simulated: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []

    def train(*given: Any) -> training.Trained:
        seen.append(given[0].hours)
        return trained_to_say(3.0, *given[:3])

    monkeypatch.setattr(training, "train", train)
    query(
        simulated,
        "UPDATE study_sessions SET actual_duration = 23.5 WHERE id IN (SELECT id FROM study_sessions"
        " WHERE actual_duration IS NOT NULL ORDER BY session_date DESC, id DESC LIMIT 120)",
    )

    folder = built(simulated.model_copy(update={"level_changes": "ignore"}))  # or it would follow these labels

    *portfolio, random_split = seen
    assert len(portfolio) == 2
    assert all(len(hours) == 480 and hours.max() < 23.5 for hours in portfolio)
    assert len(random_split) == 480
    assert random_split.max() == 23.5, "the guide's random split is for comparison, and decides nothing"
    assert set(files(folder)[0].actual) == {23.5}


def test_of_very_many_rows_the_random_split_takes_some_from_all_times(
    lived: Settings, served: Path, constant_network: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    constant_network(3.0)
    snapshot = derive(read_snapshot(lived.artifact_root, read(served, "metadata.json")["snapshot_sha256"]))
    taken: list[Frame] = []
    fit = module.fit_recipe

    def watched(frame: Frame, recipe: Recipe) -> Any:
        taken.append(frame)
        return fit(frame, recipe)

    monkeypatch.setattr(module, "fit_recipe", watched)
    monkeypatch.setattr(module, "_COMPARED_ROWS", 100)

    assert module.random_split_mae(snapshot, RECIPES["guide"], 0.2) is not None
    assert [len(frame) for frame in taken] == [80]
    dates, all_dates = taken[0]["session_date"], snapshot["session_date"]
    assert dates.min() < np.quantile(all_dates, 0.05)
    assert dates.max() > np.quantile(all_dates, 0.95)


def test_a_random_split_that_cannot_be_trained_costs_a_figure_and_not_the_network(
    simulated: Settings, constant_network: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    constant_network(3.0)
    always, calls = training.train, []

    def train(*given: Any) -> training.Trained:
        calls.append(given)
        if len(calls) == 3:
            raise TrainingError("no input tells anything.")
        return always(*given)

    monkeypatch.setattr(training, "train", train)

    metadata = read(built(simulated), "metadata.json")

    assert metadata["metrics"]["random_split_mae"] is None
    assert metadata["mae"] > 0


def test_only_a_network_that_reads_sequences_has_them_in_its_snapshot(
    simulated: Settings, constant_network: Callable[[float], None]
) -> None:
    constant_network(3.0)

    def columns(architecture: str) -> set[str]:
        folder = built(simulated.model_copy(update={"architecture": architecture}))
        frame: Frame = read_snapshot(simulated.artifact_root, read(folder, "metadata.json")["snapshot_sha256"])
        return set(frame.columns)

    assert "previous_1_ratio" not in columns("ensemble")
    assert {"previous_1_ratio", "previous_10_residual"} <= columns("lstm")
