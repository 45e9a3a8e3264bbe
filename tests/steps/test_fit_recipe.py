"""One recipe on labelled rows: which inputs it sees, which rows train and judge, and honest errors for every row."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studyml.errors import TrainingError
from studyml.evaluation.folds import grouped_folds
from studyml.evaluation.paired import groups_of
from studyml.features.definition import DERIVED
from studyml.features.encoder import GUIDE_INPUTS
from studyml.features.history import HISTORY_FEATURES, SEQUENCE_FEATURES, SEQUENCE_LENGTH
from studyml.features.outliers import outlying
from studyml.frame import Frame
from studyml.model import training
from studyml.model.networks import Layout
from studyml.model.recipe import RECIPES, Recipe
from studyml.model.saving import save
from studyml.model.selection import select_by_fold
from studyml.scoring.predictor import open_network, run_network
from studyml.steps import fit_recipe as steps
from studyml.steps.fit_recipe import Fitted, fit_recipe, layout_of, limited, predict_hours, recent_rows
from tests.evaluation.trainings import log
from tests.steps.retraining import trained_to_say

Seen = list[tuple[training.Rows, Recipe, Layout]]


@pytest.fixture(scope="module")
def frame() -> Frame:
    return log()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What every training was given; each one says three hours."""
    found: Seen = []

    def train(rows: training.Rows, recipe: Recipe, layout: Layout, _: Any = None) -> training.Trained:
        found.append((rows, recipe, layout))
        return trained_to_say(3.0, rows, recipe, layout)

    monkeypatch.setattr(training, "train", train)
    return found


def inputs_of(fitted: Fitted) -> set[str]:
    return {each.feature for each in fitted.encoder.inputs}


def test_the_guides_recipe_sees_the_guides_features_and_no_history(frame: Frame, seen: Seen) -> None:
    fitted = fit_recipe(frame, RECIPES["guide"])

    assert inputs_of(fitted) <= set(GUIDE_INPUTS)
    assert {each.kind for each in fitted.encoder.inputs} <= {"number", "missing", "level"}
    assert set(fitted.encoder.dropped) == {"breaks_taken"}


def test_the_history_recipe_sees_everything_and_the_logarithms_of_lengths(frame: Frame, seen: Seen) -> None:
    fitted = fit_recipe(frame, RECIPES["history"])

    assert set(HISTORY_FEATURES) <= inputs_of(fitted)
    logs = {each.feature for each in fitted.encoder.inputs if each.kind == "log"}
    assert logs == {"estimated_base_time", "avg_focus_duration", "difficulty_level"}


def test_the_selected_recipe_sees_what_tells_the_length_and_says_why_the_rest_is_gone(frame: Frame, seen: Seen) -> None:
    noise = np.random.default_rng(0).normal(20, 3, len(frame)).round()
    fitted = fit_recipe(frame.with_columns(age=noise), RECIPES["selected"])

    assert {"estimated_base_time", "avg_focus_duration"} <= inputs_of(fitted)
    assert "age" not in inputs_of(fitted)
    assert fitted.encoder.dropped["age"] == "it tells nothing about the length that chance would not"
    ((rows, _, layout),) = seen
    assert rows.matrix.shape == (len(frame), layout.inputs)
    assert layout == replace(layout_of(fitted.encoder), seen=layout.seen)
    assert (layout.inputs, layout.sequence) == (len(fitted.encoder.inputs), ())
    assert np.array(layout.seen).shape == (5, layout.inputs)
    assert np.array(layout.seen).any(axis=0).all(), "what no member sees is no input"


def meeting(frame: Frame) -> Frame:
    """The rows with lengths that depend on which study method meets which energy."""
    method, energy = frame["study_method"].astype(int), frame["energy_level"].astype(float)
    random = np.random.default_rng(0)
    logs = np.log(frame["estimated_base_time"].astype(float)) + 0.5 * np.where(method % 2, 1, -1) * (energy - 3)
    hours = np.clip(np.exp(logs + random.normal(0, 0.2, len(frame))), 0.1, 24)
    return frame.with_columns(actual_duration=hours)


def products(fitted: Fitted) -> list[int]:
    return [position for position, each in enumerate(fitted.encoder.inputs) if each.kind == "product"]


def test_the_selected_recipe_sees_where_two_features_meet_that_tell_more_together(frame: Frame, seen: Seen) -> None:
    fitted = fit_recipe(meeting(frame), RECIPES["selected"])

    pair = ("study_method", "energy_level")
    meets = [each for each in products(fitted) if fitted.encoder.inputs[each].features == pair]
    assert "study_method" not in fitted.encoder.dropped
    assert np.array(seen[-1][2].seen)[:, meets].any(axis=1).all(), "each fold found them by other folds' rows"


def test_a_fold_has_no_say_in_what_its_own_member_sees(frame: Frame, seen: Seen) -> None:
    before = fit_recipe(meeting(frame), RECIPES["selected"])
    inside = before.folds == 2
    others = np.random.default_rng(1).permutation(frame["actual_duration"].astype(float))
    hours = np.where(inside, others, meeting(frame)["actual_duration"].astype(float))
    after = fit_recipe(frame.with_columns(actual_duration=hours), RECIPES["selected"])

    visible = [
        {each.name for each, shown in zip(fitted.encoder.inputs, layout.seen[2], strict=True) if shown}
        for fitted, (_, _, layout) in zip((before, after), seen, strict=True)
    ]

    assert any(" x " in name for name in visible[0])
    assert visible[0] == visible[1]


