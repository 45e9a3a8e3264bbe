"""Airflow's four components for real, on a DAG of their own: healthy, private, driven over REST, stopped for good."""

import os
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from studyml.development import airflow as airflow_module
from studyml.development import nights, postgres, processes
from studyml.development.airflow import COMPONENTS, Airflow
from studyml.development.airflow_environment import AirflowSettings, admin_password, airflow_environment
from studyml.development.postgres import Server
from studyml.development.rest_client import AirflowClient

pytestmark = pytest.mark.timeout(300)

DAG = """
import os
from datetime import datetime
from airflow.sdk import Param, dag, get_current_context, task

@dag(schedule="@daily", start_date=datetime(2020, 1, 1), catchup=False, max_active_runs=1,
     params={"as_of": Param(None, type=["null", "string"])})
def small():
    @task
    def connected():
        assert os.environ["AIRFLOW_CONN_STUDYML_DB"].endswith("/studyml")
        assert "STUDYML_DATABASE_URL" not in os.environ
        assert os.environ["STUDYML_BASELINE_MAE"] == "0.5"

    @task
    def hard():
        if get_current_context()["params"]["as_of"].startswith("2026-03-09"):
            raise ValueError("the night is too dark: bring a lamp.")

    connected() >> hard()

small()
"""

ASKING = """
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import dag

@dag(schedule=None)
def asking():
    ApprovalOperator(task_id="ask", subject="Shall it serve?")

asking()
"""


@pytest.fixture(scope="module")
def settings(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowSettings]:
    folder = tmp_path_factory.mktemp("airflow")
    (folder / "dags").mkdir()
    (folder / "plugins").mkdir()
    (folder / "dags" / "small.py").write_text(textwrap.dedent(DAG))
    (folder / "dags" / "asking.py").write_text(ASKING)
    database = f"airflow_{os.getpid()}"
    postgres.drop_database(postgres_server, database)
    postgres.create_database(postgres_server, database)
    yield AirflowSettings(
        state_dir=folder / "state",
        metadata_url=postgres_server.url(database),
        studyml_url=postgres_server.url("studyml"),
        artifact_root=folder / "artifacts",
        dags_folder=folder / "dags",
        plugins_folder=folder / "plugins",
        extra={"STUDYML_BASELINE_MAE": "0.5"},
    )
    postgres.drop_database(postgres_server, database)


@pytest.fixture(scope="module")
def airflow(settings: AirflowSettings) -> Iterator[Airflow]:
    with airflow_module.running_airflow(settings) as running:
        yield running


@pytest.fixture
def client(airflow: Airflow) -> Iterator[AirflowClient]:
    with airflow.client() as client:
        nights.wait_for_dags(airflow, client, "small")
        client.unpause("small")
        yield client


def family(airflow: Airflow) -> list[psutil.Process]:
    """The components and their children that have not ended; a task may end at any time."""
    found = processes.families(airflow.components)
    return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_all_components_run_and_are_healthy(airflow: Airflow) -> None:
    assert airflow.is_whole()
    assert {component.name for component in airflow.components} == set(COMPONENTS)
    with airflow.client() as client:
        assert client.unhealthy(since=datetime(2020, 1, 1, tzinfo=UTC)) == []


