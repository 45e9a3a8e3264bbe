"""Stand-ins for the steps, and what a test sees of a finished run."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

AS_OF = datetime(2026, 3, 1, 1, tzinfo=UTC)

VERSION = "v_20260301_010000"


def decided(decision: str) -> dict[str, Any]:
    """What publishing returns, by its decision."""
    promoted, waits = decision == "promoted", decision == "awaiting_approval"
    champion = VERSION if promoted else "v_20260201_010000"
    waiting = VERSION if waits else None
    return {
        **{"decision": decision, "version": VERSION, "promoted": promoted},
        **{"champion": champion, "waiting": waiting},
    }


QUESTION = {
    "version": VERSION,
    "subject": "Shall it serve?",
    "body": "It passed.",
    "deadline": "2026-03-04T01:00:00+00:00",
}

# Every step that a DAG calls: module, function, and what its stand-in returns in a night in which all goes well.
STEPS: list[tuple[str, str, Any]] = [
    ("start_night", "start_night", False),
    ("observe", "observe", {"new": 60}),
    ("monitor", "monitor", [{"scope": "served", "verdict": "ok"}]),
    ("notify", "notify", {"sent": 0}),
    ("decide_challenger", "decide_challenger", {"decision": None, "version": None, "promoted": False}),
    ("check_retraining", "check_retraining", 7),
    ("train_candidate", "train_candidate", "v_20260301_010000"),
    ("evaluate_candidate", "evaluate_candidate", True),
    ("publish_version", "publish_version", decided("promoted")),
    ("approve_version", "waiting_candidate", QUESTION),
    ("approve_version", "approve_version", {"version": VERSION, "decision": "promoted", "promoted": True}),
    ("approve_version", "reject_version", True),
    ("plan_scoring", "plan_scoring", {"scoring_run_id": 3, "ranges": [[1, 50], [51, 99]]}),
    ("score_range", "score_range", {"written": 49, "refused": 1}),
    ("publish_predictions", "publish_predictions", {"written": 98}),
    ("finish_night", "finish_night", {"finished": True}),
    ("newest_night", "newest_night", AS_OF),
    ("newest_night", "already_scored", False),
    ("report_failure", "report_failure", None),
    ("tune", "plan_trials", [{"search_id": "search_5", "trial_id": 11}, {"search_id": "search_5", "trial_id": 12}]),
    ("tune", "run_trial", {"trial_id": 11, "status": "done", "validation_mae": 1.0}),
    ("tune", "choose_best", {"search_id": "search_5", "sentence": "Keep it.", "line": None, "table": []}),
    ("maintain", "maintain", {"pruned": 0}),
    ("deliver_alerts", "deliver_alerts", {"sent": 0, "pending": 0, "dead": 0}),
]


@dataclass
class Lived:
    """A finished DAG run: its state, the states of its tasks, and the failures that were reported."""

    state: str
    tasks: dict[str, list[str]] = field(default_factory=dict)
    run_id: str = ""
