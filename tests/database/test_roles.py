"""What analysts see, and what each role may do."""

import psycopg2
import pytest

from studyml.database import migrate
from studyml.database.connection import connect
from studyml.errors import DatabaseError
from tests.database.users import ROLES, as_user
from tests.logs import ask


class TestWhatAnalystsSee:
    def test_every_view_and_every_column_has_a_comment(self, shared_url: str) -> None:
        uncommented = ask(
            shared_url,
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
            " WHERE c.relnamespace = 'analytics'::regnamespace"
            " AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)",
        )
        assert uncommented == []

    def test_there_are_views_and_nothing_else(self, shared_url: str) -> None:
        kinds = ask(shared_url, "SELECT DISTINCT relkind FROM pg_class WHERE relnamespace = 'analytics'::regnamespace")
        assert kinds == [("v",)]

    def test_nothing_personal_is_among_the_columns(self, shared_url: str) -> None:
        columns = ask(shared_url, "SELECT column_name FROM information_schema.columns WHERE table_schema = 'analytics'")
        assert {"name", "email", "student_name"}.isdisjoint(name for (name,) in columns)


def as_role(url: str, role: str, *statements: str) -> None:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {role}")
        for statement in statements:
            cursor.execute(statement)
        connection.rollback()
    connection.close()


class TestRoles:
    def test_an_analyst_reads_every_view_and_no_table(self, shared_url: str) -> None:
        views = ask(shared_url, "SELECT viewname FROM pg_views WHERE schemaname = 'analytics'")
        assert len(views) == 8
        as_role(shared_url, "studyml_analyst", *(f"SELECT * FROM analytics.{name}" for (name,) in views))
        for statement in ("SELECT * FROM studyml.predictions", "CREATE TABLE analytics.mine ()"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                as_role(shared_url, "studyml_analyst", statement)

    def test_an_analyst_cannot_hold_up_a_swap_for_long(self, empty_database_url: str) -> None:
        migrate.upgrade(empty_database_url)
        [(options,)] = ask(
            empty_database_url,
            "SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'studyml_analyst'::regrole"
            " AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        assert set(options) == {"statement_timeout=60s", "idle_in_transaction_session_timeout=60s"}

    def test_the_page_reads_and_writes_nothing(self, shared_url: str) -> None:
        as_role(shared_url, "studyml_ui", "SELECT * FROM studyml.predictions", "SELECT * FROM analytics.freshness")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            as_role(shared_url, "studyml_ui", "DELETE FROM studyml.nights")

    def test_the_pipeline_may_do_everything_that_a_scoring_does(self, shared_url: str) -> None:
        as_role(
            shared_url,
            "studyml_pipeline",
            "SELECT version_num FROM studyml.alembic_version",
            "INSERT INTO studyml.scoring_runs (as_of, versions, planned, status, started_at)"
            " VALUES (now(), '{v}', 0, 'running', now())",
            "CREATE TABLE studyml.predictions_build_1 (LIKE studyml.predictions INCLUDING CONSTRAINTS)",
            "ALTER TABLE studyml.predictions_build_1 ADD PRIMARY KEY (as_of, session_id, role)",
            "LOCK TABLE studyml.predictions IN SHARE UPDATE EXCLUSIVE MODE",
            "ALTER TABLE studyml.predictions ATTACH PARTITION studyml.predictions_build_1 FOR VALUES IN ('2026-03-01')",
            "ALTER TABLE studyml.predictions DETACH PARTITION studyml.predictions_build_1",
            "DROP TABLE studyml.predictions_build_1",
            "SELECT * FROM analytics.study_time_predictions",
        )

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE studyml.deployments SET reason = ''",
            "DELETE FROM studyml.deployments",
            "TRUNCATE studyml.deployments",
            "UPDATE studyml.alembic_version SET version_num = ''",
        ],
    )
    def test_the_pipeline_may_not_rewrite_history(self, shared_url: str, statement: str) -> None:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            as_role(shared_url, "studyml_pipeline", statement)

    def test_nobody_gets_in_without_a_password_from_an_administrator(self, shared_url: str) -> None:
        for role in ROLES:
            with pytest.raises(DatabaseError, match="cannot be reached"), connect(as_user(shared_url, role)):
                pass
