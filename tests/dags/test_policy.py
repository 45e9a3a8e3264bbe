"""Rules that every DAG keeps, and what reading the DAG files may not do."""

import ast
import json
import re
import shlex
import subprocess
import sys
from datetime import UTC, time, timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from studyml.alerting.messenger import CONNECT_SECONDS, GIVE_UP_SECONDS, READ_SECONDS
from studyml.steps.backtest_workspace import NIGHT_STARTS
from studyml_airflow.defaults import DELIVERY_TIMEOUT, RetryWhatTimeMends, as_of_param
from studyml_airflow.notifier import FailureNotifier
from tests.dags.airflow_environment import DAGS, PLUGINS

# Airflow's libraries warn about each other; what Airflow deprecates in our files is found by ruff's AIR rules.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette:UserWarning"),
]

IDS = [
    *("studyml_alerts", "studyml_approve", "studyml_maintenance", "studyml_nightly", "studyml_retrain"),
    *("studyml_score", "studyml_tune"),
]
FILES = sorted(DAGS.glob("*.py")) + sorted(PLUGINS.rglob("*.py"))


@pytest.fixture(params=IDS)
def dag(request: pytest.FixtureRequest, dag_bag: DagBag) -> DAG:
    return dag_bag.dags[request.param]


def test_exactly_the_seven_dags_are_there_and_none_fails_to_import(dag_bag: DagBag) -> None:
    assert dag_bag.import_errors == {}
    assert sorted(dag_bag.dags) == IDS


def test_a_dag_has_one_run_at_a_time_and_no_catch_up(dag: DAG) -> None:
    # Questions stand beside each other: a newer candidate must not queue behind the one whose place it took.
    assert dag.max_active_runs == (16 if dag.dag_id == "studyml_approve" else 1)
    assert dag.catchup is False
    assert {"studyml"} <= set(dag.tags)


def test_the_page_of_a_dag_tells_the_on_call_engineer_what_to_do(dag: DAG) -> None:
    headings = re.findall(r"^## (.+)$", dag.doc_md or "", flags=re.MULTILINE)
    assert headings == ["What", "When", "Params", "Example", "When it fails"]
    documented = re.findall(r"^- `(\w+)`:", dag.doc_md or "", flags=re.MULTILINE)
    assert sorted(documented) == sorted(dag.params)


def test_the_example_of_a_dag_is_accepted_by_its_params(dag: DAG) -> None:
    [command] = re.findall(r"^    (airflow dags trigger .+)$", dag.doc_md or "", flags=re.MULTILINE)
    words = shlex.split(command)
    assert words[3] == dag.dag_id
    given = json.loads(words[5]) if len(words) > 4 else {}
    for name, value in given.items():
        dag.params.get_param(name).resolve(value)


def test_every_task_has_owner_retries_timeout_and_notifier(dag: DAG) -> None:
    for task in dag.tasks:
        assert task.owner == "studyml", task.task_id
        assert task.retries >= 1, task.task_id
        assert task.retry_exponential_backoff > 1, task.task_id
        assert isinstance(task.retry_policy, RetryWhatTimeMends), task.task_id
        assert task.execution_timeout is not None, task.task_id
        assert timedelta(0) < task.execution_timeout <= timedelta(hours=6), task.task_id
        callbacks = task.on_failure_callback
        callbacks = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
        assert any(isinstance(callback, FailureNotifier) for callback in callbacks), task.task_id


#: Tasks that take longer than a step, or have to be done sooner, hours.
LONGEST_HOURS = {
    ("studyml_alerts", "deliver"): 1 / 6,  # the next run is due
    ("studyml_maintenance", "maintain"): 2,
    **{
        (dag_id, f"retrain.{task}"): 3
        for dag_id in ("studyml_nightly", "studyml_retrain")
        for task in ("train", "evaluate")
    },
    ("studyml_tune", "trial"): 3,
}


def test_what_trains_has_three_hours_what_tidies_up_two_and_a_step_half_an_hour(dag: DAG) -> None:
    for task in dag.tasks:
        hours = LONGEST_HOURS.get((dag.dag_id, task.task_id), 0.5)
        assert task.execution_timeout == timedelta(hours=hours), task.task_id


def test_a_task_is_tried_three_times_within_minutes_of_each_other(dag: DAG) -> None:
    for task in dag.tasks:
        assert (task.retries, task.retry_delay) == (2, timedelta(seconds=30)), task.task_id
        assert task.max_retry_delay == timedelta(minutes=15), task.task_id


SCHEDULES = {
    "studyml_alerts": "*/10 * * * *",
    "studyml_maintenance": "0 4 * * 0",
    "studyml_nightly": "0 1 * * *",
    "studyml_tune": "0 3 * * 6",
}


