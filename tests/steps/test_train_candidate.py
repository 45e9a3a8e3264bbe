"""Training builds a candidate aside: everything that judging and scoring need, and nothing serves it yet."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studyml.errors import ArtifactError, DatabaseError, SourceError
from studyml.evaluation.holdout import FILE, read_holdout
from studyml.features.encoder import Encoder
from studyml.hyperparameters import Hyperparameters
from studyml.model import training
from studyml.model.networks import Layout
from studyml.model.recipe import Recipe
from studyml.registry.bundle import build_folder
from studyml.registry.snapshot import read_snapshot
from studyml.settings import Settings
from studyml.steps import build_candidate
from studyml.steps import train_candidate as module
from studyml.steps.evaluate_candidate import evaluate_candidate
from studyml.steps.publish_version import publish_version
from studyml.steps.train_candidate import train_candidate
from tests.conftest import NOW
from tests.steps.retraining import champions, constant_network, keep_labels, last_run, opened, query, retrained

__all__ = ["constant_network"]
QUICK = {"architecture": "mlp", "recipe": "guide", "hyperparameters": Hyperparameters(epochs=2, neurons=8, layers=2)}


@pytest.fixture
def quick(simulated: Settings) -> Settings:
    """The simulated log, with trainings of a small network of the guide's for two epochs."""
    return simulated.model_copy(update=QUICK)


def trained(settings: Settings) -> Path:
    version = train_candidate(settings, retraining_run_id=opened(settings), now=NOW)
    assert version is not None
    return build_folder(settings.artifact_root, version)


def served(settings: Settings) -> Path:
    """The folder of the champion, which was trained in full."""
    return settings.artifact_root / champions(settings)[0]


def metadata(folder: Path) -> dict[str, object]:
    return dict(json.loads((folder / "metadata.json").read_text()))


def test_a_version_has_every_file_of_the_design_and_says_what_it_is(lived: Settings) -> None:
    folder = served(lived)

    assert {path.name for path in folder.iterdir()} == {
        "model.keras",
        "model.onnx",
        "features.json",
        "scaler.joblib",
        "encoders.joblib",
        "metadata.json",
        "holdout.csv",
        "reference.json",
        "out_of_fold.csv",
        "learning_curves.json",
        "evaluation.json",
        "evaluation.html",
        "learning_curves.png",
        "predicted_actual.png",
        "residuals.png",
        "model_card.md",
        "manifest.json",
    }
    said = metadata(folder)
    assert said["version"] == folder.name
    assert said["is_fallback"] is False
    ((labels,),) = query(lived, "SELECT count(*) FROM studyml.outcomes")
    assert said["training_samples"] + said["holdout_samples"] == labels  # type: ignore[operator]
    assert said["holdout_samples"] == round(labels * 0.2)
    assert set(said["baselines"]) == {"median", "estimate", "log_linear"}  # type: ignore[call-overload]
    assert {"tensorflow", "keras", "onnxruntime", "numpy", "studyml"} <= set(said["libraries"])  # type: ignore[call-overload]
    assert said["features_dropped"]["breaks_taken"] == "never known before a session"  # type: ignore[index]
    assert {name.partition("=")[0] for name in said["features"]}.isdisjoint(said["features_dropped"])  # type: ignore[attr-defined, call-overload]
    assert said["mae"] > 0  # type: ignore[operator]
    assert said["rmse"] >= said["mae"]  # type: ignore[operator]
    assert said["metrics"]["random_split_mae"] > 0  # type: ignore[index]
    assert said["metrics"]["export_parity_hours"] <= 1e-4  # type: ignore[index]
    assert said["seed"] == 42


def test_the_row_of_a_candidate_says_the_same_and_nothing_serves_it(
    quick: Settings, constant_network: Callable[[float], None]
) -> None:
    constant_network(3.0)
    folder = trained(quick)

    (row,) = query(
        quick,
        "SELECT version, status, training_rows, holdout_rows, metrics, manifest_sha256 FROM studyml.model_versions",
    )
    assert row[:4] == (folder.name, "candidate", 480, 120)
    assert row[4] == metadata(folder)["metrics"]
    assert row[5] is None
    assert champions(quick) == []
    assert not (quick.artifact_root / folder.name).exists()


def test_the_holdout_is_the_newest_fifth_and_its_errors_give_the_metrics(lived: Settings) -> None:
    folder = served(lived)
    holdout = read_holdout(folder / FILE)
    ids = [
        row[0]
        for row in query(
            lived,
            "SELECT session_id FROM studyml.outcomes ORDER BY session_date DESC, session_id DESC LIMIT %s",
            (len(holdout.actual),),
        )
    ]

    assert sorted(holdout.session_id.tolist()) == sorted(ids)
    errors = holdout.predicted["network"] - holdout.actual
    assert metadata(folder)["mae"] == pytest.approx(np.abs(errors).mean())
    assert metadata(folder)["rmse"] == pytest.approx(np.sqrt((errors**2).mean()))
    for name in ("median", "estimate", "log_linear"):
        expected = np.abs(holdout.predicted[name] - holdout.actual).mean()
        assert metadata(folder)["metrics"][f"{name}_mae"] == pytest.approx(expected)  # type: ignore[index]


