"""Score a night in one process: the same three steps as the tasks."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from studyml.settings import Settings
from studyml.steps.plan_scoring import plan_scoring
from studyml.steps.publish_predictions import publish_predictions
from studyml.steps.score_range import score_range


def score(settings: Settings, *, as_of: datetime, now: datetime, progress: Callable[[str], None]) -> dict[str, Any]:
    """Score every planned session of the night; return planned, written and refused."""
    plan = plan_scoring(settings, as_of=as_of, now=now)
    ranges = plan["ranges"]
    for number, (first_id, last_id) in enumerate(ranges, start=1):
        progress(f"scoring range {number} of {len(ranges)}")
        score_range(settings, scoring_run_id=plan["scoring_run_id"], first_id=first_id, last_id=last_id)
    progress("publishing the predictions")
    return publish_predictions(settings, scoring_run_id=plan["scoring_run_id"], now=now)
