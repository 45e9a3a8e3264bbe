"""The SQL of the documentation runs, the analysts' with analysts' rights and with rows to show."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import psycopg2.errors
import pytest
import yaml
from psycopg2.extensions import connection as Connection

from studyml.contract import STUDENTS
from studyml.database.source import SESSION_FEATURES, SESSION_LABELS, TOPIC_COLUMNS
from studyml.registry.versions import champion
from studyml.settings import Settings
from tests.docs.documents import NAMES, blocks, marked, read, rows

ANALYSTS, OPERATIONS, RUNBOOK = "docs/analysts.md", "docs/operations.md", "docs/runbook.md"


@contextmanager
def connected(url: str, *, autocommit: bool = True) -> Iterator[Connection]:
    connection = psycopg2.connect(url)
    connection.autocommit = autocommit
    try:
        yield connection
    finally:
        connection.close()


def run(connection: Connection, code: str) -> int | None:
    """Run statements; return how many rows the last one gave, None where it gives none."""
    with connection.cursor() as cursor:
        cursor.execute(code)
        return len(cursor.fetchall()) if cursor.description else None


def test_every_sql_block_is_in_a_document_that_is_tested() -> None:
    with_sql = {name for name in NAMES if blocks(name, "sql")}
    assert with_sql == {ANALYSTS, OPERATIONS, RUNBOOK}


def test_the_views_are_documented_column_by_column(database_url: str) -> None:
    sections = re.split(r"^### analytics\.(\w+)$", read(ANALYSTS), flags=re.MULTILINE)[1:]
    documented = {
        view: [row[0].strip("`") for row in rows(text.split("\n## ")[0]) if row[0].startswith("`")]
        for view, text in zip(sections[::2], sections[1::2], strict=True)
    }
    with connected(database_url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position)"
            " FROM information_schema.columns WHERE table_schema = 'analytics' GROUP BY table_name"
        )
        assert documented == dict(cursor.fetchall())


def test_the_examples_for_analysts_give_rows_to_an_analyst(lived: Settings) -> None:
    with connected(lived.database) as owner, connected(lived.database) as analyst:
        # Something for the one view that is empty when all is well.
        run(
            owner,
            "INSERT INTO studyml.refused_sessions SELECT max(as_of), 1, 'its topic does not exist'"
            " FROM studyml.scoring_runs WHERE status = 'complete'",
        )
        run(analyst, "SET ROLE studyml_analyst")
        examples = blocks(ANALYSTS, "sql")
        assert len(examples) > 5
        for example in examples:
            if example.code.startswith("GRANT"):
                run(owner, example.code)
            else:
                assert run(analyst, example.code), example.code


def test_an_analyst_sees_no_personal_data(lived: Settings) -> None:
    with connected(lived.database) as analyst:
        run(analyst, "SET ROLE studyml_analyst")
        for table in ("public.students", "studyml.predictions"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                run(analyst, f"SELECT count(*) FROM {table}")


def test_the_statements_of_the_runbook_run(lived: Settings) -> None:
    with connected(lived.database) as connection:
        for block in blocks(RUNBOOK, "sql"):
            run(connection, block.code)
        # The last resort against a damaged champion.
        assert champion(connection) is None
        connection.rollback()


def renamed(code: str) -> str:
    """Roles belong to the whole server: the test's own, so that no other test sees them."""
    return re.sub(r"\b(studyml_(?:pipeline|analyst|ui|reader)|owner_login)\b", rf"\1_docs_{os.getpid()}", code)


@pytest.fixture
def transaction(lived: Settings) -> Iterator[Connection]:
    """A superuser's transaction that is rolled back."""
    with connected(lived.database, autocommit=False) as connection:
        yield connection
        connection.rollback()


def test_the_grants_by_hand_are_enough_for_a_night(transaction: Connection) -> None:
    run(transaction, renamed("CREATE ROLE owner_login"))
    run(transaction, renamed(marked(OPERATIONS, "roles")))
    run(transaction, renamed(marked(OPERATIONS, "grants")))
    run(transaction, renamed("SET LOCAL ROLE studyml_pipeline"))
    run(
        transaction,
        """
        INSERT INTO studyml.nights (as_of, replay, started_at, first_started_at)
            VALUES ('2030-01-01', false, now(), now());
        CREATE TABLE studyml.one_night (LIKE studyml.predictions INCLUDING ALL);
        ALTER TABLE studyml.predictions ATTACH PARTITION studyml.one_night FOR VALUES IN ('2030-01-01');
        """,
    )
    [(older,)] = fetch(
        transaction,
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'studyml.predictions'::regclass"
        " AND inhrelid <> 'studyml.one_night'::regclass LIMIT 1",
    )
    run(transaction, f"ALTER TABLE studyml.predictions DETACH PARTITION {older}; DROP TABLE {older}")
    for refused in ("DELETE FROM studyml.deployments", "UPDATE studyml.alembic_version SET version_num = 'x'"):
        run(transaction, "SAVEPOINT before")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            run(transaction, refused)
        run(transaction, "ROLLBACK TO SAVEPOINT before")
    run(transaction, renamed("SET LOCAL ROLE studyml_analyst"))
    run(transaction, "SELECT * FROM analytics.study_time_predictions")


def fetch(connection: Connection, query: str) -> list[tuple[str, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def test_the_grants_by_hand_are_those_of_the_migration(transaction: Connection) -> None:
    suffix = f"_docs_{os.getpid()}"
    run(transaction, renamed("CREATE ROLE owner_login"))
    run(transaction, renamed(marked(OPERATIONS, "roles")))
    run(transaction, renamed(marked(OPERATIONS, "grants")))
    rights = (
        "SELECT c.oid::regclass::text, acl.privilege_type FROM pg_class c"
        " CROSS JOIN aclexplode(c.relacl) acl JOIN pg_roles r ON r.oid = acl.grantee"
        " WHERE c.relnamespace IN ('studyml'::regnamespace, 'analytics'::regnamespace) AND NOT c.relispartition"
        " AND c.oid <> 'studyml.predictions'::regclass AND r.rolname = '{}' ORDER BY 1, 2"
    )
    for role in ("studyml_pipeline", "studyml_analyst", "studyml_ui"):
        assert fetch(transaction, rights.format(role + suffix)) == fetch(transaction, rights.format(role)), role


def test_the_reader_may_read_what_is_read_and_no_more(transaction: Connection) -> None:
    run(transaction, renamed(marked(OPERATIONS, "source")))
    expected = (
        {("students", column.name) for column in STUDENTS}
        | {("topics", column.name) for column in TOPIC_COLUMNS}
        | {("study_sessions", column.name) for column in (*SESSION_FEATURES, *SESSION_LABELS)}
    )
    found = fetch(
        transaction,
        renamed(
            "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'"
            " AND has_column_privilege('studyml_reader', 'public.' || table_name, column_name, 'SELECT')"
        ),
    )
    assert set(found) == expected


def test_the_other_statements_of_operations_run(transaction: Connection) -> None:
    for block in blocks(OPERATIONS, "sql"):
        if not block.mark:
            run(transaction, block.code)


def test_the_override_of_compose_covers_every_service() -> None:
    compose = yaml.safe_load(read("docker-compose.yaml"))["services"]
    override = yaml.safe_load(marked(OPERATIONS, "override"))["services"]
    concerned = {name for name, service in compose.items() if "AIRFLOW_CONN_STUDYML_DB" in service["environment"]}
    assert set(override) == concerned
    for service in override.values():
        assert set(service["environment"]) == {"STUDYML_DATABASE_URL", "AIRFLOW_CONN_STUDYML_DB"}