def test_of_very_many_rows_a_part_selects_for_all(frame: Frame, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    selecting: list[int] = []

    def select(matrix: np.ndarray, *others: Any) -> np.ndarray:
        selecting.append(len(matrix))
        return select_by_fold(matrix, *others)

    monkeypatch.setattr(steps, "_SELECTION_ROWS", len(frame) // 2)
    monkeypatch.setattr(steps, "select_by_fold", select)
    fitted = fit_recipe(meeting(frame), RECIPES["selected"])

    assert selecting == [len(frame) // 2]
    assert seen[-1][0].matrix.shape == (len(frame), len(fitted.encoder.inputs))
    assert products(fitted)


def test_a_layout_tells_which_inputs_are_made_of_one_feature(frame: Frame) -> None:
    encoder = fit_recipe(frame, RECIPES["guide"]).encoder
    layout = layout_of(encoder)

    of_feature: dict[str, set[int]] = {}
    for each, number in zip(encoder.inputs, layout.feature_of, strict=True):
        of_feature.setdefault(each.feature, set()).add(number)
    assert max(map(len, of_feature.values())) == 1, "a feature has one number"
    assert sorted(number for own in of_feature.values() for number in own) == list(range(len(of_feature)))
    assert len(of_feature) < layout.inputs, "a category has an input for each level"


@pytest.mark.parametrize("name", RECIPES)
def test_an_lstm_reads_every_previous_session_the_oldest_first_whatever_the_recipe_selects(
    frame: Frame, seen: Seen, name: str
) -> None:
    fitted = fit_recipe(frame, replace(RECIPES[name], architecture="lstm"))
    layout = layout_of(fitted.encoder)

    assert set(SEQUENCE_FEATURES) <= inputs_of(fitted)
    assert len(layout.sequence) == SEQUENCE_LENGTH
    read = [[fitted.encoder.inputs[position].name for position in session] for session in layout.sequence]
    oldest = f"previous_{SEQUENCE_LENGTH}"
    assert read[0] == [f"{oldest}_ratio", f"{oldest}_ratio=missing", f"{oldest}_residual", f"{oldest}_residual=missing"]
    assert [session[0] for session in read] == [f"previous_{step}_ratio" for step in range(SEQUENCE_LENGTH, 0, -1)]
    ((rows, _, given),) = seen
    assert replace(given, seen=()) == layout
    if given.seen:
        assert np.array(given.seen)[:, np.array(layout.sequence)].all(), "every member reads the whole sequence"
    newest = rows.matrix[:, layout.sequence[-1][1]] * fitted.encoder.inputs[layout.sequence[-1][1]].scale
    missing = np.isnan(frame["previous_1_ratio"].astype(float))
    assert (newest[missing] > newest[~missing].max()).all(), "a session that is not there is said to be none"


@pytest.mark.parametrize("name", ["guide", "history"])
def test_no_other_network_reads_a_sequence(frame: Frame, seen: Seen, name: str) -> None:
    for architecture in ("mlp", "ensemble", "attention"):
        fitted = fit_recipe(frame, replace(RECIPES[name], architecture=architecture))
        assert inputs_of(fitted).isdisjoint(SEQUENCE_FEATURES)


def test_every_row_trains_and_judges_and_a_groups_rows_share_a_fold(frame: Frame, seen: Seen) -> None:
    fitted = fit_recipe(frame, RECIPES["guide"])

    ((rows, _, _),) = seen
    students, dates = frame["student_id"].astype(np.int64), frame["session_date"].astype(np.int64)
    assert rows.learn.all()
    assert rows.judge.all()
    assert (rows.newest == recent_rows(frame)).all()
    assert rows.newest.sum() == round(0.2 * len(frame))
    assert (rows.folds == fitted.folds).all()
    assert (fitted.folds == grouped_folds(students, dates, folds=5, seed=42)).all()
    groups = groups_of(students, dates)
    assert len({(group, fold) for group, fold in zip(groups, fitted.folds, strict=True)}) == len(set(groups.tolist()))


def assert_folds_of_copies(rows: training.Rows, fitted: Fitted) -> None:
    """Every noisy copy is in the fold of the row that it was made from."""
    count = len(fitted.folds)
    # A copy agrees with its row in everything but the scales: where that tells the row, the fold must be its own.
    noisy = {"energy_level", "distraction_level", *DERIVED}
    same = [position for position, each in enumerate(fitted.encoder.inputs) if each.feature not in noisy]
    keys = [row.tobytes() for row in rows.matrix[:, same]]
    fold_of = {key: int(fold) for key, fold in zip(keys[:count], rows.folds, strict=False)}
    alone = {key for key, times in Counter(keys[:count]).items() if times == 1}
    assert len(alone) > 0.9 * count
    copies = [(fold_of[key], int(fold)) for key, fold in zip(keys, rows.folds, strict=True) if key in alone]
    assert len(copies) > 1.5 * count
    assert all(own == fold for own, fold in copies)


def test_noisy_copies_train_in_the_fold_of_their_row_and_judge_nothing(frame: Frame, seen: Seen) -> None:
    fitted = fit_recipe(frame, replace(RECIPES["history"], augmentation=1.5))
    plain = fit_recipe(frame, RECIPES["history"])

    (given, *_), (without, *_) = seen
    count = len(frame)
    assert len(given.hours) == count + round(1.5 * count)
    assert given.learn[count:].all()
    assert not given.judge[count:].any()
    assert (given.matrix[:count] == without.matrix).all()
    assert (given.hours[:count] == without.hours).all()
    assert fitted.encoder == plain.encoder, "what the copies hold has no say in the scales"
    assert_folds_of_copies(given, fitted)
    assert len(fitted.out_of_fold) == len(fitted.folds) == count


def test_removed_outliers_train_nothing_are_not_copied_and_are_judged(frame: Frame, seen: Seen) -> None:
    hours = frame["actual_duration"].astype(float).copy()
    hours[[5, 50, 500]] = [0.1, 24.0, 0.1]
    strange = frame.with_columns(actual_duration=hours)
    out = outlying(hours)
    assert out[[5, 50, 500]].all()

    fitted = fit_recipe(strange, replace(RECIPES["history"], outliers="remove", augmentation=1.0))

    ((rows, _, _),) = seen
    count = len(frame)
    assert (rows.learn[:count] == ~out).all()
    assert rows.judge[:count].all()
    assert len(rows.hours) == 2 * count - int(out.sum())
    assert_folds_of_copies(rows, fitted)
    assert len(fitted.out_of_fold) == count


def test_removed_outliers_have_no_say_in_which_inputs_are_selected(frame: Frame, seen: Seen) -> None:
    hours = frame["actual_duration"].astype(float).copy()
    hours[[5, 50, 500]] = 1e-6
    strange = frame.with_columns(actual_duration=hours)

    with pytest.raises(TrainingError, match="no input tells anything"):
        fit_recipe(strange, RECIPES["selected"])
    fitted = fit_recipe(strange, replace(RECIPES["selected"], outliers="remove"))

    assert "estimated_base_time" in fitted.encoder.features


def test_out_of_fold_hours_are_limited_and_what_is_no_number_stays_so(
    frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(hours: float) -> Fitted:
        monkeypatch.setattr(training, "train", lambda *given: trained_to_say(hours, *given[:3]))
        return fit_recipe(frame, RECIPES["guide"])

    assert set(says(100.0).out_of_fold) == {24.0}
    assert set(says(-1.0).out_of_fold) == {0.1}
    assert np.isnan(says(np.inf).out_of_fold).all()
    assert predict_hours(says(100.0), frame) == pytest.approx(100.0), "what serves is limited where it is served"
    assert limited(np.array([np.nan, -np.inf, 0.0, 3.0])) == pytest.approx([np.nan, np.nan, 0.1, 3.0], nan_ok=True)


def test_a_real_training_gives_every_row_an_honest_prediction_and_the_same_again(frame: Frame) -> None:
    quick = replace(RECIPES["history"], architecture="ensemble", epochs=2, layers=(8,), dropouts=(0.0,))

    first, second = fit_recipe(frame, quick), fit_recipe(frame, quick)

    assert first.out_of_fold.shape == first.folds.shape == (len(frame),)
    assert np.isfinite(first.out_of_fold).all()
    assert second.out_of_fold == pytest.approx(first.out_of_fold, abs=1e-6)
    assert predict_hours(second, frame) == pytest.approx(predict_hours(first, frame), abs=1e-6)
    assert np.abs(predict_hours(first, frame) - first.out_of_fold).max() > 1e-3
    assert [each["member"] for each in first.curves["members"]] == [f"fold {fold}" for fold in range(1, 6)]
    assert all(len(each["loss"]) == len(each["val_loss"]) == 2 for each in first.curves["members"])
    assert len(first.curves["learning_rate"]) == 2


def test_too_few_rows_are_a_sentence(frame: Frame) -> None:
    with pytest.raises(TrainingError, match="are too few to train a network on"):
        fit_recipe(frame.take(np.arange(len(frame)) < 6), RECIPES["guide"])


@pytest.mark.parametrize("recipe", ["guide", "selected"])
@pytest.mark.parametrize("architecture", ["ensemble", "lstm", "attention"])
def test_every_architecture_goes_with_every_recipe_and_its_export_serves_the_same(
    frame: Frame, tmp_path: Path, architecture: str, recipe: str
) -> None:
    fitted = fit_recipe(frame, replace(RECIPES[recipe], architecture=architecture, epochs=2))
    save(fitted.trained, tmp_path)

    served = run_network(open_network(tmp_path / "model.onnx"), fitted.encoder.encode(frame))

    assert served == pytest.approx(predict_hours(fitted, frame), abs=1e-4)
    assert np.isfinite(fitted.out_of_fold).all()
