"""The score group, in a night and by hand: plan -> score (mapped over ranges of sessions) -> publish."""

from datetime import datetime
from typing import Any

from airflow.sdk import TriggerRule, XComArg, get_current_context, task, task_group

from studyml_airflow.context import parse_as_of, resolve_as_of, utc_now
from studyml_airflow.settings import load_settings


@task
def plan(night: str | None) -> list[dict[str, int]]:
    """Plan the predictions of ``night`` (the run's own as_of if None) and return its ranges, maybe none."""
    from studyml.steps.plan_scoring import plan_scoring

    context = get_current_context()
    as_of: datetime = parse_as_of(night) if night else resolve_as_of(context)
    planned = plan_scoring(load_settings(), as_of=as_of, now=utc_now(), dag_run_id=context["run_id"])
    # Only a task's return value can be mapped over, and publish needs the run's id also when there is no range.
    context["ti"].xcom_push(key="scoring_run_id", value=planned["scoring_run_id"])
    return [{"first_id": first, "last_id": last} for first, last in planned["ranges"]]


@task(map_index_template="{{ sessions }}")
def score(scoring_run_id: int, first_id: int, last_id: int) -> dict[str, int]:
    """Predict one range of sessions, into this run's own table aside."""
    from studyml.steps.score_range import score_range

    get_current_context()["sessions"] = f"sessions {first_id} to {last_id}"  # type: ignore[typeddict-unknown-key]
    return score_range(load_settings(), scoring_run_id=scoring_run_id, first_id=first_id, last_id=last_id)


@task(trigger_rule=TriggerRule.NONE_FAILED)
def publish(scoring_run_id: int) -> dict[str, Any]:
    """Swap the predictions in. Without any range ``score`` is skipped, and this publishes an empty night."""
    from studyml.steps.publish_predictions import publish_predictions

    return publish_predictions(load_settings(), scoring_run_id=scoring_run_id, now=utc_now())


@task_group(group_id="score")
def score_group(night: str | None = None, plan_trigger_rule: TriggerRule = TriggerRule.ALL_SUCCESS) -> XComArg:
    """Wire the group; what its last task published is returned."""
    ranges = plan.override(trigger_rule=plan_trigger_rule)(night)
    scoring_run_id = ranges["scoring_run_id"]
    scored = score.partial(scoring_run_id=scoring_run_id).expand_kwargs(ranges)
    published = publish(scoring_run_id)
    scored >> published
    return published