def test_the_naive_predictors_learn_from_the_training_rows_alone(lived: Settings) -> None:
    folder = served(lived)
    holdout = read_holdout(folder / FILE)
    frame = read_snapshot(lived.artifact_root, str(metadata(folder)["snapshot_sha256"]))
    older = frame.take(~np.isin(frame["id"], holdout.session_id))

    assert len(older) == metadata(folder)["training_samples"]
    assert holdout.predicted["median"] == pytest.approx(np.median(older["actual_duration"].astype(float)))


def test_breaks_taken_in_the_source_changes_neither_network_nor_metrics(quick: Settings) -> None:
    first = metadata(trained(quick))
    query(quick, "UPDATE study_sessions SET breaks_taken = 50 - coalesce(breaks_taken, 7)")

    second = metadata(trained(quick))

    assert second["snapshot_sha256"] == first["snapshot_sha256"]
    assert second["mae"] == pytest.approx(first["mae"], abs=1e-6)  # type: ignore[arg-type]


def test_the_encoder_never_saw_the_holdout(quick: Settings, constant_network: Callable[[float], None]) -> None:
    constant_network(3.0)
    query(
        quick,
        "UPDATE study_sessions SET study_method = 'only lately' WHERE id IN (SELECT id FROM study_sessions"
        " WHERE actual_duration IS NOT NULL ORDER BY session_date DESC, id DESC LIMIT 120)",
    )

    encoder = Encoder.from_json(json.loads((trained(quick) / "features.json").read_text())["features"])

    assert "only lately" not in encoder.categories["study_method"]


def test_run_again_it_trains_again_under_the_same_version(
    quick: Settings, constant_network: Callable[[float], None]
) -> None:
    constant_network(3.0)
    run_id = opened(quick)

    versions = {train_candidate(quick, retraining_run_id=run_id, now=NOW) for _ in range(2)}

    assert len(versions) == 1
    assert query(quick, "SELECT count(*) FROM studyml.model_versions") == [(1,)]


