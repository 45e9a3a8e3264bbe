"""Judging: the same rows for everyone, every result stored with its numbers, and nobody judged twice wrongly."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studyml.errors import ArtifactError, RegistryError
from studyml.evaluation.holdout import FILE, read_holdout, read_session_ids, write_holdout
from studyml.features.definition import derive
from studyml.features.encoder import Input
from studyml.model.training import Trained
from studyml.registry.bundle import build_folder, publish
from studyml.registry.snapshot import read_snapshot
from studyml.registry.versions import Version
from studyml.settings import Settings
from studyml.steps import build_candidate
from studyml.steps import evaluate_candidate as module
from studyml.steps.compare_versions import compare_versions
from studyml.steps.evaluate_candidate import evaluate_candidate
from studyml.steps.evaluation_report import OUT_OF_FOLD
from studyml.steps.judge_serving import judge_serving
from studyml.steps.promote_version import promote_version
from studyml.steps.publish_version import publish_version
from studyml.steps.serving import ServedModel
from studyml.steps.train_candidate import train_candidate
from tests.conftest import END, NOW
from tests.steps.retraining import champions, constant_network, last_run, opened, query, retrained

__all__ = ["constant_network"]

DAY = timedelta(days=1)


def candidate(settings: Settings) -> tuple[int, Path]:
    run_id = opened(settings)
    version = train_candidate(settings, retraining_run_id=run_id, now=NOW)
    assert version is not None
    return run_id, build_folder(settings.artifact_root, version)


def stored_gates(settings: Settings, version: str) -> dict[str, dict[str, Any]]:
    ((gates,),) = query(settings, "SELECT gates FROM studyml.model_versions WHERE version = %s", (version,))
    return {gate["gate"]: gate for gate in gates}


def test_a_bad_network_fails_against_every_reference_and_all_numbers_are_stored(
    lived: Settings, constant_network: Callable[..., None]
) -> None:
    constant_network(20.0, whole=True)
    run_id, folder = candidate(lived)

    assert evaluate_candidate(lived, retraining_run_id=run_id) is False

    gates = stored_gates(lived, folder.name)
    assert [name for name, gate in gates.items() if not gate["passed"]] == [
        "beats_median",
        "beats_estimate",
        "not_worse_than_champion",
        "worst_slice",
        "interval_80",
    ]
    assert all(gate["value"] is not None and gate["reason"] for gate in gates.values())
    compared = ("beats_median", "beats_estimate", "not_worse_than_champion")
    assert all(gates[name]["upper_bound"] >= gates[name]["value"] > 1 for name in compared)
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["gates"] == list(gates.values())
    assert metadata["metrics"]["champion_version"] == champions(lived)[0]
    assert "**failed**: the network is worse than the champion" in (folder / "model_card.md").read_text()


def test_a_champion_that_reads_what_the_rows_do_not_hold_is_a_sentence(
    lived: Settings, constant_network: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    constant_network(20.0)
    run_id, _ = candidate(lived)
    opened_version = module.open_version

    def reading_sequences(settings: Settings, version: Version) -> ServedModel:
        model = opened_version(settings, version)
        sequence = Input("previous_1_ratio", "number", 0.0, 1.0)
        return replace(model, encoder=replace(model.encoder, inputs=(*model.encoder.inputs, sequence)))

    monkeypatch.setattr(module, "open_version", reading_sequences)

    with pytest.raises(RegistryError, match=r"reads what its rows do not hold: retrain with --force\.$"):
        evaluate_candidate(lived, retraining_run_id=run_id)
    assert last_run(lived)["decision"] == "failed"


def test_the_champion_is_judged_on_the_same_rows_by_what_it_would_have_been_served(
    lived: Settings, constant_network: Callable[..., None]
) -> None:
    constant_network(3.0)
    run_id, folder = candidate(lived)
    evaluate_candidate(lived, retraining_run_id=run_id)

    holdout = read_holdout(folder / FILE)
    predictions = dict(query(lived, "SELECT session_id, predicted_hours FROM studyml.predictions"))
    both = [row for row, session in enumerate(holdout.session_id.tolist()) if session in predictions]

    assert len(both) > 20, "the holdout reaches into the week that the champion predicted"
    for row in both:
        expected = predictions[int(holdout.session_id[row])]
        assert holdout.predicted["champion"][row] == pytest.approx(expected, abs=1e-5)


def test_judging_twice_gives_the_same_results(lived: Settings, constant_network: Callable[..., None]) -> None:
    constant_network(3.0)
    run_id, folder = candidate(lived)
    evaluate_candidate(lived, retraining_run_id=run_id)
    first = stored_gates(lived, folder.name)

    evaluate_candidate(lived, retraining_run_id=run_id)

    assert stored_gates(lived, folder.name) == first


def test_what_would_be_served_is_judged_and_each_result_is_stored_with_its_number(
    lived: Settings, constant_network: Callable[..., None]
) -> None:
    constant_network(3.0, whole=True)
    run_id, folder = candidate(lived)
    path = folder / "features.json"
    stored = json.loads(path.read_text())
    for interval in stored["output"]["intervals"]:
        interval |= {"lower_ratios": [1.0] * len(interval["lengths"]), "upper_ratios": [1.0] * len(interval["lengths"])}
    path.write_text(json.dumps(stored))

    assert evaluate_candidate(lived, retraining_run_id=run_id) is False

    gates = stored_gates(lived, folder.name)
    assert list(gates)[5:] == ["schema", "in_range", "worst_slice", "interval_80", "interval_90", "size", "time"]
    assert [gates[name]["passed"] for name in ("schema", "in_range", "size", "time")] == [True] * 4
    assert [gates[name]["passed"] for name in ("interval_80", "interval_90")] == [False] * 2
    assert gates["interval_80"]["value"] < 0.1
    assert all(each["value"] is not None for each in gates.values())


def test_intervals_are_judged_on_students_by_which_they_were_not_moved(
    lived: Settings, constant_network: Callable[..., None]
) -> None:
    """Errors out of fold that say nothing of the holdout's: what serves was moved by it, and holds it all the same."""
    constant_network(3.0, whole=True)
    _, folder = candidate(lived)
    outside = read_holdout(folder / OUT_OF_FOLD)
    exact = {**outside.predicted, "network": outside.actual * 0.99}
    write_holdout(folder / OUT_OF_FOLD, replace(outside, predicted=exact))
    snapshot = json.loads((folder / "metadata.json").read_text())["snapshot_sha256"]
    frame = derive(read_snapshot(lived.artifact_root, snapshot))
    holdout = read_holdout(folder / FILE)
    few = holdout.take(np.arange(20))

    moved, unmoved = (
        {each.gate: each.passed for each in judge_serving(folder, frame, rows)} for rows in (holdout, few)
    )

    assert moved["interval_80"], "four fifths of the holdout tell how far off the fifth is"
    assert not unmoved["interval_80"], "16 rows tell nothing"


