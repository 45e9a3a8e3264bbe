"""Prepares the databases of a deployment; the ``init`` service of docker-compose.yaml runs it at every start.

Each step may be repeated: roles and databases that exist stay, and passwords become those of the environment, so a
changed password in ``.env`` takes effect at the next start. Then both schemas are migrated, and the first
administrator is created if there is none of that name. A mistake ends with one sentence and exit status 1.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

import psycopg2
from cryptography.fernet import Fernet
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import encrypt_password

# Variable that holds an address -> the variable of .env that its password comes from.
ADDRESSES = {
    "DATABASE_ADMIN_URL": "POSTGRES_PASSWORD",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "POSTGRES_AIRFLOW_PASSWORD",
    "STUDYML_DATABASE_URL": "POSTGRES_STUDYML_PASSWORD",
    "AIRFLOW_CONN_STUDYML_DB": "POSTGRES_PIPELINE_PASSWORD",
    "AIRFLOW__CELERY__BROKER_URL": "REDIS_PASSWORD",
}
# Created here because the owner of studyml's database may not create roles; the migrations grant them their rights.
# Without a password nobody gets in: an administrator sets one for whoever may read.
READER_ROLES = ("studyml_analyst", "studyml_ui")


class SetupError(Exception):
    """A mistake in the environment: one sentence that names the variable and the cure."""


def parse_address(environment: Mapping[str, str], name: str) -> SplitResult:
    """Split the address in variable ``name``; raise SetupError when its password is not plain."""
    address = urlsplit(environment[name])
    if not address.hostname or not re.fullmatch(r"[A-Za-z0-9._~-]+", address.password or ""):
        raise SetupError(
            f"{ADDRESSES[name]} may hold only letters, digits and . _ ~ - because it becomes part of an address: "
            "set it to what 'openssl rand -hex 24' prints."
        )
    return address


def check_secrets(environment: Mapping[str, str]) -> None:
    """Raise SetupError for a secret that could not work, before anything is changed."""
    for name in ADDRESSES:
        parse_address(environment, name)
    try:
        Fernet(environment["AIRFLOW__CORE__FERNET_KEY"])
    except ValueError:
        raise SetupError(
            "AIRFLOW_FERNET_KEY is not a Fernet key: set it to what \"openssl rand -base64 32 | tr '+/' '-_'\" prints."
        ) from None


def connect(environment: Mapping[str, str], database: str = "postgres") -> Connection:
    """Connect as PostgreSQL's superuser; raise SetupError when it refuses."""
    try:
        connection = psycopg2.connect(environment["DATABASE_ADMIN_URL"], dbname=database, connect_timeout=30)
    except psycopg2.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        raise SetupError(
            "PostgreSQL refused its superuser: POSTGRES_PASSWORD counts when the volume is first made, "
            f"so put the old one back or change it in the database too ({reason})."
        ) from None
    connection.autocommit = True  # CREATE DATABASE cannot run in a transaction
    return connection


def exists(connection: Connection, catalogue: str, column: str, name: str) -> bool:
    """Tell whether a role or a database of that name exists."""
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("SELECT 1 FROM {} WHERE {} = %s").format(sql.Identifier(catalogue), sql.Identifier(column)), [name]
        )
        return cursor.fetchone() is not None


def create_login(connection: Connection, name: str, password: str | None = None) -> None:
    """Create a login, or give an existing one this password; it gets no right on the server beyond that."""
    role = sql.Identifier(name)
    with connection.cursor() as cursor:
        if not exists(connection, "pg_roles", "rolname", name):
            cursor.execute(sql.SQL("CREATE ROLE {}").format(role))
        cursor.execute(
            sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS").format(role)
        )
        if password is not None:
            # Hashed here: the server, and with it its log, never sees the password itself.
            verifier = encrypt_password(password, name, connection, "scram-sha-256")
            cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD %s").format(role), [verifier])


