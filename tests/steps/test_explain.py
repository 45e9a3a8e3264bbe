"""What a version's predictions rest on: measured on real published versions, and a sentence where that cannot be."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from studyml.errors import ArtifactError, RegistryError
from studyml.features.definition import CYCLICAL, DERIVED, FEATURES, derive
from studyml.features.encoder import Encoder, Input
from studyml.registry.bundle import load_json
from studyml.registry.snapshot import read_snapshot
from studyml.registry.versions import champion
from studyml.settings import Settings
from studyml.simulation import Simulation
from studyml.steps.explain import (
    PARENTS,
    explain,
    fallback_words,
    feature_groups,
    feature_weights,
    read_learned,
    unused_features,
)
from studyml.steps.load import simulate_into_database
from studyml.steps.night import night
from studyml.steps.opening import own_database
from studyml.steps.serving import open_version
from tests.conftest import END, FIRST_NIGHT, NOW, silent
from tests.scoring.world import query


def of_champion(settings: Settings) -> dict:
    return explain(settings, version=None, as_of=None, progress=silent)


def test_on_the_guides_data_what_makes_sessions_long_comes_out_on_top(lived: Settings) -> None:
    importance = of_champion(lived)["importance"]
    growth = {each["feature"]: each["mean"] for each in importance["permutation"]}
    assert set(list(growth)[:3]) == {"estimated_base_time", "avg_focus_duration", "difficulty_level"}
    noise = [value for feature, value in growth.items() if feature not in list(growth)[:3]]
    assert max(map(abs, noise), default=0) < max(growth.values()) / 4
    assert {each["feature"] for each in importance["shap"][:2]} == {"estimated_base_time", "avg_focus_duration"}


def test_every_feature_that_the_network_sees_has_one_entry_and_no_other(lived: Settings) -> None:
    document = of_champion(lived)
    with own_database(lived) as connection:
        model = open_version(lived, champion(connection))
    used = set(feature_groups(model.encoder))
    for measure in ("permutation", "shap"):
        entries = [each["feature"] for each in document["importance"][measure]]
        assert sorted(entries) == sorted(used)
    assert "breaks_taken" not in used
    assert document["dropped"]["breaks_taken"] == "never known before a session"
    assert used.isdisjoint({*DERIVED, *CYCLICAL, *document["dropped"]})


def test_the_error_is_the_one_that_the_gates_saw(lived: Settings) -> None:
    document = of_champion(lived)
    with own_database(lived) as connection:
        version = champion(connection)
    assert document["version"] == version.version
    assert document["mae"] == pytest.approx(version.metrics["mae"], abs=1e-6)
    assert document["rows"] == version.holdout_rows
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_the_version_can_be_named_or_be_that_of_a_night(lived: Settings) -> None:
    document = of_champion(lived)
    assert explain(lived, version=document["version"], as_of=None, progress=silent) == document
    assert explain(lived, version=None, as_of=FIRST_NIGHT, progress=silent) == document
    with pytest.raises(RegistryError, match="no version served at 2020-"):
        explain(lived, version=None, as_of=FIRST_NIGHT.replace(year=2020), progress=silent)


def test_a_long_computation_says_what_it_does(lived: Settings) -> None:
    said: list[str] = []
    explain(lived, version=None, as_of=None, progress=said.append)
    assert any("held-out sessions" in line for line in said)


def test_the_rows_judged_are_those_of_the_holdout_and_the_others_are_the_fitting_ones(lived: Settings) -> None:
    with own_database(lived) as connection:
        version = champion(connection)
    learned = read_learned(lived, version)
    assert len(learned.judged) == len(learned.actual) == version.holdout_rows
    assert len(learned.fitting) == version.training_rows
    assert learned.judged["session_date"].min() >= learned.fitting["session_date"].max()


class TestGroups:
    @staticmethod
    def encoder(*features: str, dropped: dict[str, str] | None = None) -> Encoder:
        return Encoder(tuple(Input(name, "number", 0, 1) for name in features), dropped or {}, {})

    @pytest.mark.parametrize("derived", [*DERIVED, *CYCLICAL])
    def test_a_derived_column_changes_with_its_parents_and_with_nothing_else(
        self, lived: Settings, derived: str
    ) -> None:
        with own_database(lived) as connection:
            version = champion(connection)
        metadata = load_json(lived.artifact_root / version.version / "metadata.json")
        frame = read_snapshot(lived.artifact_root, metadata["snapshot_sha256"])
        before = derive(frame)[derived]
        for column in FEATURES:
            shuffled = derive(frame.with_columns(**{column: np.roll(frame[column], 7)}))[derived]
            same = np.array_equal(before, shuffled, equal_nan=True)
            assert same is (column not in PARENTS[derived]), column

    def test_an_input_that_is_derived_counts_for_what_it_is_derived_from(self) -> None:
        assert feature_groups(self.encoder("difficulty_focus_ratio", "hour_sin", "hour_cos")) == {
            "avg_focus_duration": ("avg_focus_duration",),
            "difficulty_level": ("difficulty_level",),
            "time_of_day": ("time_of_day",),
        }

    def test_a_history_is_one_feature(self) -> None:
        groups = feature_groups(
            self.encoder(
                *("student_history_ratio", "student_recent_ratio", "student_subject_history_count", "age"),
                *("student_topic_recent_residual", "topic_history_count", "previous_1_ratio", "previous_10_residual"),
            )
        )
        assert {feature: len(columns) for feature, columns in groups.items()} == {
            "age": 1,
            "student_history": 2,
            "student_subject_history": 1,
            "student_topic_history": 1,
            "topic_history": 1,
            "previous_sessions": 2,
        }

    def test_the_weight_of_a_feature_is_the_largest_of_what_is_made_of_it(self) -> None:
        encoder = self.encoder("difficulty_level", "difficulty_focus_ratio", "age")
        weights = [{"input": "difficulty_level", "value": 0.1}, {"input": "difficulty_focus_ratio", "value": 0.3}]
        assert feature_weights(encoder, weights) == {"difficulty_level": 0.3, "avg_focus_duration": 0.3}
        assert feature_weights(encoder, []) == {}

    def test_a_feature_counts_as_used_if_only_what_is_derived_from_it_is(self) -> None:
        encoder = self.encoder("hour_sin", dropped={"time_of_day": "rare", "age": "constant", "hour_cos": "constant"})
        assert unused_features(encoder) == {"age": "constant"}


class TestMistakes:
    def test_an_unknown_version_is_named(self, lived: Settings) -> None:
        with pytest.raises(RegistryError, match="there is no version v_20200101_000000"):
            explain(lived, version="v_20200101_000000", as_of=None, progress=silent)

    def test_without_a_champion_the_cure_is_named(self, settings: Settings) -> None:
        with pytest.raises(RegistryError, match="run 'studyml retrain'"):
            of_champion(settings)

    def test_a_damaged_version_is_not_opened(self, lived: Settings) -> None:
        [onnx] = lived.artifact_root.glob("v_*/model.onnx")
        onnx.write_bytes(onnx.read_bytes() + b"\0")
        with pytest.raises(ArtifactError, match=r"model.onnx of version .* is damaged"):
            of_champion(lived)

    def test_rows_that_were_pruned_are_said_to_be(self, lived: Settings) -> None:
        shutil.rmtree(lived.artifact_root / "snapshots")
        with pytest.raises(ArtifactError, match="no longer kept"):
            of_champion(lived)


@pytest.fixture
def fallback(settings: Settings) -> Settings:
    """A night with too few labels for a network: the fallback serves."""
    few = Simulation(sessions=30, students=3, days=20)
    simulate_into_database(settings, few, end=END, now=NOW, progress=silent)
    night(settings, as_of=END, now=NOW, progress=silent)
    return settings


def test_a_fallback_says_what_it_predicts(fallback: Settings) -> None:
    document = of_champion(fallback)
    assert document["is_fallback"]
    assert "importance" not in document
    with own_database(fallback) as connection:
        version = champion(connection)
    what = {"median": "the median of its training sessions", "estimate": "the topic's estimate"}[version.recipe]
    assert document["words"].startswith(f"{version.version} is a fallback: it predicts {what}")
    median = query(
        fallback,
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY actual_hours) FROM studyml.outcomes",
    )[0][0]
    assert f"{median:.2f} h" in document["words"]


def test_the_words_of_a_fallback_are_those_of_its_recipe(fallback: Settings) -> None:
    with own_database(fallback) as connection:
        version = champion(connection)
    model = open_version(fallback, version)
    assert "for every session" in fallback_words(replace(version, recipe="median"), model)
    assert "where a topic has none" in fallback_words(replace(version, recipe="estimate"), model)
