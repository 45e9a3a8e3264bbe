"""docker/initialise.py against a real PostgreSQL, and docker/healthcheck.py against nothing that answers."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from cryptography.fernet import Fernet

from studyml.development import postgres

from .compose_file import REPOSITORY, load_script

initialise = load_script("initialise")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Server]:
    """A server of its own: the scripts change passwords and roles of the whole server."""
    folder = tmp_path_factory.mktemp("deployment")
    yield postgres.start(folder)
    postgres.remove(folder)


@pytest.fixture
def environment(server: postgres.Server) -> dict[str, str]:
    """The init service's variables, for this server, with names that no other test uses."""
    place = server.url("postgres").rpartition("@")[2].partition("/")[0]
    return {
        "DATABASE_ADMIN_URL": server.url("postgres"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://airflow_login:first1@{place}/airflow_database",
        "STUDYML_DATABASE_URL": f"postgresql://studyml_owner:first2@{place}/studyml_database",
        "AIRFLOW_CONN_STUDYML_DB": f"postgresql://pipeline_login:first3@{place}/studyml_database",
        "AIRFLOW__CELERY__BROKER_URL": "redis://:first4@127.0.0.1:6379/0",
        "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
    }


def login(address: str, statement: str = "SELECT 1") -> object:
    """Run one statement with the login of ``address``; the first value of the answer, if there is one."""
    connection = psycopg2.connect(address.replace("+psycopg2", ""))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0] if cursor.description else None
    finally:
        connection.close()


def test_each_login_gets_in_and_none_has_rights_on_the_server(environment: dict[str, str]) -> None:
    initialise.prepare_server(environment)
    for name in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "STUDYML_DATABASE_URL", "AIRFLOW_CONN_STUDYML_DB"):
        assert login(environment[name]) == 1
    powerful = (
        "SELECT count(*) FROM pg_roles WHERE rolname IN ('airflow_login', 'studyml_owner', 'pipeline_login')"
        " AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)"
    )
    assert login(environment["DATABASE_ADMIN_URL"], powerful) == 0


def test_logins_cannot_reach_each_others_database(environment: dict[str, str]) -> None:
    initialise.prepare_server(environment)
    crossed = environment["STUDYML_DATABASE_URL"].replace("/studyml_database", "/airflow_database")
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        login(crossed)


def test_pipeline_reads_what_the_owner_loads_and_cannot_change_it(environment: dict[str, str]) -> None:
    initialise.prepare_server(environment)
    login(environment["STUDYML_DATABASE_URL"], "CREATE TABLE IF NOT EXISTS public.students AS SELECT 7 AS id")
    assert login(environment["AIRFLOW_CONN_STUDYML_DB"], "SELECT id FROM public.students") == 7
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        login(environment["AIRFLOW_CONN_STUDYML_DB"], "DELETE FROM public.students")


def test_repeating_it_takes_over_a_changed_password_and_keeps_the_data(environment: dict[str, str]) -> None:
    initialise.prepare_server(environment)
    login(environment["STUDYML_DATABASE_URL"], "CREATE TABLE IF NOT EXISTS kept AS SELECT 1 AS id")
    old = environment["STUDYML_DATABASE_URL"]
    environment["STUDYML_DATABASE_URL"] = old.replace("first2", "second")
    initialise.prepare_server(environment)
    assert login(environment["STUDYML_DATABASE_URL"], "SELECT count(*) FROM kept") == 1
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        login(old)


def test_owner_migrates_and_the_real_pipeline_role_may_attach_partitions(environment: dict[str, str]) -> None:
    pipeline = environment["AIRFLOW_CONN_STUDYML_DB"].replace("pipeline_login", "studyml_pipeline")
    environment["AIRFLOW_CONN_STUDYML_DB"] = pipeline
    initialise.prepare_server(environment)
    done = subprocess.run(
        [sys.executable, "-c", "from studyml.cli import main; main()", "db", "upgrade"],
        env=environment | {"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "belongs to the migrating user" not in done.stdout + done.stderr
    assert "not created" not in done.stdout + done.stderr
    owner = "SELECT tableowner FROM pg_tables WHERE schemaname = 'studyml' AND tablename = 'predictions'"
    assert login(pipeline, owner) == "studyml_pipeline"
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        login(pipeline, "DROP TABLE studyml.deployments")


def test_wrong_superuser_password_is_one_sentence(environment: dict[str, str]) -> None:
    admin = environment["DATABASE_ADMIN_URL"]
    environment["DATABASE_ADMIN_URL"] = admin.replace("@", "x@")
    with pytest.raises(initialise.SetupError, match="POSTGRES_PASSWORD counts when the volume is first made"):
        initialise.prepare_server(environment)


@pytest.mark.parametrize("password", ["", "a/b", "a@b", "a:b", "a%2Fb", "a b", "a#b", "a?b"])
@pytest.mark.parametrize("name", sorted(initialise.ADDRESSES))
def test_password_that_would_break_an_address_is_refused(environment: dict[str, str], name: str, password: str) -> None:
    scheme, _, rest = environment[name].partition("://")
    user = rest.partition(":")[0]
    environment[name] = f"{scheme}://{user}:{password}@{rest.rpartition('@')[2]}"
    with pytest.raises(initialise.SetupError, match=f"^{initialise.ADDRESSES[name]} may hold only letters"):
        initialise.check_secrets(environment)


def test_wrong_fernet_key_is_refused(environment: dict[str, str]) -> None:
    environment["AIRFLOW__CORE__FERNET_KEY"] = "not-a-key"
    with pytest.raises(initialise.SetupError, match=r"^AIRFLOW_FERNET_KEY is not a Fernet key: .+\.$"):
        initialise.check_secrets(environment)


def test_commands_after_it_do_not_know_the_superuser(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run the whole script with stand-ins for the two programs; the second fails, so the third never runs."""
    journal = tmp_path / "journal"
    for program, status in (("airflow", 0), ("studyml", 3)):
        script = tmp_path / program
        script.write_text(f'#!/bin/sh\necho "{program} $* [$DATABASE_ADMIN_URL]" >> {journal}\nexit {status}\n')
        script.chmod(0o755)
    extra = {"AIRFLOW_ADMIN_USERNAME": "a", "AIRFLOW_ADMIN_EMAIL": "a@example.org", "AIRFLOW_ADMIN_PASSWORD": "p"}
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "docker/initialise.py")],
        env=environment | extra | {"PATH": path}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.strip() == "error: 'studyml db upgrade' failed: its own message is above."
    assert journal.read_text().splitlines() == ["airflow db migrate []", "studyml db upgrade []"]


@pytest.mark.parametrize("component", ["api-server", "scheduler", "dag-processor", "triggerer", "worker"])
def test_component_that_does_not_answer_is_unhealthy(component: str) -> None:
    nobody = "127.0.0.1:9"
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "docker/healthcheck.py"), component],
        env={
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{nobody}/execution/",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": "9",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://:password@{nobody}/0",
        },
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "does not answer" in done.stderr
    assert "password" not in done.stderr
