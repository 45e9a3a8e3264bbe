"""``studyml report``: what happened in a night."""

import json
from datetime import timedelta

import pytest

from studyml.errors import RegistryError
from studyml.settings import Settings
from studyml.steps.handle_incidents import resolve_incident
from studyml.steps.report import report
from studyml.steps.start_night import start_night
from tests.conftest import END, FIRST_NIGHT, NOW
from tests.scoring.world import create_source, query
from tests.steps.test_report_failure import fail


def test_before_any_night_it_says_so(settings: Settings) -> None:
    with pytest.raises(RegistryError, match="no night was lived yet: run 'studyml night'"):
        report(settings)


def test_a_night_that_was_not_lived_is_named(lived: Settings) -> None:
    with pytest.raises(RegistryError, match=r"there was no night of 2026-02-27"):
        report(lived, as_of=END - timedelta(days=2))


def test_a_night_that_only_began_is_reported_as_unfinished(settings: Settings) -> None:
    create_source(settings)
    start_night(settings, as_of=END, now=NOW)

    found = report(settings)

    assert (found["finished"], found["retraining"], found["scoring"], found["monitoring"], found["champion"]) == (
        False,
        None,
        None,
        None,
        None,
    )


def test_a_night_begun_again_is_unfinished_until_it_ends_anew(lived: Settings) -> None:
    assert report(lived)["finished"] is True
    start_night(lived, as_of=FIRST_NIGHT, now=NOW + timedelta(hours=1))

    assert report(lived)["finished"] is False


def test_a_lived_night_is_one_json_document_with_all_that_happened(lived: Settings) -> None:
    found = json.loads(json.dumps(report(lived)))

    assert (found["as_of"], found["replay"], found["finished"]) == (FIRST_NIGHT.isoformat(), False, True)
    assert found["retraining"]["decision"] in ("promoted", "fallback")
    assert found["retraining"]["reason"] == "first"
    assert found["retraining"]["reasons"]
    assert found["retraining"]["needed"] == 50
    assert set(found["retraining"]["metrics"]) >= {
        "mae",
        "rmse",
        "median_mae",
        "estimate_mae",
        "log_linear_mae",
        "random_split_mae",
        "holdout_rows",
    }
    assert found["scoring"]["planned"] == found["scoring"]["written"] > 0
    assert found["scoring"]["versions"] == [found["champion"]["version"]]
    assert found["monitoring"]["verdict"] == "insufficient_data"
    assert found["incidents"] == []
    assert found["where"]["predictions"] == "analytics.study_time_predictions"


def test_an_earlier_night_is_told_as_it_was(lived: Settings) -> None:
    def titles(night: int) -> list[str]:
        as_of = FIRST_NIGHT + timedelta(days=night)
        if night:
            start_night(lived, as_of=as_of, now=NOW)
        return [each["title"] for each in report(lived, as_of=as_of)["incidents"]]

    fail(lived, night=-7)
    assert titles(0) == ["studyml_nightly.score.publish failed"]
    query(lived, "UPDATE studyml.incidents SET title = 'another title since'")
    assert titles(0) == ["another title since"]
    assert titles(1) == ["another title since"]
    assert titles(0) == ["studyml_nightly.score.publish failed"]
    resolve_incident(lived, 1, now=NOW, actor="ann", note="mended")
    assert titles(1) == []
    assert titles(0) == ["studyml_nightly.score.publish failed"]


def test_open_incidents_are_listed(lived: Settings) -> None:
    fail(lived, night=-7)

    (incident,) = report(lived)["incidents"]

    assert incident == {
        "id": 1,
        "kind": "task_failed",
        "title": "studyml_nightly.score.publish failed",
        "opened_as_of": FIRST_NIGHT.isoformat(),
    }
