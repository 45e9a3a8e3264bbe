"""The log of deployments holds trials too: they are no change of the champion."""

from datetime import timedelta

import pytest

from studyml.registry.deployments import deployments, live_at, predecessors, served_since
from studyml.settings import Settings
from studyml.steps.opening import own_database
from tests.conftest import END
from tests.scoring.world import VERSION, add_champion, query

DAY = timedelta(days=1)
TRIED = "v_20260225_000000"


@pytest.fixture
def tried(settings: Settings) -> Settings:
    """A champion, and a version that was on trial beside it for a day and was never champion."""
    add_champion(settings, END - 8 * DAY, version=VERSION)
    query(
        settings,
        "INSERT INTO studyml.model_versions (version, status, architecture, trained_at, as_of, manifest_sha256,"
        " artifact_uri) SELECT %s, 'retired', architecture, trained_at, as_of, %s, 'file:///tried'"
        " FROM studyml.model_versions",
        TRIED,
        "0" * 64,
    )
    for action, older, newer, day in (("challenge", VERSION, TRIED, 3), ("retire", TRIED, None, 2)):
        query(
            settings,
            "INSERT INTO studyml.deployments (action, as_of, recorded_at, actor, from_version, to_version, reason)"
            " VALUES (%s, %s, %s, 'studyml', %s, %s, 'a trial')",
            *(action, END - day * DAY, END - day * DAY, older, newer),
        )
    return settings


def test_a_trial_changes_nothing_of_what_is_live(tried: Settings) -> None:
    with own_database(tried) as connection:
        (only,) = deployments(connection)
        assert only.to_version == VERSION
        for moment in (only.recorded_at, only.recorded_at + 999 * DAY):
            assert live_at(connection, moment) == only


def test_a_challenger_that_failed_is_nothing_to_go_back_to(tried: Settings) -> None:
    with own_database(tried) as connection:
        assert predecessors(connection) == []


def test_a_version_on_trial_served_until_its_trial_ended(tried: Settings) -> None:
    with own_database(tried) as connection:
        assert served_since(connection, END - 3 * DAY) == {VERSION, TRIED}
        assert served_since(connection, END - DAY) == {VERSION}
