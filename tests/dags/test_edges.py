"""The edges that matter. What they lead to in a run is in test_dag_runs.py."""

from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import TriggerRule
from airflow.serialization.serialized_objects import DagSerialization

# Airflow's libraries warn about each other; what Airflow deprecates in our files is found by ruff's AIR rules.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette:UserWarning"),
]


def upstream(dag_bag: DagBag, dag_id: str, task_id: str) -> set[str]:
    return set(dag_bag.dags[dag_id].get_task(task_id).upstream_task_ids)


def all_upstream(dag_bag: DagBag, dag_id: str, task_id: str) -> set[str]:
    return dag_bag.dags[dag_id].get_task(task_id).get_flat_relative_ids(upstream=True)


def test_a_night_is_judged_before_it_retrains(dag_bag: DagBag) -> None:
    assert upstream(dag_bag, "studyml_nightly", "judge") == {"observe"}
    assert upstream(dag_bag, "studyml_nightly", "retrain.check") == {"judge", "decide_challenger"}


def test_a_trial_is_decided_after_the_outcomes_and_before_a_retraining_and_the_predictions(dag_bag: DagBag) -> None:
    assert upstream(dag_bag, "studyml_nightly", "decide_challenger") == {"observe"}
    for later in ("retrain.check", "score.plan"):
        assert "decide_challenger" in upstream(dag_bag, "studyml_nightly", later)


def test_retraining_by_hand_observes_first(dag_bag: DagBag) -> None:
    assert upstream(dag_bag, "studyml_retrain", "retrain.check") == {"observe"}


def test_a_candidate_is_evaluated_before_it_is_published(dag_bag: DagBag) -> None:
    for dag_id in ("studyml_nightly", "studyml_retrain"):
        assert upstream(dag_bag, dag_id, "retrain.train") == {"retrain.check"}
        assert "retrain.train" in upstream(dag_bag, dag_id, "retrain.evaluate")
        assert "retrain.evaluate" in upstream(dag_bag, dag_id, "retrain.publish")
        publish = dag_bag.dags[dag_id].get_task("retrain.publish")
        assert publish.trigger_rule == TriggerRule.ALL_SUCCESS


def test_predictions_wait_for_the_retraining_whatever_comes_of_it(dag_bag: DagBag) -> None:
    assert {"judge", "decide_challenger", "retrain.publish"} == upstream(dag_bag, "studyml_nightly", "score.plan")
    assert dag_bag.dags["studyml_nightly"].get_task("score.plan").trigger_rule == TriggerRule.ALL_DONE


def test_a_range_without_sessions_does_not_keep_a_night_from_being_published(dag_bag: DagBag) -> None:
    for dag_id in ("studyml_nightly", "studyml_score"):
        publish = dag_bag.dags[dag_id].get_task("score.publish")
        assert publish.trigger_rule == TriggerRule.NONE_FAILED
        assert set(publish.upstream_task_ids) == {"score.plan", "score.score"}


def test_a_night_is_finished_only_when_it_was_judged_told_and_predicted(dag_bag: DagBag) -> None:
    finish = dag_bag.dags["studyml_nightly"].get_task("finish")
    assert finish.trigger_rule == TriggerRule.ALL_SUCCESS
    assert {"start_night", "observe", "judge", "notify", "score.publish"} <= all_upstream(
        dag_bag, "studyml_nightly", "finish"
    )


def test_the_new_champion_is_announced_after_its_predictions_are_out(dag_bag: DagBag) -> None:
    assert upstream(dag_bag, "studyml_nightly", "announce") == {"retrain.publish", "score.publish"}
    assert upstream(dag_bag, "studyml_nightly", "announce_challenger") == {"decide_challenger", "score.publish"}


def test_a_person_is_asked_about_a_candidate_after_the_predictions_are_out(dag_bag: DagBag) -> None:
    assert upstream(dag_bag, "studyml_nightly", "ask") == {"retrain.publish", "score.publish"}


def test_every_task_leads_to_a_leaf_that_fails_with_it(dag_bag: DagBag) -> None:
    """A run's state is that of its leaves: the leaves must follow from everything."""
    dag = dag_bag.dags["studyml_nightly"]
    leaves = {task.task_id for task in dag.leaves}
    assert leaves == {"finish", "announce", "announce_challenger", "ask"}
    assert all(dag.get_task(leaf).trigger_rule == TriggerRule.ALL_SUCCESS for leaf in leaves)
    covered = set().union(*(all_upstream(dag_bag, "studyml_nightly", leaf) for leaf in leaves)) | leaves
    assert covered == set(dag.task_ids)


def emitting(dag_bag: DagBag, asset: str) -> set[tuple[str, str]]:
    return {
        (dag_id, task.task_id)
        for dag_id, dag in dag_bag.dags.items()
        for task in dag.tasks
        if asset in [outlet.name for outlet in task.outlets]
    }


def test_only_a_promotion_emits_the_champion(dag_bag: DagBag) -> None:
    assert emitting(dag_bag, "studyml_champion") == {
        ("studyml_nightly", "announce"),
        ("studyml_nightly", "announce_challenger"),
        ("studyml_retrain", "announce"),
        ("studyml_approve", "promote"),
    }
    schedule: Any = dag_bag.dags["studyml_score"].schedule
    assert [asset.name for asset in schedule] == ["studyml_champion"]


def test_a_candidate_that_waits_starts_the_question(dag_bag: DagBag) -> None:
    assert emitting(dag_bag, "studyml_candidate") == {("studyml_nightly", "ask"), ("studyml_retrain", "ask")}
    schedule: Any = dag_bag.dags["studyml_approve"].schedule
    assert [asset.name for asset in schedule] == ["studyml_candidate"]


def test_the_question_has_a_deadline_and_keeps_the_champion_by_default(dag_bag: DagBag) -> None:
    approve: Any = dag_bag.dags["studyml_approve"].get_task("approve")
    assert approve.defaults == ["Reject"]
    assert approve.response_timeout is not None
    assert upstream(dag_bag, "studyml_approve", "promote") == {"present", "approve"}
    # Directly below ``approve`` it would be skipped when the answer is no.
    assert upstream(dag_bag, "studyml_approve", "keep_champion") == {"present", "promote"}


def test_clearing_a_later_task_opens_the_night_again(dag_bag: DagBag) -> None:
    """An old night cleared today must be found to be a replay before it predicts."""
    serialized = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag_bag.dags["studyml_nightly"]))
    cleared = serialized.partial_subset({"score.plan"}, include_downstream=True, include_upstream=False)
    assert "start_night" in cleared.task_ids
    assert "observe" not in cleared.task_ids


def test_trials_run_two_at_a_time_before_the_best_is_chosen(dag_bag: DagBag) -> None:
    assert dag_bag.dags["studyml_tune"].get_task("trial").max_active_tis_per_dagrun == 2
    assert upstream(dag_bag, "studyml_tune", "choose") == {"plan", "trial"}
