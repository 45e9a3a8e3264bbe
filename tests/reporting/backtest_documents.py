"""Documents of backtests for the tests of page, pictures and words."""

from typing import Any


def night(day: int, **changes: Any) -> dict[str, Any]:
    return {
        "as_of": f"2026-02-{day:02d}T01:00:00+00:00",
        "verdict": "healthy",
        "n": 40,
        "rolling_mae": 0.9,
        "threshold": 1.188,
        "expected_mae": 0.95,
        "rolling_median_mae": 1.3,
        "rolling_estimate_mae": None,
        "interval_80_coverage": 0.81,
    } | changes


def incident(**changes: Any) -> dict[str, Any]:
    events = [
        {"event": "opened", "as_of": "2026-02-03T01:00:00+00:00", "severity": "page", "note": None, "has_message": True}
    ]
    return {
        "kind": "degraded",
        "severity": "page",
        "title": "MAE is up",
        "opened_as_of": "2026-02-03T01:00:00+00:00",
        "severity_since": "2026-02-03T01:00:00+00:00",
        "resolved_as_of": None,
        "events": events,
    } | changes


def retraining(**changes: Any) -> dict[str, Any]:
    return {
        "as_of": "2026-02-02T01:00:00+00:00",
        "reason": "new_labels",
        "decision": "promoted",
        "reasons": ["it is better"],
        "version": "v_20260202_010000",
        "architecture": "mlp",
        "recipe": "guide",
        "training_rows": 80,
        "holdout_mae": 0.9,
    } | changes


def deployment(**changes: Any) -> dict[str, Any]:
    return {
        "as_of": "2026-02-02T01:00:00+00:00",
        "action": "promote",
        "to_version": "v_20260202_010000",
        "is_fallback": False,
    } | changes


def document(**changes: Any) -> dict[str, Any]:
    served = {
        "n": 40,
        "not_predicted": 2,
        "mae": {"served": 0.9, "median": 1.3, "estimate": 1.1},
        "against": {
            name: {"ratio": ratio, "upper_bound": bound, "rows": 40, "groups": 9}
            for name, ratio, bound in (("median", 0.69, 0.8), ("estimate", 0.82, None))
        },
        "coverage": {"80": {"n": 40, "share": 0.8}, "90": {"n": 0, "share": None}},
        "months": [{"month": f"2026-0{n}", "n": 20, "served": 0.9, "median": 1.3, "estimate": None} for n in (1, 2)],
        "versions": [{"version": "v_20260202_010000", "n": 20, "served": 0.9, "median": 1.3, "estimate": 1.1}],
    }
    thresholds = [
        {
            "rule": "suspected",
            "ratio": ratio,
            "minimum_outcomes": 10,
            "judged": 4,
            "above": len(opened),
            "opened": opened,
            "is_set": ratio == 1.2,
        }
        for ratio, opened in ((1.2, ["2026-02-03T01:00:00+00:00"] * 6), (1.5, []))
    ]
    return {
        "headline": "It went well.",
        "findings": ["It was quiet."],
        "from": "2026-02-01",
        "to": "2026-02-04",
        "label_delay_hours": 24.0,
        "source": "host:5432/app, schema public",
        "rows": {"students": 9, "topics": 3, "sessions": 50, "labelled": 42},
        "settings": {"seed": 42},
        "studyml": "0.1.0",
        "assumptions": ["Nobody slept."],
        "summary": {"nights": 4, "pages": 1, "tickets": 0, "escalations": 0, "recoveries": 0, "promoted": 1},
        "served": served,
        "thresholds": thresholds,
        "incidents": [incident()],
        "retrainings": [retraining()],
        "deployments": [deployment()],
        "nights": [night(day) for day in range(1, 5)],
    } | changes


NOTHING = {
    "n": 0,
    "not_predicted": 0,
    "mae": {"served": None, "median": None, "estimate": None},
    "against": {},
    "coverage": {"80": {"n": 0, "share": None}, "90": {"n": 0, "share": None}},
    "months": [],
    "versions": [],
}


def silent_document() -> dict[str, Any]:
    """A backtest in which nothing was predicted, retrained or judged."""
    empty = night(1, n=0, rolling_mae=None, expected_mae=None, rolling_median_mae=None, interval_80_coverage=None)
    return document(served=NOTHING, incidents=[], retrainings=[], deployments=[], nights=[empty], thresholds=[])
