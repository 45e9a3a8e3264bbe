"""Drift of a real night: what was planned and studied against what the champion had learned from."""

import json
import logging
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studyml.errors import ArtifactError
from studyml.monitoring.profile import COLUMNS, PREDICTED, NumberProfile
from studyml.registry.bundle import seal
from studyml.registry.versions import Version, champion
from studyml.settings import Settings
from studyml.steps import check_drift as module
from studyml.steps.check_drift import check_drift
from studyml.steps.opening import own_database
from studyml.steps.reference import FILE, read_reference
from tests.conftest import END, FIRST_NIGHT, NOW
from tests.scoring.world import query, scalar
from tests.steps.retraining import keep_labels, retrained

DAY = timedelta(days=1)
#: Somebody looks in the morning after the first night.
MORNING = FIRST_NIGHT + timedelta(hours=6)


def present(settings: Settings) -> Version:
    with own_database(settings) as connection:
        found = champion(connection)
    assert found is not None
    return found


def checked(settings: Settings, as_of: Any = MORNING) -> dict[str, Any] | None:
    with own_database(settings) as connection:
        return check_drift(settings, connection, version=present(settings), as_of=as_of)


def drift(settings: Settings) -> dict[str, Any]:
    found = checked(settings)
    assert found is not None
    json.dumps(found, allow_nan=False)
    return found


def folder(settings: Settings) -> Path:
    return settings.artifact_root / present(settings).version


def sealed_again(settings: Settings) -> None:
    query(settings, "UPDATE studyml.model_versions SET manifest_sha256 = %s", seal(folder(settings)))


def test_a_night_like_those_before_moves_nothing(lived: Settings) -> None:
    found = drift(lived)

    assert found["moved"] == []
    assert {each["feature"] for each in found["features"]} == {*COLUMNS, PREDICTED}
    assert (
        found["compared"]
        == found["sessions"]
        == scalar(
            lived,
            "SELECT count(*) FROM study_sessions WHERE session_date > %s AND session_date <= %s",
            FIRST_NIGHT - 7 * DAY,
            FIRST_NIGHT + 31 * DAY,
        )
    )
    assert not found["volume"]["moved"]


def test_the_predictions_are_those_of_the_newest_night_and_their_error_is_estimated(lived: Settings) -> None:
    found = drift(lived)

    served = query(lived, "SELECT predicted_hours FROM studyml.predictions WHERE served")
    (profile,) = [each for each in found["features"] if each["feature"] == PREDICTED]
    assert profile["rows"] == found["predictions"] == len(served)
    assert found["estimated_mae"] == pytest.approx(present(lived).metrics["out_of_fold_mae"], rel=0.35)
    query(lived, "UPDATE studyml.predictions SET predicted_hours = 2 * predicted_hours")
    longer = drift(lived)
    assert longer["estimated_mae"] > 1.5 * found["estimated_mae"]
    assert longer["moved"] == [PREDICTED]


def test_a_night_that_is_run_again_looks_at_what_it_looked_at_before_it_predicted(lived: Settings) -> None:
    again = checked(lived, FIRST_NIGHT)
    query(lived, "DELETE FROM studyml.scoring_runs")

    assert again == checked(lived, FIRST_NIGHT)


def test_predictions_of_another_version_are_not_compared_with_this_ones(lived: Settings) -> None:
    query(lived, "UPDATE studyml.predictions SET model_version = 'v_20200101_000000'")

    found = drift(lived)

    assert (found["predictions"], found["estimated_mae"]) == (0, None)


def test_before_any_night_has_predicted_the_features_are_compared(lived: Settings) -> None:
    query(lived, "DELETE FROM studyml.scoring_runs")

    assert (drift(lived)["predictions"], drift(lived)["moved"]) == (0, [])


def test_a_new_study_method_is_found_and_its_name_is_for_those_with_the_right_to_see_it(lived: Settings) -> None:
    query(
        lived,
        "UPDATE study_sessions SET study_method = 'flashcards' WHERE session_date > %s AND id %% 2 = 0",
        FIRST_NIGHT - 7 * DAY,
    )

    found = drift(lived)

    assert found["moved"] == ["study_method"]
    assert list(found["features"][0]["unseen"]) == ["flashcards"]
    assert "values never seen in training in" in found["features"][0]["sentence"]


def test_students_whose_focus_changed_are_counted_once_each(lived: Settings) -> None:
    query(lived, "UPDATE students SET avg_focus_duration = avg_focus_duration / 5")

    found = drift(lived)

    (focus,) = [each for each in found["features"] if each["feature"] == "avg_focus_duration"]
    assert found["moved"] == ["avg_focus_duration"]
    assert focus["rows"] <= 30
    assert focus["reference_rows"] == 30


