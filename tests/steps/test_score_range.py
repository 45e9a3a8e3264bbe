"""Scoring a range: what a prediction may know, and what happens to rows that are not as they should be."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from studyml.errors import ArtifactError, RegistryError
from studyml.settings import Settings
from studyml.steps.plan_scoring import plan_scoring
from studyml.steps.publish_predictions import publish_predictions
from studyml.steps.score import score
from studyml.steps.score_range import GONE, score_range
from tests.conftest import FIRST_NIGHT, NOW, silent
from tests.scoring.world import query, scalar

DAY = timedelta(days=1)


def rows(settings: Settings) -> dict[int, tuple[Any, ...]]:
    """Each session's prediction as an analyst reads it, without the moment of scoring."""
    found = query(
        settings,
        "SELECT session_id, student_id, topic_id, session_date, predicted_hours, lower_hours, upper_hours,"
        " model_version, input_warnings, lower_hours_90, upper_hours_90"
        " FROM analytics.study_time_predictions ORDER BY session_id",
    )
    return {row[0]: row[1:] for row in found}


def assert_alike(found: dict[int, tuple[Any, ...]], expected: dict[int, tuple[Any, ...]]) -> None:
    """The same rows; hours to 0.0001, since single precision sums differ with the size of a block."""
    assert found.keys() == expected.keys()
    for session, row in found.items():
        plain = [each for each in row if not isinstance(each, float)]
        assert plain == [each for each in expected[session] if not isinstance(each, float)]
        floats = [each for each in row if isinstance(each, float)]
        assert floats == pytest.approx([each for each in expected[session] if isinstance(each, float)], abs=1e-4)


def hours(settings: Settings) -> dict[int, float]:
    return {session: row[3] for session, row in rows(settings).items()}


def warnings(settings: Settings) -> dict[int, list[str]]:
    return {session: row[7] for session, row in rows(settings).items() if row[7]}


def unscored(settings: Settings) -> dict[int, str]:
    return dict(query(settings, "SELECT session_id, reason FROM analytics.unscored_sessions"))


def again(settings: Settings) -> dict[str, Any]:
    return score(settings, as_of=FIRST_NIGHT, now=NOW, progress=silent)


def change(settings: Settings, statement: str, *parameters: object) -> None:
    """Change the source as only a hostile app would."""
    query(settings, "SET session_replication_role = replica; " + statement, *parameters)


def first_planned(settings: Settings) -> int:
    return min(rows(settings))


def test_every_prediction_lies_within_the_limits_and_its_interval(lived: Settings) -> None:
    for _, _, _, predicted, lower, upper, *_ in rows(lived).values():
        assert 0.1 <= lower <= predicted <= upper <= 24


def test_neither_the_label_nor_the_breaks_of_a_session_are_known_before_it(lived: Settings) -> None:
    before = rows(lived)
    change(
        lived, "UPDATE study_sessions SET breaks_taken = 40, actual_duration = 23 WHERE session_date > %s", FIRST_NIGHT
    )

    again(lived)

    assert rows(lived) == before


def test_nothing_planned_empties_the_view_and_is_a_success(lived: Settings) -> None:
    change(lived, "DELETE FROM study_sessions WHERE session_date > %s", FIRST_NIGHT - 8 * DAY)

    assert again(lived) == {"planned": 0, "written": 0, "refused": 0}
    assert rows(lived) == {}
    assert scalar(lived, "SELECT planned FROM analytics.freshness") == 0


@pytest.mark.parametrize(
    ("column", "reason"),
    [("student_id", "its student does not exist"), ("topic_id", "its topic does not exist")],
)
@pytest.mark.parametrize("value", ["999999", "NULL"])
def test_a_dangling_key_refuses_its_session_only(lived: Settings, column: str, reason: str, value: str) -> None:
    before, session = rows(lived), first_planned(lived)
    change(lived, f"ALTER TABLE study_sessions ALTER {column} DROP NOT NULL")
    change(lived, f"UPDATE study_sessions SET {column} = {value} WHERE id = %s", session)

    assert again(lived)["refused"] == 1
    assert unscored(lived) == {session: reason}
    del before[session]
    assert_alike(rows(lived), before)


def test_both_keys_dangling_is_one_refusal_with_both_reasons(lived: Settings) -> None:
    session = first_planned(lived)
    change(lived, "UPDATE study_sessions SET student_id = -1, topic_id = -1 WHERE id = %s", session)

    again(lived)

    assert unscored(lived) == {session: "its student does not exist, its topic does not exist"}


def test_every_session_refused_is_a_complete_night(lived: Settings) -> None:
    planned = len(rows(lived))
    change(lived, "UPDATE study_sessions SET student_id = -1, time_of_day = 'noon'")

    assert again(lived) == {"planned": planned, "written": 0, "refused": planned}
    assert rows(lived) == {}


