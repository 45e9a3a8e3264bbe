"""The summary says what a person asks first, also when there was nothing to do."""

from io import StringIO
from typing import Any

from rich.console import Console

from studyml.reporting.summary import print_summary

NIGHT: dict[str, Any] = {
    "as_of": "2026-03-08T00:00:00+00:00",
    "replay": False,
    "finished": True,
    "retraining": {
        "decision": "promoted",
        "reasons": ["beats the median [90 % bound 0.6]"],
        "note": "beats the median [90 % bound 0.6]",
        "new_labels": 58,
        "needed": 50,
        "reason": "new_labels",
        "version": "v_20260308_000000",
        "metrics": {"mae": 1.084, "rmse": 1.44, "median_mae": 2.01, "estimate_mae": None, "holdout_rows": 120},
    },
    "scoring": {"planned": 1200, "written": 1199, "refused": 1, "status": "complete"},
    "monitoring": {
        "verdict": "healthy",
        "n": 58,
        "rolling_mae": 1.0,
        "rolling_mae_lower": 0.8,
        "rolling_mae_upper": 1.2,
        "baseline_mae": 0.99,
        "threshold": 1.188,
        "error_ratio": 1.05,
        "error_ratio_limit": 1.42,
    },
    "champion": {"version": "v_20260308_000000", "is_fallback": False},
    "quarantined": {"study_sessions": 3},
    "incidents": [
        {"id": 1, "kind": "degraded", "title": "seen that night", "opened_as_of": "2026-03-08T00:00:00+00:00"},
    ],
}


def shown(report: dict[str, Any]) -> str:
    text = StringIO()
    rows = {"students": 30, "topics": 25, "study_sessions": 12_345}
    print_summary(Console(file=text, width=140), rows, [report], {"logs": "/somewhere"})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def test_everything_a_person_asks_first_is_there() -> None:
    text = shown(NIGHT)
    for words in (
        "12,345  3",
        "promoted (enough new labels), v_20260308_000000",
        "58 of 50",
        "1.08 h (RMSE 1.44 h, 120 held-out sessions)",
        "2.01 h median of the training set",
        "1,199 of 1,200 planned, 1 refused (complete)",
        "healthy (58 outcomes in the window)",
        "1.00 h, truly 0.80 to 1.20 h (baseline 0.99 h, suspected above 1.19 h)",
        "1.05 x the errors when tested, chance explains up to 1.42 x",
        "/somewhere",
    ):
        assert words in text
    assert "topic's estimate" not in text


def test_a_reason_is_shown_once_and_as_it_is() -> None:
    assert shown(NIGHT).count("beats the median [90 % bound 0.6]") == 1


def test_a_retraining_that_is_not_decided_says_so() -> None:
    undecided = {**NIGHT, "retraining": {**NIGHT["retraining"], "decision": None}}
    assert "none yet: it runs still, or was killed" in shown(undecided)
    assert "None" not in shown(undecided)


def test_its_incidents_are_listed() -> None:
    assert "degraded: seen that night (since 2026-03-08" in shown(NIGHT)


def test_what_moved_is_said_without_asking_for_it() -> None:
    def moved(count: int, judged: int = 9) -> str:
        features = [
            {"sentence": f"feature {each} moved", "moved": each < count, "judged": each < judged} for each in range(9)
        ]
        volume = {"sentence": "12 sessions a day", "moved": False}
        drift = {"features": features, "volume": volume, "estimated_mae": 1.234}
        return shown({**NIGHT, "monitoring": {**NIGHT["monitoring"], "drift": drift}})

    assert "nothing of 9 features moved beyond chance" in moved(0)
    assert "not compared: too few rows to judge" in moved(0, judged=0)
    assert "feature 1 moved" in moved(2)
    assert "feature 2 moved" not in moved(2)
    assert "12 sessions a day" not in moved(2)
    assert "1.23 h, an estimate before the labels are known" in moved(2)
    assert "and 2 more: studyml monitor --json" in moved(7)
    assert "drift" not in shown(NIGHT)


def test_drift_that_could_not_be_checked_says_why() -> None:
    failed = {**NIGHT, "monitoring": {**NIGHT["monitoring"], "drift": {"error": "the source is away"}}}
    assert "not checked: the source is away" in shown(failed)


def test_nothing_planned_is_said_so() -> None:
    empty = {"planned": 0, "written": 0, "refused": 0, "status": "complete"}
    assert "nothing was planned" in shown(NIGHT | {"scoring": empty})


def test_a_night_that_ended_early_is_shown_too() -> None:
    bare = {"as_of": NIGHT["as_of"], "replay": False, "finished": False}
    text = shown(bare | dict.fromkeys(("retraining", "scoring", "monitoring", "champion", "quarantined", "incidents")))
    assert "not finished" in text
    assert text.count("none recorded for this night") == 3


def test_how_many_outcomes_were_inside_their_intervals_is_said_where_it_is_known() -> None:
    known = NIGHT["monitoring"] | {"interval_80_coverage": 0.776, "interval_90_coverage": 0.914}
    assert "78% in the 80 % one, 91% in the 90 % one: outcomes" in shown(NIGHT | {"monitoring": known})
    assert "in the 90 % one" not in shown(NIGHT | {"monitoring": known | {"interval_90_coverage": None}})
    assert "intervals" not in shown(NIGHT)


def test_a_fallback_is_named_as_one() -> None:
    fallback = {"version": "v_20260308_000000", "is_fallback": True}
    assert "no network has passed" in shown(NIGHT | {"champion": fallback})