def test_a_field_that_the_app_stopped_sending_is_found(lived: Settings) -> None:
    query(lived, "UPDATE study_sessions SET energy_level = NULL WHERE session_date > %s", FIRST_NIGHT - 7 * DAY)

    found = drift(lived)

    assert found["moved"] == ["energy_level"]
    assert found["features"][0]["sentence"] == "energy_level: 100 % missing, 0 % before"


def test_what_is_known_only_afterwards_and_who_it_was_are_not_looked_at(lived: Settings) -> None:
    query(lived, "UPDATE study_sessions SET breaks_taken = 40, actual_duration = 20")
    query(lived, "UPDATE students SET name = 'Ada Lovelace', email = 'ada@example.org'")

    found = drift(lived)

    assert found["moved"] == []
    assert "Ada" not in json.dumps(found)
    assert "breaks_taken" not in json.dumps(found)


def test_twice_as_many_sessions_are_seen(lived: Settings) -> None:
    query(
        lived,
        "INSERT INTO study_sessions (id, student_id, topic_id, session_date) SELECT id + 1000000 * n, student_id,"
        " topic_id, session_date FROM study_sessions, generate_series(1, 4) AS n WHERE session_date > %s",
        FIRST_NIGHT - 7 * DAY,
    )

    found = drift(lived)["volume"]

    assert found["moved"]
    assert found["ratio"] > 2
    assert found["training_per_day"] > 0


def test_of_many_sessions_some_are_looked_at_evenly(lived: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SESSIONS", 40)

    found = drift(lived)

    assert found["compared"] == 40
    assert found["sessions"] > 40


def test_sessions_of_students_who_do_not_exist_are_left_out(lived: Settings) -> None:
    before = drift(lived)
    for (name,) in query(
        lived, "SELECT conname FROM pg_constraint WHERE conrelid = 'study_sessions'::regclass AND contype = 'f'"
    ):
        query(lived, f'ALTER TABLE study_sessions DROP CONSTRAINT "{name}"')
    query(lived, "UPDATE study_sessions SET student_id = 999 WHERE id %% 2 = 0 AND session_date > %s", FIRST_NIGHT)

    found = drift(lived)

    assert found["compared"] < found["sessions"] == before["sessions"]
    assert found["moved"] == []


def test_without_sessions_around_the_night_there_is_nothing_to_compare(lived: Settings) -> None:
    assert checked(lived, END + 100 * DAY) is None


def test_a_version_older_than_references_is_not_compared(lived: Settings) -> None:
    (folder(lived) / FILE).unlink()
    sealed_again(lived)

    assert checked(lived) is None


def test_a_damaged_reference_is_told_and_never_used(lived: Settings, caplog: pytest.LogCaptureFixture) -> None:
    path = folder(lived) / FILE
    path.write_text(path.read_text().replace("0", "1", 1))

    with caplog.at_level(logging.WARNING, "studyml"):
        assert checked(lived) is None
    assert f"{FILE} of version" in caplog.text
    with pytest.raises(ArtifactError, match="is damaged"):
        read_reference(lived, present(lived))


def test_a_missing_folder_or_manifest_is_told_and_stops_nothing(lived: Settings) -> None:
    (folder(lived) / "manifest.json").write_text("{}")
    assert checked(lived) is None
    shutil.rmtree(folder(lived))
    assert checked(lived) is None


def test_the_reference_holds_the_training_rows_and_honest_predictions(lived: Settings) -> None:
    found = read_reference(lived, present(lived))

    assert found is not None
    rows = present(lived).training_rows
    predicted = found.profiles[PREDICTED]
    assert isinstance(predicted, NumberProfile)
    assert found.profiles["time_of_day"].crowd.rows == predicted.crowd.rows == rows
    assert found.profiles["age"].crowd.rows == 30
    mae = np.average(found.errors.error, weights=found.errors.rows)
    assert mae == pytest.approx(present(lived).metrics["out_of_fold_mae"], rel=0.02)


@pytest.mark.parametrize("labels", [0, 30])
def test_a_fallback_has_a_reference_too(simulated: Settings, labels: int) -> None:
    keep_labels(simulated, labels)
    retrained(simulated, as_of=END, now=NOW)

    found = read_reference(simulated, present(simulated))

    assert present(simulated).is_fallback
    assert found is not None
    assert found.profiles[PREDICTED].crowd.rows == found.profiles["time_of_day"].crowd.rows == labels
    assert sum(found.errors.rows) == labels
    assert checked(simulated, END) is not None
