"""The model card: a person reads what a version is, how good, and why it serves."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from studyml.reporting.model_card import write_model_card

NETWORK: dict[str, Any] = {
    "version": "v_20260301_013000",
    "architecture": "mlp",
    "recipe": "guide",
    "is_fallback": False,
    "mae": 1.0944,
    "rmse": 1.39,
    "training_samples": 434,
    "holdout_samples": 108,
    "features": ["age", "age=missing", "subject=Physics", "subject=History"],
    "features_dropped": {"breaks_taken": "never known before a session"},
    "baselines": {"median": 2.0, "estimate": 2.1, "log_linear": 0.9},
    "metrics": {"random_split_mae": 1.2, "champion_mae": 1.05, "champion_version": "v_20260201_010000"},
    "gates": [
        {"passed": True, "reason": "all 108 predictions are finite"},
        {"passed": False, "reason": "the network is worse than the champion"},
    ],
    "data_window": ["2025-12-01T09:00:00+00:00", "2026-02-21T19:00:00+00:00"],
    "as_of": "2026-02-22T00:00:00+00:00",
    "trained_at": "2026-03-01T01:30:00+00:00",
}
FALLBACK: dict[str, Any] = {
    "version": "v_20260301_013001",
    "architecture": "naive",
    "recipe": "estimate",
    "is_fallback": True,
    "mae": 1.5,
    "training_samples": 20,
    "holdout_samples": 20,
    "features": ["estimated_base_time"],
    "baselines": {"median": 1.9, "estimate": 1.5},
    "why": "fallback: the topic's estimated_base_time (MAE on 20 sessions: median 1.900 h, estimate 1.500 h)",
    "as_of": "2026-02-22T00:00:00+00:00",
    "trained_at": "2026-03-01T01:30:00+00:00",
}


def card(tmp_path: Path, metadata: dict[str, Any]) -> str:
    write_model_card(tmp_path / "model_card.md", metadata)
    return (tmp_path / "model_card.md").read_text(encoding="utf-8")


def test_the_card_names_features_that_the_network_sees_where_they_meet(tmp_path: Path) -> None:
    meeting = {
        "education_level=phd x energy_level<=1.5": ["education_level", "energy_level"],
        "education_level=phd x 1.5<energy_level": ["education_level", "energy_level"],
        "energy_level x difficulty_level": ["energy_level", "difficulty_level"],
    }
    text = card(tmp_path, {**NETWORK, "features": ["subject=Physics", *meeting], "products": meeting})

    assert text.partition("## Inputs\n\n")[2].splitlines()[:3] == [
        "- `subject`: Physics",
        "- `education_level` with `energy_level`, where they meet: 2 inputs",
        "- `energy_level` with `difficulty_level`, where they meet: 1 input",
    ]
    assert "It uses the students' education level" in text


def test_the_card_of_a_network_ranks_it_among_all_that_was_measured_on_the_same_sessions(tmp_path: Path) -> None:
    text = card(tmp_path, NETWORK)

    table = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert table == [
        "| log-linear regression (reported, not a gate) | 0.900 |",
        "| the champion then, v_20260201_010000 | 1.050 |",
        "| **this version** | 1.094 |",
        "| the training median | 2.000 |",
        "| the topic's estimated_base_time | 2.100 |",
    ]
    assert "Trained at 2026-03-01 01:30 UTC for the night of 2026-02-22 00:00 UTC." in text
    assert "Learned from 434 labelled sessions." in text
    assert "On 108 labelled sessions, the newest ones" in text
    assert "from 2025-12-01 to 2026-02-21" in text
    assert "not comparable" in text


def test_the_card_says_which_gates_failed_and_what_goes_in(tmp_path: Path) -> None:
    text = card(tmp_path, NETWORK)

    assert "- passed: all 108 predictions are finite." in text
    assert "- **failed**: the network is worse than the champion." in text
    assert "- `age`: whether it is missing" in text
    assert "- `subject`: Physics, History" in text
    assert "- not used: `breaks_taken`, never known before a session" in text


def test_the_card_of_a_fallback_claims_no_unseen_sessions(tmp_path: Path) -> None:
    text = card(tmp_path, FALLBACK)

    assert "a fallback, the naive predictor, recipe `estimate`" in text
    assert "- Why it serves: fallback: the topic's estimated_base_time" in text
    assert "Chosen on 20 labelled sessions." in text
    assert "did not learn" not in text
    assert "this version" not in text


def test_the_card_of_a_fallback_without_labels_has_no_table(tmp_path: Path) -> None:
    text = card(tmp_path, {**FALLBACK, "mae": None, "baselines": {}, "training_samples": 0, "holdout_samples": 0})

    assert "## Error" not in text
    assert "Learned from 0 labelled sessions." in text


def test_a_network_that_did_not_converge_comes_last_and_is_called_so(tmp_path: Path) -> None:
    lines = card(tmp_path, {**NETWORK, "mae": None, "rmse": None, "metrics": {"random_split_mae": None}}).splitlines()

    assert [line for line in lines if line.startswith("|")][-1] == "| **this version** | not finite |"
    assert not any("random split" in line for line in lines)


EVALUATION: dict[str, Any] = {
    "headline": "Its mean absolute error is 1.09 h.",
    "know": ["Half of its predictions are within 40 minutes."],
    "weakest": ["subject <img src=x>\n# Physics (30 sessions): MAE 2.00 h"],
    "diagnosis": [{"sentence": "The validation error rose.", "severity": "warning"}],
}


def test_the_card_says_what_it_is_for_and_what_it_is_not_for(tmp_path: Path) -> None:
    text = card(tmp_path, NETWORK)

    assert "Not for judging, grading, ranking" in text
    assert "No name and no e-mail address" in text
    assert "It uses the students' age: read its error" in text
    assert "studyml explain --version v_20260301_013000" in text
    assert "evaluation.html" not in text, "there is none"


def test_the_card_of_what_does_not_look_at_students_does_not_say_it_does(tmp_path: Path) -> None:
    assert "It uses the students'" not in card(tmp_path, FALLBACK)


def test_the_card_of_what_uses_a_students_past_says_so(tmp_path: Path) -> None:
    words = "uses what each student needed in earlier sessions"

    assert words not in card(tmp_path, NETWORK)
    for name in ("student_history_count", "topic_recent_residual", "previous_1_ratio"):
        assert words in card(tmp_path, {**NETWORK, "features": [*NETWORK["features"], name]})


def test_the_card_says_how_it_was_trained(tmp_path: Path) -> None:
    tried = [{"architecture": "mlp", "recipe": recipe} for recipe in ("guide", "history")]
    text = card(
        tmp_path, {**NETWORK, "portfolio": tried, "hyperparameters": {"l2": 0.01, "batch_size": None}, "seed": 7}
    )

    assert "- Tried: `mlp` × `guide`, `mlp` × `history`;" in text
    assert "- Trained with: l2 0.01." in text
    assert "the seed 7" in text


def test_the_card_names_nothing_that_the_architecture_ignores(tmp_path: Path) -> None:
    used = {"layers": [128, 64], "dropouts": [0.1, 0.0], "l2": 0.01}
    text = card(tmp_path, {**NETWORK, "architecture": "lstm", "hyperparameters": used})

    assert "- Trained with: l2 0.01." in text


def test_the_card_says_that_older_sessions_were_left_out(tmp_path: Path) -> None:
    assert "STUDYML_TRAINING_FROM" not in card(tmp_path, NETWORK)
    text = card(tmp_path, {**NETWORK, "training_from": "2026-07-24"})

    assert "- Sessions before 2026-07-24 were left out (`STUDYML_TRAINING_FROM`)." in text


def test_an_evaluation_is_told_in_words_and_cannot_break_out_of_its_line(tmp_path: Path) -> None:
    write_model_card(tmp_path / "model_card.md", NETWORK, EVALUATION)
    lines = (tmp_path / "model_card.md").read_text(encoding="utf-8").splitlines()

    assert EVALUATION["headline"] in lines
    assert "- Half of its predictions are within 40 minutes." in lines
    assert "- Found in its training: The validation error rose." in lines
    assert "- subject &lt;img src=x> # Physics (30 sessions): MAE 2.00 h" in lines
    assert any("studyml versions report v_20260301_013000" in line for line in lines)


@pytest.mark.parametrize("metadata", [NETWORK, FALLBACK])
def test_lists_and_tables_are_apart_from_the_text_before_them(tmp_path: Path, metadata: dict[str, Any]) -> None:
    lines = card(tmp_path, metadata).splitlines()

    for before, line in itertools.pairwise(lines):
        if line.startswith(("- ", "| ")) and not before.startswith(("- ", "|")):
            assert before == "", line