def test_a_dag_runs_by_the_utc_clock_when_its_page_says(dag_bag: DagBag) -> None:
    timed = {dag_id: dag.schedule for dag_id, dag in dag_bag.dags.items() if hasattr(dag.schedule, "expression")}

    assert {dag_id: schedule.expression for dag_id, schedule in timed.items()} == SCHEDULES
    assert {str(schedule.timezone) for schedule in timed.values()} == {"UTC"}
    assert dag_bag.dags["studyml_retrain"].schedule is None


def test_a_backtest_lives_its_nights_at_the_hour_at_which_they_are_scheduled() -> None:
    minute, hour, *_ = SCHEDULES["studyml_nightly"].split()

    assert time(int(hour), int(minute), tzinfo=UTC) == NIGHT_STARTS


@pytest.mark.parametrize("as_of", [None, "2026-03-01", "2026-03-01T01:00:00Z", "2026-03-01T01:00:00.000+01:00"])
def test_the_param_as_of_accepts(as_of: str | None) -> None:
    assert as_of_param("now").resolve(as_of) == as_of


@pytest.mark.parametrize("as_of", ["yesterday", "01.03.2026", "", 20260301])
def test_the_param_as_of_refuses(as_of: object) -> None:
    with pytest.raises(ParamValidationError):
        as_of_param("now").resolve(as_of)


@pytest.mark.parametrize("dag_id", ["studyml_nightly", "studyml_retrain"])
@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"architecture": "transformer"}, "architecture.*'transformer' is not one of .*'lstm'"),
        ({"recipe": "own"}, "recipe.*'own' is not one of .*'history'"),
        ({"hyperparameters": {"dropout": 2}}, "hyperparameters.*2 is greater than or equal to the maximum of 0.95"),
    ],
)
def test_a_wrong_choice_is_refused_when_a_run_is_asked_for(
    dag_id: str, wrong: dict[str, object], rule: str, dag_bag: DagBag
) -> None:
    """As the API server does, which holds the DAG as it was stored, and answers 400 with this sentence."""
    stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag_bag.dags[dag_id]))
    stored.params.deep_merge({"hyperparameters": {"l2": 0.01}}).validate()
    with pytest.raises(ParamValidationError, match=re.compile(rule, re.DOTALL)):
        stored.params.deep_merge(wrong).validate()


@pytest.mark.parametrize("wrong", [{"trials": 0}, {"trials": 501}, {"seed": -1}, {"seed": 2**31}, {"strategy": "luck"}])
def test_a_search_that_cannot_be_made_is_refused_when_it_is_asked_for(
    wrong: dict[str, object], dag_bag: DagBag
) -> None:
    stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag_bag.dags["studyml_tune"]))
    stored.params.deep_merge({"trials": 500, "seed": 2**31 - 1, "strategy": "random"}).validate()
    with pytest.raises(ParamValidationError):
        stored.params.deep_merge(wrong).validate()


def test_a_receiver_that_hangs_leaves_most_of_a_deliverys_time_to_the_others() -> None:
    assert CONNECT_SECONDS + READ_SECONDS < GIVE_UP_SECONDS <= DELIVERY_TIMEOUT.total_seconds() / 10


def imports_at_module_level(path: Path) -> set[str]:
    """Return the top-level packages that a file imports when it is read (type checkers' imports aside)."""
    roots: set[str] = set()
    pending: list[ast.stmt] = list(ast.parse(path.read_text()).body)
    for node in pending:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            roots.add((node.module or "").partition(".")[0])
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            pending.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))
    return roots


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_heavy_is_imported_when_a_file_is_read(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"airflow", "studyml_airflow"}
    assert imports_at_module_level(path) - allowed == set()


READING = """
import json, sys
from airflow.sdk.execution_time import context
def refuse(key, *rest, **more):
    raise AssertionError(f"{key} was looked up while a DAG file was read")
context._get_connection = context._get_variable = refuse
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
heavy = {"tensorflow", "keras", "pandas", "sklearn", "onnxruntime", "psycopg2", "studyml"} & set(sys.modules)
slowest = max(one.duration.total_seconds() for one in bag.dagbag_stats)
print(json.dumps({"errors": bag.import_errors, "heavy": sorted(heavy), "slowest": slowest}))
"""


def test_reading_the_dags_is_quick_and_asks_for_no_connection() -> None:
    done = subprocess.run(
        [sys.executable, "-c", READING, str(DAGS)], capture_output=True, text=True, timeout=120, check=True
    )
    read = json.loads(done.stdout.splitlines()[-1])
    assert read["errors"] == {}
    assert read["heavy"] == []
    assert read["slowest"] < 1


def test_airflow_does_not_load_the_package_as_loose_plugin_files() -> None:
    from airflow.sdk._shared.module_loading import find_path_from_directory

    found = [Path(path) for path in find_path_from_directory(str(PLUGINS), ".airflowignore", "glob")]
    assert [path for path in found if path.parent.name == "studyml_airflow"] == []
