"""The rows of a retraining: what was observed by then, as known before each session."""

from datetime import UTC, datetime, timedelta

import numpy as np

from studyml.frame import to_microseconds
from studyml.settings import Settings
from studyml.steps.observe import observe
from studyml.steps.opening import own_database
from studyml.steps.training_data import LABEL, SNAPSHOT_COLUMNS, TrainingData, read_training_data
from tests.conftest import END, NOW
from tests.steps.retraining import query

DAY = timedelta(days=1)


def read(settings: Settings, *, as_of: datetime = END, through: int | None = None) -> TrainingData:
    with own_database(settings) as connection:
        if through is None:
            ((through,),) = query(settings, "SELECT coalesce(max(outcome_id), 0) FROM studyml.outcomes")
        return read_training_data(settings, connection, as_of=as_of, through_outcome_id=through)


def label_of(data: TrainingData, session_id: int) -> float | None:
    found = data.frame[LABEL][data.frame["id"] == session_id]
    return float(found[0]) if len(found) else None


def test_every_observed_label_comes_with_its_features_oldest_first(simulated: Settings) -> None:
    observe(simulated, as_of=END, now=NOW)

    data = read(simulated)

    dates = data.frame["session_date"]
    assert len(data.frame) == 600
    assert (np.diff(dates.astype(np.int64)) >= 0).all()
    assert data.refused == ()
    assert set(SNAPSHOT_COLUMNS) <= set(data.frame.columns)
    ((expected,),) = query(simulated, "SELECT actual_duration FROM study_sessions WHERE id = 17")
    assert label_of(data, 17) == expected


def test_sessions_before_the_date_of_the_setting_teach_nothing_and_keep_the_history_of_the_others(
    simulated: Settings,
) -> None:
    observe(simulated, as_of=END, now=NOW)
    whole, start = read(simulated), END - 30 * DAY

    some = read(simulated.model_copy(update={"training_from": start.date()})).frame

    later = whole.frame["session_date"] >= to_microseconds(datetime(start.year, start.month, start.day, tzinfo=UTC))
    assert 0 < len(some) < 600
    for name in ("id", LABEL, "student_history_count"):
        assert some[name].tolist() == whole.frame[name][later].tolist()
    assert some["student_history_count"].max() > 0


def test_without_any_observed_label_there_are_no_rows(simulated: Settings) -> None:
    assert len(read(simulated).frame) == 0


def test_labels_observed_after_the_run_was_opened_are_not_seen(simulated: Settings) -> None:
    observe(simulated, as_of=END - 20 * DAY, now=NOW)
    ((newest, count),) = query(simulated, "SELECT max(outcome_id), count(*) FROM studyml.outcomes")
    observe(simulated, as_of=END, now=NOW)

    assert len(read(simulated, through=newest).frame) == count < 600


def test_a_correction_counts_with_its_newest_value_and_a_removed_label_not_at_all(simulated: Settings) -> None:
    observe(simulated, as_of=END, now=NOW)
    ((first,),) = query(simulated, "SELECT max(outcome_id) FROM studyml.outcomes")
    recent = [row[0] for row in query(simulated, "SELECT id FROM study_sessions WHERE id BETWEEN 590 AND 591")]
    query(simulated, "UPDATE study_sessions SET actual_duration = 7.77 WHERE id = %s", (recent[0],))
    query(simulated, "UPDATE study_sessions SET actual_duration = NULL WHERE id = %s", (recent[1],))
    observe(simulated, as_of=END + DAY, now=NOW + DAY)

    now, before = read(simulated, as_of=END + DAY), read(simulated, as_of=END + DAY, through=first)

    assert (label_of(now, recent[0]), label_of(now, recent[1])) == (7.77, None)
    assert label_of(before, recent[0]) != 7.77
    assert label_of(before, recent[1]) is not None


def test_breaks_taken_in_the_source_changes_nothing(simulated: Settings) -> None:
    observe(simulated, as_of=END, now=NOW)
    before = read(simulated).frame
    query(simulated, "UPDATE study_sessions SET breaks_taken = 50 - coalesce(breaks_taken, 0)")

    after = read(simulated).frame

    assert np.isnan(before["breaks_taken"]).all()
    assert all(
        np.array_equal(before[name], after[name], equal_nan=True)
        for name in SNAPSHOT_COLUMNS
        if before[name].dtype.kind == "f"
    )


def test_a_row_with_an_impossible_feature_is_refused_with_its_reason_and_its_column(simulated: Settings) -> None:
    observe(simulated, as_of=END, now=NOW)
    query(simulated, "UPDATE students SET avg_focus_duration = 0 WHERE id = 3")
    ((count,),) = query(
        simulated, "SELECT count(*) FROM study_sessions WHERE student_id = 3 AND actual_duration IS NOT NULL"
    )

    data = read(simulated)

    assert len(data.refused) == count > 0
    assert {row.reason for row in data.refused} == {"avg_focus_duration is 0 minutes, not above 0"}
    assert {row.column_name for row in data.refused} == {"avg_focus_duration"}
    assert len(data.frame) == 600 - count
    assert 3 not in data.frame["student_id"]


def test_a_row_whose_topic_is_gone_is_refused_and_the_column_is_its_key(simulated: Settings) -> None:
    observe(simulated, as_of=END, now=NOW)
    query(simulated, "ALTER TABLE study_sessions DROP CONSTRAINT study_sessions_topic_id_fkey")
    query(simulated, "DELETE FROM topics WHERE id = 5")

    data = read(simulated)

    assert {(row.column_name, row.reason) for row in data.refused} == {("topic_id", "its topic does not exist")}
    assert len(data.frame) + len(data.refused) == 600


def test_any_nullable_column_may_be_null(simulated: Settings) -> None:
    observe(simulated, as_of=END, now=NOW)
    for table, columns in {
        "students": ("age", "education_level", "learning_style", "avg_focus_duration"),
        "topics": ("subject", "difficulty_level", "estimated_base_time", "prerequisites_count", "content_type"),
        "study_sessions": ("time_of_day", "study_method", "environment", "energy_level", "distraction_level"),
    }.items():
        query(simulated, f"UPDATE {table} SET " + ", ".join(f"{name} = NULL" for name in columns))

    data = read(simulated)

    assert len(data.frame) == 600
    assert data.refused == ()