def test_a_network_that_wants_what_scoring_cannot_supply_is_not_run(
    lived: Settings, constant_network: Callable[..., None]
) -> None:
    constant_network(3.0, whole=True)
    run_id, folder = candidate(lived)
    path = folder / "features.json"
    stored = json.loads(path.read_text())
    stored["features"]["inputs"][0]["feature"] = "breaks_taken"
    path.write_text(json.dumps(stored))

    assert evaluate_candidate(lived, retraining_run_id=run_id) is False
    assert stored_gates(lived, folder.name)["schema"]["passed"] is False


def test_numbers_that_are_not_finite_fail_the_gate_and_do_not_crash(
    simulated: Settings, constant_network: Callable[..., None]
) -> None:
    constant_network(float("nan"))
    run_id, folder = candidate(simulated)

    assert evaluate_candidate(simulated, retraining_run_id=run_id) is False

    gates = stored_gates(simulated, folder.name)
    assert gates["finite"]["reason"] == "120 of 120 predictions are not finite"
    assert not gates["export_parity"]["passed"]
    assert gates["export_parity"]["value"] is None


def test_an_export_that_differs_from_keras_fails_the_gate(
    simulated: Settings, constant_network: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    constant_network(3.0)
    save = build_candidate.save

    def differing(trained: Trained, folder: Path) -> None:
        *others, bias = trained.network.get_weights()
        trained.network.set_weights([*others, bias + 0.001])
        save(trained, folder)
        trained.network.set_weights([*others, bias])

    monkeypatch.setattr(build_candidate, "save", differing)
    run_id, folder = candidate(simulated)

    assert evaluate_candidate(simulated, retraining_run_id=run_id) is False

    gate = stored_gates(simulated, folder.name)["export_parity"]
    assert not gate["passed"]
    assert gate["value"] == pytest.approx(0.001, rel=0.01)


def test_a_damaged_champion_fails_the_run_with_a_sentence_and_decides_nothing(
    lived: Settings, constant_network: Callable[..., None]
) -> None:
    constant_network(3.0)
    run_id, folder = candidate(lived)
    champion = champions(lived)[0]
    (lived.artifact_root / champion / "model.onnx").write_bytes(b"broken")

    with pytest.raises(ArtifactError, match=rf"model\.onnx of version {champion} is damaged"):
        evaluate_candidate(lived, retraining_run_id=run_id)

    assert stored_gates(lived, folder.name) == {}
    assert last_run(lived)["decision"] == "failed"
    assert "is damaged" in last_run(lived)["reasons"][0]
    assert champions(lived) == [champion]


def test_a_missing_snapshot_fails_the_run_with_a_sentence(
    lived: Settings, constant_network: Callable[..., None]
) -> None:
    constant_network(3.0)
    run_id, _ = candidate(lived)
    for path in (lived.artifact_root / "snapshots").iterdir():
        path.unlink()

    with pytest.raises(ArtifactError, match=r"the snapshot .* is missing: train again"):
        evaluate_candidate(lived, retraining_run_id=run_id)
    assert last_run(lived)["decision"] == "failed"


def test_a_candidate_that_a_crash_left_under_its_final_name_is_judged_as_it_was_built(
    lived: Settings, constant_network: Callable[..., None]
) -> None:
    constant_network(3.0)
    run_id, folder = candidate(lived)
    evaluate_candidate(lived, retraining_run_id=run_id)
    before = stored_gates(lived, folder.name)
    publish(lived.artifact_root, folder.name)  # and then the process died, before its commit

    evaluate_candidate(lived, retraining_run_id=run_id)

    assert stored_gates(lived, folder.name) == before
    assert "trained" not in before


def test_there_is_nothing_to_judge_where_no_network_was_trained(simulated: Settings) -> None:
    run_id = opened(simulated, as_of=END)

    assert evaluate_candidate(simulated, retraining_run_id=run_id) is False


def test_a_champion_of_newer_rows_is_compared_where_it_did_not_learn(
    lived: Settings, constant_network: Callable[..., None]
) -> None:
    constant_network(3.0)
    newer = lived.model_copy(update={"training_from": (END - 40 * DAY).date()})
    retrained(newer)
    first = str(last_run(lived)["version"])
    promote_version(lived, first, now=NOW, actor="someone", reason="for the test")
    run_id, folder = candidate(lived)

    evaluate_candidate(lived, retraining_run_id=run_id)

    held = read_holdout(folder / FILE)
    learned = np.isin(held.session_id, read_session_ids(lived.artifact_root / first / OUT_OF_FOLD))
    assert 0 < learned.sum() < len(learned) - 30
    assert (np.isnan(held.predicted["champion"]) == learned).all()
    gate = stored_gates(lived, folder.name)["not_worse_than_champion"]
    assert f"on {(~learned).sum()} holdout sessions that the champion did not learn from" in gate["reason"]
    metrics = json.loads((folder / "metadata.json").read_text())["metrics"]
    assert (metrics["champion_version"], "champion_mae" in metrics) == (first, False)
    publish_version(lived, retraining_run_id=run_id, now=NOW)
    paired = compare_versions(lived, first, folder.name)["paired"]
    assert paired["rows"] == (~learned).sum()
