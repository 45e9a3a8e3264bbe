"""The evaluation report of a version's folder: what is written, for old versions and fallbacks too."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studyml.errors import ArtifactError
from studyml.evaluation.gates import Holdout
from studyml.evaluation.holdout import FILE, read_holdout, write_holdout
from studyml.frame import Frame
from studyml.steps.evaluation_report import CARD, CURVES, JSON, OUT_OF_FOLD, PAGE, write_evaluation
from tests.steps.evaluated import build_folder

Built = tuple[Frame, dict[str, Any], dict[str, Any], list[dict[str, Any]]]


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return build_folder(tmp_path)


def test_a_network_gets_every_file_and_the_json_is_what_was_returned(tmp_path: Path, built: Built) -> None:
    before = {path.name for path in tmp_path.iterdir()}

    document = write_evaluation(tmp_path, *built)

    assert {path.name for path in tmp_path.iterdir()} - before == {
        *(JSON, PAGE, CARD),
        *("learning_curves.png", "predicted_actual.png", "residuals.png"),
    }
    assert json.loads((tmp_path / JSON).read_text()) == document
    assert document["missing"] == []
    assert (tmp_path / PAGE).stat().st_size < 600_000


def test_judging_twice_writes_the_same(tmp_path: Path, built: Built) -> None:
    write_evaluation(tmp_path, *built)
    first = {name: (tmp_path / name).read_bytes() for name in (JSON, PAGE, CARD)}

    write_evaluation(tmp_path, *built)

    assert {name: (tmp_path / name).read_bytes() for name in first} == first


def test_features_are_those_of_the_session_whatever_the_order_of_the_rows(tmp_path: Path, built: Built) -> None:
    frame, *rest = built
    shuffled = frame.take(np.random.default_rng(0).permutation(len(frame)))

    expected = write_evaluation(tmp_path, *built)["slices"]

    assert write_evaluation(tmp_path, shuffled, *rest)["slices"] == expected  # type: ignore[arg-type]
    subject = next(each for each in expected if each["dimension"] == "subject")
    codes = dict(zip(frame["id"].tolist(), frame["subject"].tolist(), strict=True))
    names = [frame.vocabularies["subject"][codes[session]] for session in read_holdout(tmp_path / FILE).session_id]
    assert {each["label"]: each["rows"] for each in subject["slices"]} == Counter(names)


def test_an_old_version_without_folds_and_curves_says_so(tmp_path: Path, built: Built) -> None:
    for name in (OUT_OF_FOLD, CURVES):
        (tmp_path / name).unlink()

    document = write_evaluation(tmp_path, built[0], built[1])

    assert [word for word in ("learning curves", "cross-validation", "importance", "diagnosed")
            if any(word in each for each in document["missing"])] == [
        "learning curves", "cross-validation", "importance", "diagnosed",
    ]  # fmt: skip
    assert document["missing"][0] in (tmp_path / PAGE).read_text()
    assert not (tmp_path / "learning_curves.png").exists()
    assert (tmp_path / "predicted_actual.png").exists()


def test_a_fallback_gets_a_short_report_of_the_predictor_that_serves(tmp_path: Path, built: Built) -> None:
    for name in (OUT_OF_FOLD, CURVES):
        (tmp_path / name).unlink()
    metadata = {**built[1], "is_fallback": True, "recipe": "estimate", "architecture": "naive", "gates": None}
    metadata |= {"portfolio": None, "why": "no network was better"}

    document = write_evaluation(tmp_path, None, metadata)

    holdout = read_holdout(tmp_path / FILE)
    own = next(each for each in document["errors"] if each["own"])
    assert own["mae"] == pytest.approx(np.abs(holdout.actual - holdout.predicted["estimate"]).mean())
    assert "A fallback" in (tmp_path / PAGE).read_text()
    assert "learning curves" not in " ".join(document["missing"])


@pytest.mark.parametrize("rows", [0, 1, 2, 7])
def test_few_labels_still_give_a_report(tmp_path: Path, built: Built, rows: int) -> None:
    holdout = read_holdout(tmp_path / FILE)
    few = Holdout(
        holdout.session_id[:rows],
        holdout.student_id[:rows],
        holdout.session_date[:rows],
        holdout.actual[:rows],
        {name: hours[:rows] for name, hours in holdout.predicted.items()},
    )
    write_holdout(tmp_path / FILE, few)
    (tmp_path / OUT_OF_FOLD).unlink()

    document = write_evaluation(tmp_path, *built)

    assert document["holdout_rows"] == rows
    assert document["calibration"] is None or document["calibration"]["holdout"] is None
    assert document["headline"] in (tmp_path / PAGE).read_text().replace("&#x27;", "'")


def test_predictions_that_are_not_finite_are_reported_and_not_drawn(tmp_path: Path, built: Built) -> None:
    holdout = read_holdout(tmp_path / FILE)
    broken = {**holdout.predicted, "network": np.full(len(holdout.actual), np.nan)}
    write_holdout(tmp_path / FILE, replace(holdout, predicted=broken))

    document = write_evaluation(tmp_path, *built)

    assert document["errors"] is None
    assert "not all finite" in (tmp_path / PAGE).read_text()


def test_a_snapshot_of_other_rows_is_refused(tmp_path: Path, built: Built) -> None:
    frame, *rest = built
    first = int(read_holdout(tmp_path / FILE).session_id[0])

    with pytest.raises(ArtifactError, match=f"does not hold the held-out session {first}"):
        write_evaluation(tmp_path, frame.take(frame["id"] != first), *rest)  # type: ignore[arg-type]
    with pytest.raises(ArtifactError, match="does not hold"):
        write_evaluation(tmp_path, frame.take(frame["id"] < 0), *rest)  # type: ignore[arg-type]


def test_many_sessions_are_sampled_for_the_pictures_only_and_the_page_says_so(tmp_path: Path) -> None:
    built = build_folder(tmp_path, sessions=8000)

    document = write_evaluation(tmp_path, *built)

    assert document["holdout_rows"] == 1600
    assert document["points_shown"] == 1200
    assert "1,200 of all sessions are drawn" in (tmp_path / PAGE).read_text()
    lengths = next(each for each in document["slices"] if each["dimension"] == "predicted_length")
    assert sum(each["rows"] for each in lengths["slices"]) == 1600


def test_the_card_says_in_words_where_it_is_weak(tmp_path: Path, built: Built) -> None:
    document = write_evaluation(tmp_path, *built)

    card = (tmp_path / CARD).read_text(encoding="utf-8")
    assert document["headline"] in card
    assert len(document["weakest"]) == 3
    for sentence in document["weakest"]:
        assert f"- {sentence}" in card