@pytest.mark.parametrize(
    ("table", "column", "value", "warning"),
    [
        ("students", "avg_focus_duration", "-5", "avg_focus_duration is -5 minutes, not above 0"),
        ("students", "avg_focus_duration", "0", "avg_focus_duration is 0 minutes, not above 0"),
        ("topics", "estimated_base_time", "'-Infinity'", "estimated_base_time is not a finite number"),
        ("study_sessions", "energy_level", "'Infinity'", "energy_level is not a finite number"),
    ],
)
def test_an_impossible_feature_is_missing_and_said_so(
    lived: Settings, table: str, column: str, value: str, warning: str
) -> None:
    change(lived, f"UPDATE {table} SET {column} = NULL")
    again(lived)
    missing = hours(lived)
    change(lived, f"UPDATE {table} SET {column} = {value}")

    again(lived)

    assert hours(lived) == missing
    assert set(map(tuple, warnings(lived).values())) == {(warning,)}
    assert len(warnings(lived)) == len(missing)


@pytest.mark.parametrize(
    ("table", "column"), [("students", "education_level"), ("topics", "subject"), ("study_sessions", "environment")]
)
def test_a_category_never_seen_is_missing_and_said_so(lived: Settings, table: str, column: str) -> None:
    change(lived, f"UPDATE {table} SET {column} = NULL")
    again(lived)
    missing = hours(lived)
    assert warnings(lived) == {}
    change(lived, f"UPDATE {table} SET {column} = %s", "Ünseen 'quoted' \\ {{category}}")

    again(lived)

    assert hours(lived) == missing
    assert all(column in text for texts in warnings(lived).values() for text in texts)
    assert len(warnings(lived)) == len(missing)


def test_rows_that_are_null_wherever_they_may_be_are_scored(lived: Settings) -> None:
    planned = len(rows(lived))
    change(
        lived,
        "UPDATE students SET age = NULL, education_level = NULL, learning_style = NULL, avg_focus_duration = NULL;"
        "UPDATE topics SET name = NULL, subject = NULL, difficulty_level = NULL, estimated_base_time = NULL,"
        " prerequisites_count = NULL, content_type = NULL;"
        "UPDATE study_sessions SET time_of_day = NULL, study_method = NULL, environment = NULL, energy_level = NULL,"
        " distraction_level = NULL, breaks_taken = NULL WHERE actual_duration IS NULL OR true",
    )

    assert again(lived) == {"planned": planned, "written": planned, "refused": 0}
    assert warnings(lived) == {}


values = st.one_of(
    st.none(), st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, -0.0, -1.0, 1e300, 5e-324])
)
texts = st.one_of(st.none(), st.just(""), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8))


@hypothesis_settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    numbers=st.lists(st.tuples(values, values, values), min_size=10, max_size=10),
    words=st.lists(st.tuples(texts, texts), min_size=10, max_size=10),
)
def test_whatever_the_columns_hold_every_session_gets_hours_within_the_limits(
    lived: Settings, numbers: list[tuple[Any, ...]], words: list[tuple[Any, ...]]
) -> None:
    sessions = sorted(
        session
        for (session,) in query(lived, "SELECT id FROM study_sessions WHERE session_date > %s LIMIT 10", FIRST_NIGHT)
    )
    for session, (energy, distraction, age), (time_of_day, method) in zip(sessions, numbers, words, strict=True):
        change(
            lived,
            "UPDATE study_sessions SET energy_level = %s, distraction_level = %s, time_of_day = %s, study_method = %s"
            " WHERE id = %s; UPDATE students SET age = %s WHERE id = 1 + %s %% 30",
            energy,
            distraction,
            time_of_day,
            method,
            session,
            age,
            session,
        )

    result = again(lived)

    assert result["written"] == result["planned"]
    assert all(0.1 <= each <= 24 for each in hours(lived).values())


def test_each_of_many_kinds_of_warnings_stays_with_its_own_rows(lived: Settings) -> None:
    change(
        lived,
        "INSERT INTO study_sessions (id, student_id, topic_id, session_date, energy_level, distraction_level,"
        " time_of_day, study_method, environment) SELECT 100000 + g, 1 + g %% 30, 1 + g %% 25,"
        " %s::timestamptz + interval '1 hour', CASE WHEN g & 1 > 0 THEN 'Infinity'::float END,"
        " CASE WHEN g & 2 > 0 THEN 'Infinity'::float END, CASE WHEN g & 4 > 0 THEN 'noon' END,"
        " CASE WHEN g & 8 > 0 THEN 'x' END, CASE WHEN g & 16 > 0 THEN 'y' END FROM generate_series(1, 20000) AS g;"
        "UPDATE students SET avg_focus_duration = -id",
        FIRST_NIGHT,
    )

    again(lived)

    found = warnings(lived)
    assert len({tuple(each) for each in found.values()}) > 150
    assert "energy_level is not a finite number" in found[100001]
    assert "energy_level is not a finite number" not in found[100002]


