"""The fallback: predictions from the first night, by the same path, until a network has earned its place."""

import json
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest

from studyml.registry.versions import find
from studyml.settings import Settings
from studyml.steps.night import night
from studyml.steps.opening import own_database
from studyml.steps.serving import open_version
from studyml.steps.training_data import read_training_data
from tests.conftest import END, NOW, silent
from tests.features.frames import frame_of
from tests.steps.retraining import champions, constant_network, keep_labels, last_run, query, retrained

__all__ = ["constant_network"]


def serving(settings: Settings) -> dict[str, object]:
    names = ("version", "architecture", "recipe", "is_fallback", "training_rows", "metrics")
    (row,) = query(settings, f"SELECT {', '.join(names)} FROM studyml.model_versions WHERE status = 'champion'")
    return dict(zip(names, row, strict=True))


def predicted(settings: Settings, *estimates: float | None) -> list[float]:
    """What the champion says for sessions whose topics have these estimates."""
    with own_database(settings) as connection:
        model = open_version(settings, find(connection, champions(settings)[0]))
    return model.predict(frame_of([{"estimated_base_time": each} for each in estimates])).hours.tolist()


def test_without_any_label_the_topics_estimate_is_predicted_and_else_one_hour(simulated: Settings) -> None:
    keep_labels(simulated, 0)

    result = night(simulated, as_of=END, now=NOW, progress=silent)

    assert result["retraining"]["decision"] == "fallback"
    assert result["scoring"]["written"] == result["scoring"]["planned"] > 0
    assert serving(simulated)["is_fallback"] is True
    assert predicted(simulated, 2.5, 7.0, None) == pytest.approx([2.5, 7.0, 1.0])
    assert result["retraining"]["reasons"] == [
        "fallback: the topic's estimated_base_time, since there is no label to choose by",
        "no network is trained on fewer than 50 labels",
    ]


def test_a_fallback_knows_the_sessions_that_a_network_would_not_learn_from(simulated: Settings) -> None:
    later = simulated.model_copy(update={"training_from": END.date()})

    result = night(later, as_of=END, now=NOW, progress=silent)

    assert result["retraining"]["decision"] == "fallback"
    why, why_not = result["retraining"]["reasons"]
    assert "(MAE on 600 sessions: " in why
    assert why_not == f"no network is trained on fewer than 50 labels of sessions since {END.date()}"


def test_predictions_of_a_fallback_without_labels_have_no_interval_and_are_marked(simulated: Settings) -> None:
    keep_labels(simulated, 0)
    night(simulated, as_of=END, now=NOW, progress=silent)

    rows = query(
        simulated,
        "SELECT DISTINCT is_fallback, lower_hours, upper_hours, lower_hours_90, upper_hours_90"
        " FROM analytics.study_time_predictions",
    )
    assert rows == [(True, None, None, None, None)]


def test_under_50_labels_the_better_naive_predictor_on_all_of_them_is_published(simulated: Settings) -> None:
    keep_labels(simulated, 49)
    decided = retrained(simulated)
    with own_database(simulated) as connection:
        frame = read_training_data(simulated, connection, as_of=END, through_outcome_id=10**9).frame
    hours = frame["actual_duration"].astype(float)
    errors = {
        "median": float(np.abs(hours - np.median(hours)).mean()),
        "estimate": float(np.abs(hours - frame["estimated_base_time"].astype(float)).mean()),
    }

    found = serving(simulated)

    assert decided is not None
    assert decided["decision"] == "fallback"
    assert len(frame) == 49
    assert found["recipe"] == min(errors, key=lambda name: errors[name])
    metrics = found["metrics"]
    assert isinstance(metrics, dict)
    assert {name: metrics[f"{name}_mae"] for name in errors} == pytest.approx(errors)


def test_with_50_labels_a_network_is_tried(simulated: Settings, constant_network: Callable[[float], None]) -> None:
    constant_network(24.0)
    keep_labels(simulated, 50)

    retrained(simulated)

    assert query(simulated, "SELECT is_fallback, status FROM studyml.model_versions ORDER BY version") == [
        (False, "rejected"),
        (True, "champion"),
    ]