def test_everything_listens_on_loopback_only(airflow: Airflow) -> None:
    listening = [
        connection.laddr
        for process in family(airflow)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {(address.ip, address.port) for address in listening} == {("127.0.0.1", airflow.port)}


def test_no_secret_is_on_a_command_line_or_in_a_log(airflow: Airflow, settings: AirflowSettings) -> None:
    environment = airflow_environment(settings, airflow.port)
    secrets = [
        admin_password(settings.state_dir),
        settings.metadata_url.split(":")[2].split("@")[0],
        environment["AIRFLOW__API_AUTH__JWT_SECRET"],
        environment["AIRFLOW__CORE__FERNET_KEY"],
        environment["AIRFLOW__API__SECRET_KEY"],
    ]
    texts = [" ".join(process.cmdline()) for process in family(airflow)]
    texts += [path.read_text("utf-8", "replace") for path in settings.state_dir.rglob("*.log")]
    assert len(texts) > 4
    assert not [secret for secret in secrets for text in texts if secret in text]


def test_secrets_are_private_files(airflow: Airflow, settings: AirflowSettings) -> None:
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700
    for name in ("admin.password", "passwords.json", "fernet.key", "jwt.key", "api.key"):
        assert stat.S_IMODE((settings.home / name).stat().st_mode) == 0o600


def test_a_night_is_lived_and_followed(airflow: Airflow, client: AirflowClient) -> None:
    lines: list[str] = []
    nights.live_night(airflow, client, datetime(2026, 3, 8, tzinfo=UTC), lines.append, "small")
    assert [line.split()[:2] for line in lines if "running" not in line] == [["connected", "✓"], ["hard", "✓"]]


def test_a_failed_night_says_which_task_and_why(airflow: Airflow, client: AirflowClient) -> None:
    with pytest.raises(nights.NightFailedError, match=r"2026-03-09.*hard: ValueError: the night is too dark"):
        nights.live_night(airflow, client, datetime(2026, 3, 9, tzinfo=UTC), lambda line: None, "small")


def test_no_run_starts_on_its_own(airflow: Airflow, client: AirflowClient) -> None:
    before = client._get("/api/v2/dags/small/dagRuns")["total_entries"]
    time.sleep(3)
    runs = client._get("/api/v2/dags/small/dagRuns")
    assert runs["total_entries"] == before
    assert {run["run_type"] for run in runs["dag_runs"]} <= {"manual"}


def test_runs_that_were_left_active_are_marked_as_failed(airflow: Airflow, client: AirflowClient) -> None:
    client._send("PATCH", "/api/v2/dags/small", {"is_paused": True})
    client.trigger("small", "left", {"as_of": "2026-03-08T00:00:00Z"})
    assert client.fail_active_runs() == 1
    assert client.run_state("small", "left") == "failed"


def test_a_run_that_waits_for_a_person_is_not_marked_as_failed(airflow: Airflow, client: AirflowClient) -> None:
    nights.wait_for_dags(airflow, client, "asking")
    client.unpause("asking")
    client.trigger("asking", "asked", {})
    deadline = time.monotonic() + 60
    while [task.state for task in client.task_states("asking", "asked")] != ["awaiting_input"]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert client.fail_active_runs() == 0
    assert client.run_state("asking", "asked") == "running"


STARTER = """
import sys, time
from pathlib import Path
from studyml.development import airflow
from studyml.development.airflow_environment import AirflowSettings
state, metadata, studyml, dags = Path(sys.argv[1]), *sys.stdin.read().split(), Path(sys.argv[2])
airflow.start(AirflowSettings(state, metadata, studyml, state / "artifacts", dags, dags))
print("up", flush=True)
time.sleep(300)
"""


@contextmanager
def _started_elsewhere(settings: AirflowSettings, state_dir: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", STARTER, str(state_dir), str(settings.dags_folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdin is not None
        starter.stdin.write(f"{settings.metadata_url} {settings.studyml_url}")
        starter.stdin.close()
        try:
            yield starter
        finally:
            starter.kill()


def test_what_a_killed_command_left_is_found_and_stopped(
    settings: AirflowSettings, tmp_path: Path, postgres_server: Server
) -> None:
    state_dir = tmp_path / "state"
    with _started_elsewhere(settings, state_dir) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "up\n"
        starter.kill()
    left = processes.marked(state_dir)
    assert len(left) >= len(COMPONENTS)
    assert airflow_module.kept(state_dir) is None
    # Even without the file that names them: a command may be killed before it writes it.
    (state_dir / "airflow.json").unlink()
    assert airflow_module.stop(state_dir)
    assert not [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert not airflow_module.stop(state_dir)
