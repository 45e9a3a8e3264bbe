"""Which version was live when, by the clock."""

from datetime import timedelta

import pytest

from studyml.errors import RegistryError
from studyml.settings import Settings
from studyml.steps.live_version import live_version
from tests.conftest import FIRST_NIGHT, NOW
from tests.steps.retraining import champions, query


def test_the_version_since_when_by_whom_and_what_it_served(lived: Settings) -> None:
    ((session, hours),) = query(
        lived, "SELECT session_id, predicted_hours FROM analytics.study_time_predictions ORDER BY 1 LIMIT 1"
    )

    found = live_version(lived, moment=NOW, session_id=session)

    assert [found["version"]] == champions(lived)
    assert (found["since"], found["action"], found["actor"]) == (NOW, "promote", "studyml")
    assert found["prediction"]["as_of"] == FIRST_NIGHT
    assert found["prediction"]["predicted_hours"] == hours
    assert found["prediction"]["replaced_at"] is None


def test_before_the_first_deployment_none_was_live_though_its_night_is_older(lived: Settings) -> None:
    with pytest.raises(RegistryError, match=r"no version was live .* first was deployed at 2026-03-01 01:30:00 UTC"):
        live_version(lived, moment=NOW - timedelta(seconds=1), session_id=None)


def test_a_session_without_a_prediction_is_a_sentence(lived: Settings) -> None:
    with pytest.raises(RegistryError, match="session 987654 had no prediction at 2026-03-01 01:30:00 UTC"):
        live_version(lived, moment=NOW, session_id=987654)


def test_an_empty_database_says_that_none_was_ever_deployed(settings: Settings) -> None:
    with pytest.raises(RegistryError, match="none was ever deployed"):
        live_version(settings, moment=NOW, session_id=None)