def test_a_failed_network_gives_way_to_a_fallback_judged_on_the_same_holdout(
    simulated: Settings, constant_network: Callable[[float], None]
) -> None:
    constant_network(24.0)

    decided = retrained(simulated)

    assert decided is not None
    (network,) = query(simulated, "SELECT metrics FROM studyml.model_versions WHERE NOT is_fallback")
    metrics = serving(simulated)["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["median_mae"] == network[0]["median_mae"]
    assert metrics["estimate_mae"] == network[0]["estimate_mae"]
    assert metrics["holdout_rows"] == 120
    assert serving(simulated)["training_rows"] == 480
    assert any(reason.startswith("the network is worse than the training median") for reason in decided["reasons"])
    folder = simulated.artifact_root / champions(simulated)[0]
    report = json.loads((folder / "evaluation.json").read_text())
    cut_by = {each["dimension"] for each in report["slices"]}
    assert cut_by >= {"subject", "education_level", "time_of_day", "student", "topic", "predicted_length"}


def test_the_median_predictor_says_the_training_median_for_every_session(
    simulated: Settings, constant_network: Callable[[float], None]
) -> None:
    constant_network(24.0)
    query(simulated, "UPDATE topics SET estimated_base_time = 0.2")  # a useless estimate
    retrained(simulated)

    found = predicted(simulated, 0.5, 9.0, None)

    assert serving(simulated)["recipe"] == "median"
    assert len(set(found)) == 1
    assert 1 < found[0] < 8


def test_a_fallback_is_an_artifact_like_any_other(simulated: Settings) -> None:
    keep_labels(simulated, 20)
    retrained(simulated)
    folder = simulated.artifact_root / champions(simulated)[0]

    assert {path.name for path in folder.iterdir()} == {
        "evaluation.json",
        "evaluation.html",
        "predicted_actual.png",
        "residuals.png",
        "model.onnx",
        "features.json",
        "holdout.csv",
        "reference.json",
        "metadata.json",
        "model_card.md",
        "manifest.json",
    }
    metadata = json.loads((folder / "metadata.json").read_text())
    report = json.loads((folder / "evaluation.json").read_text())
    assert {"subject", "education_level", "time_of_day"} <= {each["dimension"] for each in report["slices"]}
    assert metadata["is_fallback"] is True
    assert metadata["training_samples"] == 20


def test_a_fallback_is_not_published_again_every_night(simulated: Settings) -> None:
    keep_labels(simulated, 30)
    night(simulated, as_of=END, now=NOW, progress=silent)
    first = champions(simulated)

    for day in (1, 2):
        later = END + timedelta(days=day)
        result = night(simulated, as_of=later, now=later, progress=silent)
        assert result["retraining"] is None

    assert champions(simulated) == first
    assert query(simulated, "SELECT count(*) FROM studyml.model_versions") == [(1,)]
    assert last_run(simulated)["reasons"] == ["0 new labels, 50 needed"]


def test_a_network_that_fails_again_leaves_the_fallback_where_it_is(
    simulated: Settings, constant_network: Callable[[float], None]
) -> None:
    constant_network(24.0)
    retrained(simulated)
    first = champions(simulated)

    decided = retrained(simulated, as_of=END + timedelta(days=1), now=NOW + timedelta(days=1))

    assert decided is not None
    assert decided["decision"] == "rejected"
    assert champions(simulated) == first


def test_a_network_that_earned_it_replaces_the_fallback(simulated: Settings) -> None:
    labels = dict(query(simulated, "SELECT id, actual_duration FROM study_sessions WHERE actual_duration > 0"))
    keep_labels(simulated, 10)
    retrained(simulated)
    assert serving(simulated)["is_fallback"] is True
    query(
        simulated,
        "UPDATE study_sessions s SET actual_duration = n.hours FROM unnest(%s, %s) AS n (id, hours) WHERE s.id = n.id",
        (list(labels), list(labels.values())),
    )

    selected = simulated.model_copy(update={"recipe": "selected"})
    decided = retrained(selected, as_of=END + timedelta(days=1), now=NOW + timedelta(days=1), force=False)

    assert decided is not None
    assert decided["decision"] == "promoted"
    assert serving(simulated)["is_fallback"] is False
    assert last_run(simulated)["reason"] == "new_labels"
    assert last_run(simulated)["new_labels"] == 590
