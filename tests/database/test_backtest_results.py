"""What a report of a backtest reads of its nights."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from studyml.database import backtest_results as results
from studyml.settings import Settings
from tests.conftest import END, NOW
from tests.scoring.world import EARLIER, VERSION, add_champion, query
from tests.scoring.world import judged as observed

DAY = timedelta(days=1)
Found = TypeVar("Found")


def deployed(settings: Settings, action: str, version: str | None, as_of: datetime) -> None:
    query(
        settings,
        "INSERT INTO studyml.deployments (as_of, recorded_at, action, from_version, to_version, actor, reason)"
        " VALUES (%s, %s, %s, %s, %s, 'studyml', 'a test')",
        *(as_of, as_of, action, EARLIER, version),
    )


def judged(
    settings: Settings,
    scope: str,
    error_ratio: float,
    as_of: datetime,
    *,
    verdict: str = "healthy",
    n: int = 60,
    mae: float = 1.0,
) -> None:
    query(
        settings,
        "INSERT INTO studyml.monitoring_runs (as_of, scope, verdict, n, rolling_mae, baseline_mae, threshold,"
        " window_days, reason, recorded_at, error_ratio, error_ratio_limit, error_ratio_n, error_ratio_days)"
        " VALUES (%s, %s, %s, %s, %s, 0.99, 1.188, 30, 'a test', %s, %s, 1.3, 60, 30)",
        *(as_of, scope, verdict, n, mae, as_of, error_ratio),
    )


def read(settings: Settings, what: Callable[[Connection], Found]) -> Found:
    connection = psycopg2.connect(settings.database)
    try:
        return what(connection)
    finally:
        connection.close()


def ratios(settings: Settings) -> list[float]:
    return [float(each["error_ratio"]) for each in read(settings, results.rulings)]


def test_a_night_is_ruled_by_the_champions_own_errors_and_not_by_its_challengers(settings: Settings) -> None:
    add_champion(settings, END - 9 * DAY, version=EARLIER)
    add_champion(settings, END - 9 * DAY, version=VERSION)
    for action, version, ago in (("promote", EARLIER, 5), ("challenge", VERSION, 4), ("retire", None, 2)):
        deployed(settings, action, version, END - ago * DAY)
    for ago in (3, 1):
        for scope, ratio in (("served", 1.1), (EARLIER, 1.2), (VERSION, 3.0)):
            judged(settings, scope, ratio, END - ago * DAY)

    assert ratios(settings) == [1.2, 1.2]

    deployed(settings, "promote", VERSION, END - 2 * DAY)
    assert ratios(settings) == [1.2, 3.0]


def test_a_promotion_rules_from_the_night_after_and_a_rollback_as_well(settings: Settings) -> None:
    for version in (EARLIER, VERSION):
        add_champion(settings, END - 9 * DAY, version=version)
    for action, version, ago in (("promote", EARLIER, 5), ("promote", VERSION, 3), ("rollback", EARLIER, 2)):
        deployed(settings, action, version, END - ago * DAY)
    for ago in (3, 2, 1):
        for scope, ratio in (("served", 1.1), (EARLIER, 1.2), (VERSION, 3.0)):
            judged(settings, scope, ratio, END - ago * DAY)

    assert ratios(settings) == [1.2, 3.0, 1.2]


@pytest.mark.parametrize("verdict", ["insufficient_data", "error"])
def test_where_the_champions_own_outcomes_do_not_suffice_all_that_was_served_rules(
    settings: Settings, verdict: str
) -> None:
    for version in (EARLIER, VERSION):
        add_champion(settings, END - 9 * DAY, version=version)
    deployed(settings, "promote", VERSION, END - 5 * DAY)
    judged(settings, "served", 1.1, END)
    judged(settings, VERSION, 3.0, END, verdict=verdict, n=9, mae=0.1)

    (ruling,) = read(settings, results.rulings)

    assert (ruling["n"], ruling["rolling_mae"], ruling["error_ratio"]) == (60, 1.0, 1.1)


@pytest.mark.parametrize(("own", "decides"), [(1.2, 1.2), (2.0, 1.5)])
def test_of_the_champions_own_error_and_that_of_all_that_was_served_the_smaller_one_decides(
    settings: Settings, own: float, decides: float
) -> None:
    for version in (EARLIER, VERSION):
        add_champion(settings, END - 9 * DAY, version=version)
    deployed(settings, "promote", VERSION, END - 5 * DAY)
    judged(settings, "served", 1.1, END, mae=1.5)
    judged(settings, VERSION, 1.2, END, n=20, mae=own)

    (ruling,) = read(settings, results.rulings)

    assert (ruling["n"], ruling["rolling_mae"]) == (60, decides)


def test_a_retraining_that_was_not_due_and_one_that_was_killed_are_none(settings: Settings) -> None:
    for night, decision in enumerate(("skipped", "abandoned", "rejected", "failed", None)):
        as_of = END + night * DAY
        query(
            settings,
            "INSERT INTO studyml.retraining_runs (as_of, new_labels, labels_needed, decision, started_at, decided_at)"
            " VALUES (%s, 0, 50, %s, %s, %s)",
            *(as_of, decision, as_of, None if decision is None else as_of),
        )

    assert [each["decision"] for each in read(settings, results.retrainings)] == ["rejected", "failed"]


def test_what_a_silence_held_back_has_a_subject_and_was_no_message(settings: Settings) -> None:
    query(
        settings,
        "INSERT INTO studyml.incidents (kind, severity, status, title, opened_as_of, opened_at, updated_as_of, figures)"
        " VALUES ('degraded', 'ticket', 'open', 'it is bad', %s, %s, %s, '{}')",
        *(END, NOW, END),
    )
    for severity, subject, held_back in (
        ("page", "studyml: told", False),
        ("page", "studyml: held", True),
        (None,) * 3,
    ):
        query(
            settings,
            "INSERT INTO studyml.incident_events (incident_id, event, as_of, recorded_at, actor, severity,"
            " message_subject, message_body, held_back) SELECT id, 'updated', %s, %s, 'studyml', %s, %s, %s, %s"
            " FROM studyml.incidents",
            *(END, NOW, severity, subject, subject, bool(held_back)),
        )

    (incident,) = read(settings, results.incidents)

    assert [(each["severity"], each["subject"], each["has_message"]) for each in incident["events"]] == [
        ("page", "studyml: told", True),
        ("page", "studyml: held", False),
        ("ticket", None, False),
    ]
    assert read(settings, lambda each: results.events_of(each, END)) == [
        ("updated", "studyml: told"),
        ("updated", "studyml: held"),
        ("updated", "it is bad"),
    ]


def test_an_outcome_counts_as_it_was_corrected_last_and_arrived_when_it_was_seen_first(settings: Settings) -> None:
    observed(settings, [(1, END - DAY, 2.0, 1.5), (2, END - DAY, 3.0, 1.5), (3, END - DAY, 4.0, 1.5)], observed_at=END)
    observed(settings, [(1, END - DAY, 2.5, 1.5), (3, END - DAY, None, 1.5)], observed_at=END + DAY, revision=2)
    query(settings, "UPDATE studyml.outcome_predictions SET served = false WHERE session_id = 2")

    served, known = read(settings, results.served), read(settings, results.outcomes)

    assert (served["session_id"].tolist(), served["actual"].tolist()) == ([1], [2.5])
    assert known["actual"].tolist() == [2.0, 3.0, 4.0]
    assert len(set(known["observed_at"].tolist())) == 1
