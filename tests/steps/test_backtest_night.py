"""The line about a night, for the person who waits for a backtest."""

from datetime import UTC, datetime
from typing import Any

import pytest

from studyml.errors import InputError
from studyml.steps.backtest_night import Lived, tell_night

NIGHT = datetime(2026, 3, 1, 1, tzinfo=UTC)
JUDGED = {"monitoring": {"verdict": "healthy", "rolling_mae": 0.914, "n": 60}, "trial": None, "retraining": None}


def test_a_quiet_night_says_what_was_judged() -> None:
    assert tell_night(NIGHT, JUDGED, None, []) == Lived("2026-03-01 healthy, MAE 0.91 h over 60 outcomes", False)


def test_without_an_error_there_is_none_to_tell() -> None:
    found = {**JUDGED, "monitoring": {"verdict": "insufficient_data", "rolling_mae": None, "n": 0}}

    assert tell_night(NIGHT, found, None, []).line == "2026-03-01 insufficient data over 0 outcomes"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"retraining": {"decision": "rejected", "version": "v_2"}}, "rejected: v_2"),
        ({"trial": {"decision": "promoted", "version": "v_2"}}, "promoted after its trial: v_2"),
        ({"trial": {"decision": "retired", "version": "v_2"}}, "retired after its trial: v_2"),
    ],
)
def test_a_model_that_changed_is_notable(given: dict[str, Any], told: str) -> None:
    assert tell_night(NIGHT, {**JUDGED, **given}, None, []) == Lived(
        f"2026-03-01 healthy, MAE 0.91 h over 60 outcomes; {told}", True
    )


@pytest.mark.parametrize("decision", ["continued", None])
def test_a_trial_that_goes_on_is_no_news(decision: str | None) -> None:
    assert not tell_night(NIGHT, {**JUDGED, "trial": {"decision": decision, "version": "v_2"}}, None, []).notable


def test_a_retraining_that_failed_and_its_incident_are_told() -> None:
    assert tell_night(NIGHT, {}, InputError("there is no disk."), ["incident opened: a task failed"]) == Lived(
        "2026-03-01 the retraining failed: there is no disk.; incident opened: a task failed", True
    )
