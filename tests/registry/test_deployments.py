"""The log of deployments holds trials too: they are no change of the champion."""

from datetime import timedelta

from studyml.registry.deployments import deployments, live_at, predecessors, served_since
from studyml.settings import Settings
from studyml.steps.opening import own_database
from tests.conftest import END
from tests.scoring.world import EARLIER, VERSION, add_champion, query

DAY = timedelta(days=1)


def test_a_challenger_that_failed_was_never_live_and_is_nothing_to_go_back_to(settings: Settings) -> None:
    add_champion(settings, END - 9 * DAY, version=EARLIER)
    add_champion(settings, END - 8 * DAY, version=VERSION)
    query(settings, "UPDATE studyml.model_versions SET status = 'retired' WHERE version = %s", EARLIER)
    for action, older, newer, day in (("challenge", VERSION, EARLIER, 3), ("retire", EARLIER, None, 2)):
        query(
            settings,
            "INSERT INTO studyml.deployments (action, as_of, recorded_at, actor, from_version, to_version, reason)"
            " VALUES (%s, %s, %s, 'studyml', %s, %s, 'a trial')",
            *(action, END - day * DAY, END - day * DAY, older, newer),
        )

    with own_database(settings) as connection:
        now_live = live_at(connection, END + 9999 * DAY)
        assert now_live is not None
        assert now_live.to_version == VERSION
        assert {each.action for each in deployments(connection)} <= {"promote", "rollback"}
        assert EARLIER in served_since(connection, END - 3 * DAY)
        assert EARLIER not in served_since(connection, END - DAY)
        assert all(each.version != VERSION for each in predecessors(connection))
