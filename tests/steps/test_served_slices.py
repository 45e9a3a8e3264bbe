"""The worst slices of what was served: by the outcomes that count, and by nothing else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from studyml.registry.versions import Version, champion
from studyml.settings import Settings
from studyml.steps import served_slices as module
from studyml.steps.monitor import monitor
from studyml.steps.opening import own_database
from studyml.steps.served_slices import worst_slices
from tests.conftest import END, FIRST_NIGHT, NOW
from tests.scoring.world import EARLIER, VERSION, add_champion, create_source, insert, judged, query
from tests.steps.judged_nights import PRECISE

DAY = timedelta(days=1)
SESSIONS = 400
SUBJECTS = ("Physics", "History", "Languages", "Music")


@pytest.fixture
def world(settings: Settings) -> Settings:
    """40 students with 10 sessions each in the last 20 days, of four topics, one of each subject; all known before."""
    create_source(settings)
    query(settings, "DELETE FROM topics; DELETE FROM students")
    insert(
        settings,
        "INSERT INTO students (id, education_level) VALUES %s",
        [(n, ("graduate", "school")[n // 20]) for n in range(40)],
    )
    insert(settings, "INSERT INTO topics (id, subject) VALUES %s", list(enumerate(SUBJECTS)))
    insert(
        settings,
        "INSERT INTO study_sessions (id, student_id, topic_id, session_date, time_of_day) VALUES %s",
        [(n, n % 40, n // 40 % 4, date(n), ("morning", "night")[n // 7 % 2]) for n in range(SESSIONS)],
    )
    known(settings, 0, range(40))
    known(settings, 3, range(4))
    add_champion(settings, END - 60 * DAY)
    return settings


def date(number: int) -> Any:
    return END - DAY * (number % 20) - timedelta(hours=1)


def known(settings: Settings, kind: int, keys: range) -> None:
    query(settings, "DELETE FROM studyml.history_states WHERE kind = %s", kind)
    insert(
        settings,
        "INSERT INTO studyml.history_states (kind, first_key, second_key, as_of, outcomes, position, sum_ratio,"
        " sum_residual, recent_weight, recent_ratio, recent_residual) VALUES %s",
        [(kind, key, 0, END, 1000, 1000, 0, 0, 0, 0, 0) for key in keys],
    )


def outcomes(settings: Settings, weak: Callable[[int], bool], **how: Any) -> None:
    """An outcome of every session: predicted 3 h, wrong by about 0.5 h, where weak by about 2 h."""
    random = np.random.default_rng(1)
    errors = [random.normal(2.0 if weak(n) else 0.5, 0.1) for n in range(SESSIONS)]
    judged(settings, [(n, date(n), 3 + errors[n], 3.0) for n in range(SESSIONS)], observed_at=END, **how)


def worst(settings: Settings, version: Version | None = None, **how: Any) -> list[dict[str, Any]]:
    with own_database(settings) as connection:
        return worst_slices(settings, connection, version=version, **{"as_of": END, "window_days": 30, **how})


def present(settings: Settings) -> Version:
    with own_database(settings) as connection:
        found = champion(connection)
    assert found is not None
    return found


def test_a_weak_subject_is_named_with_its_error_and_that_elsewhere(world: Settings) -> None:
    outcomes(world, lambda n: n // 40 % 4 == 1)

    (found,) = worst(world)

    assert (found["slice"], found["value"], found["n"]) == ("subject", "History", 120)
    assert found["mae"] == pytest.approx(2, abs=0.05)
    assert found["mae_elsewhere"] == pytest.approx(0.5, abs=0.05)
    assert found["sentence"] == (
        f"Subject History: off by {found['mae']:.2f} h on average over 120 sessions,"
        f" {found['mae_elsewhere']:.2f} h elsewhere"
    )


@pytest.mark.parametrize(
    ("weak", "name", "value"),
    [
        (lambda n: n % 40 >= 20, "education_level", "school"),
        (lambda n: n // 7 % 2 == 1, "time_of_day", "night"),
    ],
)
def test_every_kind_of_slice_is_found(world: Settings, weak: Callable[[int], bool], name: str, value: str) -> None:
    outcomes(world, weak)

    assert [(each["slice"], each["value"]) for each in worst(world)] == [(name, value)]


def test_of_a_version_all_counts_that_it_predicted_served_or_not(world: Settings) -> None:
    outcomes(world, lambda n: n // 40 % 4 == 1)
    query(world, "UPDATE studyml.outcome_predictions SET served = false")

    assert worst(world) == []
    assert [each["value"] for each in worst(world, present(world))] == ["History"]


@pytest.mark.parametrize(
    ("kind", "keys", "weak", "value"),
    [
        (0, range(30), lambda n: n % 40 >= 30, "new student"),
        (3, range(3), lambda n: n // 40 % 4 == 3, "new topic"),
    ],
)
def test_new_ones_are_those_of_whom_nothing_was_known_in_the_night_of_their_prediction(
    world: Settings, kind: int, keys: range, weak: Callable[[int], bool], value: str
) -> None:
    known(world, kind, keys)
    outcomes(world, weak)
    # By now their sessions have been observed, and stand in their history.
    query(
        world,
        "INSERT INTO studyml.history_states SELECT %s, n, 0, %s, 10, %s, 0, 0, 0, 0, 0 FROM generate_series(%s, %s) n",
        kind,
        END,
        10 if kind == 0 else 80,
        keys.stop,
        39 if kind == 0 else 3,
    )

    found = worst(world)

    assert value in [each["value"] for each in found]
    assert any(each["sentence"].startswith(f"{value}: off by") for each in found)


def test_errors_alike_everywhere_name_no_slice(world: Settings) -> None:
    outcomes(world, lambda _: False)

    assert worst(world) == []


def test_without_outcomes_there_are_none(world: Settings) -> None:
    assert worst(world) == []


def test_no_more_than_asked_for_and_the_worst_first(world: Settings) -> None:
    outcomes(world, lambda n: n // 40 % 4 == 1)
    query(
        world,
        "UPDATE studyml.outcome_predictions SET actual_hours = actual_hours + 0.5 WHERE session_id %% 40 < 20".replace(
            "%%", "%"
        ),
    )

    assert [each["value"] for each in worst(world)] == ["History", "graduate"]
    assert [each["value"] for each in worst(world, most=1)] == ["History"]


def test_fewer_than_ten_outcomes_are_no_slice(world: Settings) -> None:
    judged(world, [(n, date(n), 9.0 if n < 9 else 3.5, 3.0) for n in range(40)], observed_at=END)
    query(world, "UPDATE study_sessions SET time_of_day = CASE WHEN id < 9 THEN 'night' ELSE 'morning' END")

    assert "night" not in [each["value"] for each in worst(world)]


def test_only_the_outcomes_that_count_are_judged(world: Settings) -> None:
    outcomes(world, lambda _: False)
    weak = [(n, date(n), 6.0, 3.0) for n in range(SESSIONS) if n // 40 % 4 == 1]

    judged(world, weak, observed_at=END + DAY, revision=2)  # a later correction
    assert worst(world) == []
    assert [each["value"] for each in worst(world, as_of=END + DAY)] == ["History"]
    query(world, "UPDATE studyml.outcome_predictions SET observed_at = %s WHERE revision = 2", END)
    query(world, "UPDATE studyml.outcomes SET observed_at = %s WHERE revision = 2", END)
    assert [each["value"] for each in worst(world)] == ["History"]
    assert worst(world, window_days=0) == []
    query(world, "UPDATE studyml.outcome_predictions SET served = false WHERE revision = 2")
    assert worst(world) == []


def test_of_one_version_or_of_all(world: Settings) -> None:
    outcomes(world, lambda n: n // 40 % 4 == 1)
    query(world, "UPDATE studyml.outcome_predictions SET model_version = 'v_20200101_000000'")

    assert worst(world, present(world)) == []
    query(world, "UPDATE studyml.outcome_predictions SET model_version = %s", VERSION)
    assert [each["value"] for each in worst(world, present(world))] == ["History"]


def test_only_the_newest_are_looked_at(world: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes(world, lambda n: n // 40 % 4 == 1)
    monkeypatch.setattr(module, "MOST_SESSIONS", 200)

    (found,) = worst(world)

    assert found["n"] == sum(n // 40 % 4 == 1 for n in range(SESSIONS) if n % 20 < 10)


def test_sessions_that_left_the_source_are_left_out(world: Settings) -> None:
    outcomes(world, lambda n: n // 40 % 4 == 1)
    query(world, "DELETE FROM study_sessions WHERE topic_id = 1")
    assert worst(world) == []
    query(world, "DELETE FROM study_sessions")
    assert worst(world) == []


def test_a_trained_version_is_held_against_what_it_expected_of_each_length(lived: Settings) -> None:
    ids = [row[0] for row in query(lived, "SELECT session_id FROM studyml.predictions WHERE served")]
    rows = query(
        lived,
        "SELECT p.session_id, p.session_date, p.predicted_hours, s.time_of_day = 'night' FROM studyml.predictions p"
        " JOIN study_sessions s ON s.id = p.session_id WHERE p.session_id = ANY(%s)",
        ids,
    )
    random = np.random.default_rng(1)
    version = present(lived)
    weak = [
        (each, when, hours * (1 + random.uniform(0.8, 1.2) * (0.9 if night else 0.25)), hours)
        for each, when, hours, night in rows
    ]
    as_of = FIRST_NIGHT + 31 * DAY
    query(lived, "DELETE FROM studyml.outcome_predictions; DELETE FROM studyml.outcomes")
    judged(lived, weak, observed_at=as_of, version=version.version)

    found = worst(lived, version, as_of=as_of, window_days=60)

    assert [each["value"] for each in found] == ["night"]
    assert found[0]["ratio"] == pytest.approx(0.9 / 0.25, rel=0.3)
    assert "lengths allowed for" in found[0]["sentence"]


def test_a_page_names_the_slices_of_the_version_that_it_is_about(world: Settings) -> None:
    add_champion(world, END - 40 * DAY, version=EARLIER, relative_error=PRECISE)
    for version, rows, weak in ((VERSION, range(200), 1), (EARLIER, range(200, SESSIONS), 0)):
        hours = [3 + (2.0 if n // 40 % 4 == weak else 0.5) + 0.01 * (n % 7) for n in rows]
        judged(
            world,
            [(n, date(n), actual, 3.0) for n, actual in zip(rows, hours, strict=True)],
            observed_at=END,
            version=version,
        )

    monitor(world, as_of=END, now=NOW)

    [(body,)] = query(world, "SELECT message_body FROM studyml.incident_events WHERE message_body IS NOT NULL")
    assert f"Version: {EARLIER}" in body
    assert "Worst: Subject Physics: off by 2." in body
    assert "History" not in body