def create_database(connection: Connection, address: SplitResult) -> None:
    """Create the owner and the database that ``address`` names; nobody else may connect to it."""
    owner, database = address.username or "", address.path.lstrip("/")
    create_login(connection, owner, address.password)
    with connection.cursor() as cursor:
        if not exists(connection, "pg_database", "datname", database):
            statement = sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0")
            cursor.execute(statement.format(sql.Identifier(database), sql.Identifier(owner)))
        cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))


def create_studyml_roles(connection: Connection, owner: SplitResult, pipeline: SplitResult) -> None:
    """Create the roles that work in studyml's database: the pipeline's login and the readers."""
    create_login(connection, pipeline.username or "", pipeline.password)
    for name in READER_ROLES:
        create_login(connection, name)
    names = {"owner": owner.username, "pipeline": pipeline.username, "database": owner.path.lstrip("/")}
    identifiers = {key: sql.Identifier(name or "") for key, name in names.items()}
    with connection.cursor() as cursor:
        for name in (pipeline.username or "", *READER_ROLES):
            statement = sql.SQL("GRANT CONNECT ON DATABASE {database} TO {role}")
            cursor.execute(statement.format(role=sql.Identifier(name), **identifiers))
        # The migrations give the pipeline the table whose partitions it attaches.
        cursor.execute(sql.SQL("GRANT {pipeline} TO {owner}").format(**identifiers))
        # The migrations set these too, where they may.
        cursor.execute("ALTER ROLE studyml_analyst SET statement_timeout = '60s'")
        cursor.execute("ALTER ROLE studyml_analyst SET idle_in_transaction_session_timeout = '60s'")


def let_pipeline_read_source(connection: Connection, owner: SplitResult, pipeline: SplitResult) -> None:
    """Let the pipeline read what ``studyml load`` and ``simulate``, run as the owner, put into schema public."""
    with connection.cursor() as cursor:
        statement = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA public GRANT SELECT ON TABLES TO {}")
        cursor.execute(statement.format(sql.Identifier(owner.username or ""), sql.Identifier(pipeline.username or "")))
        statement = sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}")
        cursor.execute(statement.format(sql.Identifier(pipeline.username or "")))


def prepare_server(environment: Mapping[str, str]) -> None:
    """Create the roles and databases on the server; raise SetupError when PostgreSQL refuses the superuser."""
    airflow, owner, pipeline = (
        parse_address(environment, name)
        for name in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "STUDYML_DATABASE_URL", "AIRFLOW_CONN_STUDYML_DB")
    )
    connection = connect(environment)
    try:
        create_database(connection, airflow)
        create_database(connection, owner)
        create_studyml_roles(connection, owner, pipeline)
    finally:
        connection.close()
    connection = connect(environment, owner.path.lstrip("/"))
    try:
        let_pipeline_read_source(connection, owner, pipeline)
    finally:
        connection.close()


def commands(environment: Mapping[str, str]) -> list[list[str]]:
    """List the commands that follow once the databases are there."""
    username = environment["AIRFLOW_ADMIN_USERNAME"]
    return [
        ["airflow", "db", "migrate"],
        ["studyml", "db", "upgrade"],
        # Does nothing when there is a user of that name: a password changed in the UI stays.
        ["airflow", "users", "create", "--role", "Admin", "--username", username,
         "--firstname", username, "--lastname", "administrator", "--email", environment["AIRFLOW_ADMIN_EMAIL"],
         "--password", environment["AIRFLOW_ADMIN_PASSWORD"]],
    ]  # fmt: skip


def report(line: str) -> None:
    """Write a line of progress at once, before the next command writes its own."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Prepare everything, in order."""
    environment = os.environ
    check_secrets(environment)
    prepare_server(environment)
    report("databases and roles are ready")
    # The commands below work as the owners: they need no superuser.
    child_environment = {key: value for key, value in environment.items() if key != "DATABASE_ADMIN_URL"}
    for command in commands(environment):
        shown = " ".join(command[:3])
        if subprocess.run(command, env=child_environment, check=False).returncode != 0:
            raise SetupError(f"'{shown}' failed: its own message is above.")
    report("ready: check the source with 'studyml doctor', then unpause studyml_nightly in the UI")


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"error: {error}")