def test_a_decided_run_is_not_trained_again(
    quick: Settings, constant_network: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    constant_network(3.0)
    run_id = opened(quick)
    train_candidate(quick, retraining_run_id=run_id, now=NOW)
    evaluate_candidate(quick, retraining_run_id=run_id)
    decided = publish_version(quick, retraining_run_id=run_id, now=NOW)
    monkeypatch.setattr(module, "_train", None)

    assert train_candidate(quick, retraining_run_id=run_id, now=NOW) == decided["version"]
    assert evaluate_candidate(quick, retraining_run_id=run_id) is False
    assert decided["decision"] == "fallback"


def test_under_50_labels_no_network_is_trained(quick: Settings, caplog: pytest.LogCaptureFixture) -> None:
    keep_labels(quick, 49)

    with caplog.at_level(logging.INFO, "studyml"):
        assert train_candidate(quick, retraining_run_id=opened(quick), now=NOW) is None

    assert "fewer than 50: no network is trained" in caplog.text
    assert query(quick, "SELECT count(*) FROM studyml.model_versions") == [(0,)]


def test_refused_rows_are_quarantined_with_their_reason(
    quick: Settings, constant_network: Callable[[float], None]
) -> None:
    constant_network(3.0)
    query(quick, "UPDATE topics SET estimated_base_time = -2 WHERE id = 4")

    said = metadata(trained(quick))

    rows = query(quick, "SELECT source, column_name, reason FROM studyml.quarantined_rows")
    assert set(rows) == {("study_sessions", "estimated_base_time", "estimated_base_time is -2 hours, not above 0")}
    assert said["training_samples"] + said["holdout_samples"] + len(rows) == 600  # type: ignore[operator]


def test_a_training_that_blows_up_is_a_candidate_with_numbers_that_are_not_finite(
    quick: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = training.train

    def blown_up(rows: training.Rows, recipe: Recipe, layout: Layout, _: object = None) -> training.Trained:
        return train(replace(rows, hours=np.full_like(rows.hours, np.nan)), recipe, layout)

    monkeypatch.setattr(training, "train", blown_up)

    folder = trained(quick)

    assert np.isnan(read_holdout(folder / FILE).predicted["network"]).all()
    assert metadata(folder)["mae"] is None
    assert metadata(folder)["metrics"]["random_split_mae"] is None  # type: ignore[index]
    assert metadata(folder)["metrics"]["export_parity_hours"] is None  # type: ignore[index]


@pytest.mark.parametrize("hours", [np.inf, -np.inf])
def test_an_infinite_prediction_stays_visible_and_is_not_limited_to_a_day(
    quick: Settings, constant_network: Callable[[float], None], hours: float
) -> None:
    constant_network(hours)

    assert np.isnan(read_holdout(trained(quick) / FILE).predicted["network"]).all()


def test_rows_in_which_nothing_varies_give_no_network_and_no_crash(quick: Settings) -> None:
    for table, names in {
        "students": ("age", "education_level", "learning_style", "avg_focus_duration"),
        "topics": ("subject", "difficulty_level", "estimated_base_time", "prerequisites_count", "content_type"),
        "study_sessions": ("time_of_day", "study_method", "environment", "energy_level", "distraction_level"),
    }.items():
        query(quick, f"UPDATE {table} SET " + ", ".join(f"{name} = NULL" for name in names))
    run_id = opened(quick)

    train_candidate(quick, retraining_run_id=run_id, now=NOW)

    assert evaluate_candidate(quick, retraining_run_id=run_id) is False
    decided = publish_version(quick, retraining_run_id=run_id, now=NOW)
    assert decided["decision"] == "fallback"
    assert "no network could be trained on these rows" in decided["reasons"]


def test_a_file_in_the_place_of_the_artifact_root_fails_the_run_with_a_sentence(quick: Settings) -> None:
    quick.artifact_root.write_text("")

    with pytest.raises(ArtifactError, match="check STUDYML_ARTIFACT_ROOT"):
        train_candidate(quick, retraining_run_id=opened(quick), now=NOW)

    assert last_run(quick)["decision"] == "failed"
    assert "check STUDYML_ARTIFACT_ROOT" in last_run(quick)["reasons"][0]


def test_a_statement_that_postgresql_refuses_fails_the_run_with_what_it_said(quick: Settings) -> None:
    query(
        quick,
        "CREATE FUNCTION studyml.refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'the tablespace is full'; END $$;"
        " CREATE TRIGGER refuse BEFORE INSERT ON studyml.model_versions EXECUTE FUNCTION studyml.refuse()",
    )

    with pytest.raises(DatabaseError, match="the tablespace is full"):
        train_candidate(quick, retraining_run_id=opened(quick), now=NOW)

    assert last_run(quick)["decision"] == "failed"
    assert last_run(quick)["reasons"] == ["PostgreSQL refused a statement: the tablespace is full"]


def test_a_disk_that_fills_up_fails_the_run_with_a_sentence_and_a_retry_succeeds(
    quick: Settings, constant_network: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    constant_network(3.0)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    run_id = opened(quick)
    with monkeypatch.context() as patch:
        patch.setattr(build_candidate, "write_holdout", full)
        with pytest.raises(ArtifactError, match=r"No space left on device.*free space"):
            train_candidate(quick, retraining_run_id=run_id, now=NOW)
    assert last_run(quick)["decision"] == "failed"

    train_candidate(quick, retraining_run_id=run_id, now=NOW)
    evaluate_candidate(quick, retraining_run_id=run_id)
    assert publish_version(quick, retraining_run_id=run_id, now=NOW)["decision"] == "fallback"
    assert last_run(quick)["decision"] == "fallback"


def test_a_source_that_vanished_fails_the_run_with_a_sentence(quick: Settings) -> None:
    run_id = opened(quick)
    query(quick, "DROP TABLE study_sessions")

    with pytest.raises(SourceError, match=r"the source has no table public\.study_sessions"):
        train_candidate(quick, retraining_run_id=run_id, now=NOW)

    assert last_run(quick)["decision"] == "failed"


def test_no_transaction_stays_open_while_a_network_trains(
    quick: Settings, constant_network: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    constant_network(3.0)
    found: list[str] = []
    train = training.train

    def watched(*given: Any) -> training.Trained:
        states = query(
            quick,
            "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND application_name = 'studyml'",
        )
        found.extend(state for (state,) in states)
        return train(*given)

    monkeypatch.setattr(training, "train", watched)
    run_id = opened(quick)
    for _ in range(2):  # the second time the version is reserved already
        train_candidate(quick, retraining_run_id=run_id, now=NOW)

    assert set(found) == {"idle"}


def test_labels_that_are_all_the_same_are_learned_and_served(quick: Settings) -> None:
    query(quick, "UPDATE study_sessions SET actual_duration = 2 WHERE actual_duration IS NOT NULL")

    few_epochs = {"recipe": "history", "hyperparameters": Hyperparameters(epochs=2)}
    decided = retrained(quick.model_copy(update=few_epochs))

    assert decided is not None
    assert decided["decision"] in ("promoted", "fallback")
