"""Real Airflow for the tests of the DAGs: an SQLite metadata database, the DAGs, and stand-ins for the steps."""

import atexit
import importlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from unittest.mock import Mock, create_autospec

import pytest

# Nothing here imports Airflow at module level: where its home is must be settled first.
from tests.dags.airflow_environment import DAGS
from tests.dags.stand_ins import AS_OF, STEPS, Lived

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag


@pytest.fixture(scope="session")
def metadata_database() -> None:
    """A migrated metadata database in the empty Airflow home."""
    home = os.environ["AIRFLOW_HOME"]
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="session")
def dag_bag() -> "DagBag":
    """The seven DAGs, as the dag-processor reads them."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(DAGS))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> dict[str, Mock]:
    """Stand-ins for the steps, by function name; they refuse a call that the real step would not understand."""
    stand_ins = {}
    for module, function, result in STEPS:
        real = getattr(importlib.import_module(f"studyml.steps.{module}"), function)
        stand_ins[function] = create_autospec(real, return_value=result)
        monkeypatch.setattr(f"studyml.steps.{module}.{function}", stand_ins[function])
    monkeypatch.setenv("AIRFLOW_CONN_STUDYML_DB", "postgresql://studyml:not-used@127.0.0.1:1/studyml")
    return stand_ins


@pytest.fixture
def live(metadata_database: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Lived]:
    """Run a DAG through Airflow's own scheduling decisions and task runner, in this process."""

    from airflow.dag_processing.dagbag import DagBag

    def run(dag_id: str, **params: object) -> Lived:
        # DAG.test writes the run's params into the DAG object: each run reads its DAG anew, as a task's process does.
        dag = DagBag(str(DAGS)).dags[dag_id]
        with monkeypatch.context() as patch:
            # DAG.test sleeps a second wherever no task is ready, so also where it has just marked some as skipped.
            patch.setattr(time, "sleep", lambda seconds: None)
            dag_run = dag.test(run_after=AS_OF, logical_date=None, run_conf=params)
        lived = Lived(state=str(dag_run.state), run_id=dag_run.run_id)
        for instance in dag_run.get_task_instances():
            lived.tasks.setdefault(instance.task_id, []).append(str(instance.state))
        return lived

    return run