@pytest.mark.parametrize("size", [1, 10])
def test_many_ranges_give_the_same_rows_as_one(lived: Settings, size: int) -> None:
    before = rows(lived)
    limited = lived.model_copy(update={"scoring_range_sessions": 10 * size})

    assert again(limited)["written"] == len(before)
    assert_alike(rows(lived), before)


def planned(settings: Settings, size: int = 20) -> tuple[int, list[list[int]]]:
    limited = settings.model_copy(update={"scoring_range_sessions": size})
    plan = plan_scoring(limited, as_of=FIRST_NIGHT, now=NOW)
    return plan["scoring_run_id"], plan["ranges"]


def one(settings: Settings, run: int, ids: list[int]) -> dict[str, int]:
    return score_range(settings, scoring_run_id=run, first_id=ids[0], last_id=ids[1])


def test_a_range_run_twice_and_in_any_order_is_written_once(lived: Settings) -> None:
    before = rows(lived)
    run, ranges = planned(lived)

    for ids in [*reversed(ranges), *ranges]:
        one(lived, run, ids)
    publish_predictions(lived, scoring_run_id=run, now=NOW)

    assert rows(lived) == before


def test_a_refused_row_of_a_range_run_twice_is_refused_once(lived: Settings) -> None:
    session = first_planned(lived)
    change(lived, "UPDATE study_sessions SET student_id = -1 WHERE id = %s", session)
    run, ranges = planned(lived)

    for ids in [*ranges, ranges[0]]:
        one(lived, run, ids)

    assert publish_predictions(lived, scoring_run_id=run, now=NOW)["refused"] == 1


def test_a_session_deleted_or_moved_after_the_plan_is_refused_and_a_new_one_waits_for_the_next_scoring(
    lived: Settings,
) -> None:
    before = sorted(rows(lived))
    run, ranges = planned(lived)
    change(lived, "DELETE FROM study_sessions WHERE id = %s", before[0])
    change(lived, "UPDATE study_sessions SET session_date = %s WHERE id = %s", FIRST_NIGHT + 90 * DAY, before[1])
    change(lived, "UPDATE study_sessions SET id = %s, session_date = %s WHERE id = 1", before[2] + 100000, FIRST_NIGHT)
    change(lived, "UPDATE study_sessions SET session_date = %s WHERE id = 2", FIRST_NIGHT + DAY)

    for ids in ranges:
        one(lived, run, ids)
    found = publish_predictions(lived, scoring_run_id=run, now=NOW)

    assert found == {"planned": len(before), "written": len(before) - 2, "refused": 2}
    assert unscored(lived) == {before[0]: GONE, before[1]: GONE}
    assert sorted(rows(lived)) == before[2:]


def test_a_published_run_cannot_be_written_to_any_more(lived: Settings) -> None:
    run, ranges = planned(lived, 1000)
    one(lived, run, ranges[0])
    publish_predictions(lived, scoring_run_id=run, now=NOW)

    with pytest.raises(RegistryError, match=f"scoring run {run} is already complete"):
        one(lived, run, ranges[0])


def test_a_run_that_does_not_exist_is_named(lived: Settings) -> None:
    with pytest.raises(RegistryError, match="there is no scoring run 999"):
        one(lived, 999, [1, 2])


def damage_network(folder: Any) -> None:
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def damage_features(folder: Any) -> None:
    path = folder / "features.json"
    path.write_text(path.read_text().replace("0", "1", 1))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_network, r"model\.onnx of version \S+ is damaged"),
        (damage_features, r"features\.json of version \S+ is damaged"),
        (lambda folder: (folder / "manifest.json").unlink(), r"has no manifest\.json"),
        (lambda folder: (folder / "features.json").unlink(), r"lacks a file, features\.json"),
        (lambda folder: (folder / "evil.pkl").write_bytes(b""), r"has a file that does not belong to it, evil\.pkl"),
        (lambda folder: folder.rename(folder.with_name("elsewhere")), r"the folder of version \S+ is missing"),
    ],
)
def test_a_damaged_version_is_one_sentence_and_the_old_predictions_stay(
    lived: Settings, damage: Any, words: str
) -> None:
    before = rows(lived)
    (folder,) = lived.artifact_root.glob("v_*")
    damage(folder)

    with pytest.raises(ArtifactError, match=words) as caught:
        again(lived)

    assert "\n" not in str(caught.value)
    assert rows(lived) == before


def test_a_network_that_returns_no_numbers_is_one_sentence_and_the_old_predictions_stay(
    lived: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(lived)
    monkeypatch.setattr("studyml.scoring.predictor.run_network", lambda _, matrix: matrix[:, 0] * float("nan"))

    with pytest.raises(ArtifactError, match="predictions that are not numbers"):
        again(lived)
    assert rows(lived) == before
