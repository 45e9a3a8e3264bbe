"""The retrain group, in a night and by hand: check -> train -> evaluate -> publish."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from studyml_airflow.assets import CANDIDATE, CHAMPION
from studyml_airflow.context import resolve_as_of, utc_now
from studyml_airflow.defaults import TRAINING_TIMEOUT, training_params
from studyml_airflow.settings import load_settings

if TYPE_CHECKING:
    from studyml.settings import Settings


@task.short_circuit(ignore_downstream_trigger_rules=False)
def check() -> int | None:
    """Open a retraining when one is due and return its id; else the rest of the group is skipped.

    The trigger rules downstream stay in force: what follows the group must not be skipped with it.
    """
    from studyml.steps.check_retraining import check_retraining

    context = get_current_context()
    return check_retraining(
        _settings(context["params"]),
        as_of=resolve_as_of(context),
        now=utc_now(),
        reason=context["params"].get("reason"),
        force=context["params"].get("force", False),
        dag_run_id=context["run_id"],
    )


@task(execution_timeout=TRAINING_TIMEOUT)
def train(retraining_run_id: int) -> str | None:
    """Train a candidate aside and return its version; None where labels are too few and the fallback will do."""
    from studyml.steps.train_candidate import train_candidate

    settings = _settings(get_current_context()["params"])
    return train_candidate(settings, retraining_run_id=retraining_run_id, now=utc_now())


@task(execution_timeout=TRAINING_TIMEOUT)
def evaluate(retraining_run_id: int) -> bool:
    """Judge the candidate by the gates and return whether it passed."""
    from studyml.steps.evaluate_candidate import evaluate_candidate

    settings = _settings(get_current_context()["params"])
    return evaluate_candidate(settings, retraining_run_id=retraining_run_id)


@task
def publish(retraining_run_id: int) -> dict[str, Any]:
    """Promote, try, wait, reject or fall back: the decision, and the version that it is about."""
    from studyml.steps.publish_version import publish_version

    settings = _settings(get_current_context()["params"])
    return publish_version(settings, retraining_run_id=retraining_run_id, now=utc_now())


@task(outlets=[CHAMPION])
def announce(decision: dict[str, Any], *, outlet_events: Any) -> str:
    """Emit the champion's Asset upon a promotion; without one the task is skipped, and so emits nothing."""
    if not decision["promoted"]:
        raise AirflowSkipException(f"No new champion ({decision['decision']}): nothing to announce.")
    version = str(decision["champion"])
    outlet_events[CHAMPION].extra = {"version": version}
    return version


@task(outlets=[CANDIDATE])
def ask(decision: dict[str, Any], *, outlet_events: Any) -> str:
    """Emit the candidate's Asset where one waits for a person; without one the task is skipped, and emits nothing."""
    if not decision["waiting"]:
        raise AirflowSkipException(f"No candidate waits for approval ({decision['decision']}).")
    outlet_events[CANDIDATE].extra = {"version": decision["waiting"]}
    return str(decision["waiting"])


@task_group(group_id="retrain")
def retrain_group() -> XComArg:
    """Wire the group; the decision of its last task is returned."""
    retraining_run_id = check()
    decision = publish(retraining_run_id)
    train(retraining_run_id) >> evaluate(retraining_run_id) >> decision
    return decision


def _settings(params: Mapping[str, Any]) -> "Settings":
    """The settings with what the run chose to train: the same in every task of the group, also when one is cleared.

    ``check`` reads them too, so that an impossible choice ends the run before a retraining is opened.
    """
    return load_settings(**{name: params.get(name) for name in training_params()})
