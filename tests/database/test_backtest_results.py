"""What a report of a backtest reads of its nights."""

from datetime import datetime, timedelta

import psycopg2

from studyml.database.backtest_results import rulings
from studyml.settings import Settings
from tests.conftest import END
from tests.scoring.world import EARLIER, VERSION, add_champion, query

DAY = timedelta(days=1)


def deployed(settings: Settings, action: str, version: str | None, as_of: datetime) -> None:
    query(
        settings,
        "INSERT INTO studyml.deployments (as_of, recorded_at, action, from_version, to_version, actor, reason)"
        " VALUES (%s, %s, %s, %s, %s, 'studyml', 'a test')",
        *(as_of, as_of, action, EARLIER, version),
    )


def judged(settings: Settings, scope: str, error_ratio: float, as_of: datetime) -> None:
    query(
        settings,
        "INSERT INTO studyml.monitoring_runs (as_of, scope, verdict, n, rolling_mae, baseline_mae, threshold,"
        " window_days, reason, recorded_at, error_ratio, error_ratio_limit, error_ratio_n, error_ratio_days)"
        " VALUES (%s, %s, 'healthy', 60, 1.0, 0.99, 1.188, 30, 'a test', %s, %s, 1.3, 60, 30)",
        *(as_of, scope, as_of, error_ratio),
    )


def ratios(settings: Settings) -> list[float]:
    connection = psycopg2.connect(settings.database)
    found = [float(each["error_ratio"]) for each in rulings(connection)]
    connection.close()
    return found


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
