"""The evaluation document: figures that can be computed again, and words that follow from them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studyml.evaluation.gates import Holdout
from studyml.evaluation.holdout import FILE, read_holdout
from studyml.evaluation.report import Evidence, cross_validation, evaluate
from tests.steps.evaluated import build_folder

DAY = 24 * 3600 * 1_000_000


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder: Path = tmp_path_factory.mktemp("version")
    frame, metadata, importance, diagnosis = build_folder(folder)
    holdout = read_holdout(folder / FILE)
    places = np.searchsorted(frame["id"], holdout.session_id, sorter=np.argsort(frame["id"]))
    return Evidence(
        metadata,
        holdout,
        frame.take(np.argsort(frame["id"])[places]),
        read_holdout(folder / "out_of_fold.csv"),
        {"members": []},
        importance,
        diagnosis,
    )


def small(actual: list[float], predicted: list[float]) -> Holdout:
    ids = np.arange(len(actual))
    others = {name: np.full(len(actual), 2.0) for name in ("median", "estimate", "log_linear")}
    return Holdout(ids, ids, ids * DAY, np.array(actual), {"network": np.array(predicted), **others})


def test_the_document_is_json_and_the_same_every_time(evidence: Evidence) -> None:
    first, second = (json.dumps(evaluate(evidence), allow_nan=False) for _ in range(2))

    assert first == second


def test_every_predictor_of_the_holdout_stands_beside_the_version(evidence: Evidence) -> None:
    found = {each["predictor"]: each for each in evaluate(evidence)["errors"]}

    assert set(found) == {"network", "median", "estimate", "log_linear", "champion"}
    for name, hours in evidence.holdout.predicted.items():
        errors = np.abs(evidence.holdout.actual - hours)
        assert found[name]["mae"] == pytest.approx(errors.mean())
        own = np.abs(evidence.holdout.actual - evidence.holdout.predicted["network"]).mean()
        assert found[name]["ratio"] == pytest.approx(own / errors.mean())
        assert found[name]["ratio_lower"] <= found[name]["ratio"] <= found[name]["ratio_upper"]
    assert found["network"]["own"]


def test_all_cuts_are_there(evidence: Evidence) -> None:
    document = evaluate(evidence)

    found = [each["dimension"] for each in document["slices"]]
    assert set(found) == {
        *("predicted_length", "actual_length", "subject", "education_level", "time_of_day", "student", "topic")
    }
    assert document["missing"] == []


def test_cross_validation_has_each_folds_error_and_their_spread() -> None:
    rows = small([1, 1, 2, 2, 3, 3], [1, 1, 1, 1, 0, 0])
    rows = replace(rows, predicted={**rows.predicted, "fold": np.array([0, 0, 1, 1, 2, 2.0])})

    found = cross_validation(rows)

    assert [fold["mae"]["network"] for fold in found["folds"]] == [0, 1, 3]
    assert [fold["mae"]["median"] for fold in found["folds"]] == [1, 0, 1]
    own = found["summary"][0]
    assert own["predictor"] == "network"
    assert own["mean"] == pytest.approx(4 / 3)
    assert own["deviation"] == pytest.approx(np.std([0, 1, 3], ddof=1))


def test_the_headline_is_one_sentence_with_every_comparison(evidence: Evidence) -> None:
    headline = evaluate(evidence)["headline"]

    mae = np.abs(evidence.holdout.actual - evidence.holdout.predicted["network"]).mean()
    assert f"is {mae:.2f} h" in headline
    assert all(word in headline for word in ("training median", "estimated_base_time", "champion", "0.99 h"))
    assert headline.count(". ") == 0


def said(actual: np.ndarray, predicted: np.ndarray, **overrides: Any) -> dict[str, Any]:
    metadata = {"is_fallback": False, "recipe": "guide", "version": "v", **overrides}
    return evaluate(Evidence(metadata, small(actual.tolist(), predicted.tolist())))


def test_a_bias_is_said_when_it_is_one_and_not_when_it_may_be_chance() -> None:
    noise = np.random.default_rng(0).normal(0, 0.3, 200)

    fair, biased = said(3 + noise, np.full(200, 3.0)), said(3.5 + noise, np.full(200, 3.0))

    assert any("neither too long nor too short" in each for each in fair["know"])
    assert any("Sessions take longer than it says: by 3" in each for each in biased["know"])


def test_changes_of_level_are_said_as_what_happened_on_each_day() -> None:
    """Longer by a half from March on, and by a fifth less than that from April on: 1.2 times what was before March."""
    changes = [
        {"since": "2026-03-01T00:00:00+00:00", "factor": 1.2, "sessions": 1200},
        {"since": "2026-04-01T00:00:00+00:00", "factor": 0.8, "sessions": 300},
    ]

    known = said(np.full(20, 3.0), np.full(20, 3.0), level_changes=changes)["know"]

    assert known[:3] == [
        "From 2026-03-01 on sessions take 1.50 times as long as before.",
        "From 2026-04-01 on sessions take 0.80 times as long as before.",
        "It learned from, and its folds are judged on, the 1,500 training sessions before 2026-04-01 as if they had"
        " been like those since.",
    ]


@pytest.mark.parametrize(("patience", "words"), [(None, "had not seen"), (15, "each was stopped where its own fold")])
def test_folds_that_a_training_stopped_by_are_not_called_unseen(patience: int | None, words: str) -> None:
    rows = small([1, 2] * 30, [1.1, 2.1] * 30)
    folded = replace(rows, predicted={**rows.predicted, "fold": np.arange(60) % 5.0})
    metadata = {"is_fallback": False, "recipe": "guide", "hyperparameters": {"stop_patience": patience}}

    (sentence,) = [each for each in evaluate(Evidence(metadata, rows, out_of_fold=folded))["know"] if "folds" in each]

    assert words in sentence


def test_what_a_version_lacks_is_said_and_nothing_crashes() -> None:
    document = said(np.linspace(1, 4, 60), np.linspace(1, 4, 60) + 0.1)

    assert document["cross_validation"] is None
    for word in ("learning curves", "cross-validation", "importance", "diagnosed", "subject"):
        assert any(word in sentence for sentence in document["missing"]), word
    assert document["calibration"]["out_of_fold"] is None
    assert document["verdict"]["passed"] is None


def test_predictions_that_are_not_finite_have_no_error() -> None:
    document = said(np.ones(30), np.full(30, np.nan))

    assert document["errors"] is None
    assert document["slices"] is None
    assert "not all finite" in document["headline"]
    json.dumps(document, allow_nan=False)


def test_no_labelled_session_at_all_still_gives_a_report() -> None:
    document = said(np.zeros(0), np.zeros(0))

    assert document["headline"] == "There is no labelled session to judge it on."


def test_a_single_session_still_gives_a_report() -> None:
    document = said(np.array([2.5]), np.array([3.0]))

    assert document["residuals"]["median"] == -0.5
    assert document["calibration"]["holdout"] is None
    json.dumps(document, allow_nan=False)


def test_a_fallback_is_judged_as_the_naive_predictor_that_it_is() -> None:
    document = said(np.full(30, 2.5), np.full(30, 9.0), is_fallback=True, recipe="median")

    assert document["predictor"] == "median"
    assert next(each["mae"] for each in document["errors"] if each["own"]) == 0.5
    assert document["verdict"]["sentence"].startswith("A fallback")
    assert not any("learning curves" in each for each in document["missing"])


def test_the_verdict_names_the_gates_that_failed(evidence: Evidence) -> None:
    gates = [{"gate": "a", "passed": True, "reason": "fine"}, {"gate": "b", "passed": False, "reason": "too bad"}]

    failed = evaluate(replace(evidence, metadata={**evidence.metadata, "gates": gates}))
    good = evaluate(replace(evidence, metadata={**evidence.metadata, "gates": gates[:1]}))

    assert failed["verdict"] == {"passed": False, "sentence": "It failed 1 of 2 gates: too bad."}
    assert good["verdict"]["passed"] is True


def test_rows_without_an_out_of_fold_prediction_are_left_out(evidence: Evidence) -> None:
    assert evidence.out_of_fold is not None
    hours = evidence.out_of_fold.predicted["network"].copy()
    hours[:50] = np.nan
    holes = replace(evidence.out_of_fold, predicted={**evidence.out_of_fold.predicted, "network": hours})
    none = replace(holes, predicted={**holes.predicted, "network": np.full(len(hours), np.nan)})

    found = evaluate(replace(evidence, out_of_fold=holes))

    assert sum(fold["rows"] for fold in found["cross_validation"]["folds"]) == len(hours) - 50
    assert evaluate(replace(evidence, out_of_fold=none))["cross_validation"] is None


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (1.0, "as promised, within chance"),
        (3.0, "these are too narrow, by more than chance; what serves was moved by it"),
        (0.2, "these are too wide, by more than chance; what serves was moved by it"),
    ],
)
def test_the_intervals_that_the_folds_give_are_held_against_the_holdout_in_words(
    evidence: Evidence, error: float, said: str
) -> None:
    holdout = evidence.holdout
    hours = holdout.predicted["network"]
    actual = np.clip(hours * (holdout.actual / hours) ** error, 0.1, 24)

    known = evaluate(replace(evidence, holdout=replace(holdout, actual=actual)))["know"]

    (sentence,) = [each for each in known if "in the 80 % interval" in each]
    assert "where intervals are taken from the out-of-fold rows alone: " in sentence
    assert said in sentence
