"""The migrations: once or twice, alone or together, with every right or with few."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from studyml.database import migrate, schema
from studyml.database.connection import connect
from studyml.errors import DatabaseError, SchemaError
from studyml.settings import load_settings
from studyml.steps.opening import own_database
from tests.logs import ask

ROLES = ("studyml_analyst", "studyml_pipeline", "studyml_ui")
OBJECTS = """SELECT c.relkind, n.nspname, c.relname, coalesce(c.relacl::text, '') FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('studyml', 'analytics') ORDER BY 1, 2, 3"""


def config() -> Config:
    found = Config()
    found.set_main_option("script_location", str(migrate.MIGRATIONS))
    return found


def downgrade(url: str) -> None:
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.connect() as connection:
        prepared = config()
        prepared.attributes["connection"] = connection
        command.downgrade(prepared, "base")
    engine.dispose()


def as_user(url: str, user: str) -> str:
    return f"postgresql://{user}:secret@" + url.split("@", 1)[1]


@pytest.fixture
def plain_user(empty_database_url: str) -> Iterator[str]:
    """A user who may log in and nothing else."""
    name = "plain_" + empty_database_url.rsplit("/", 1)[1]
    ask(empty_database_url, f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    yield name
    ask(empty_database_url, f"DROP OWNED BY {name} CASCADE")
    ask(empty_database_url, f"DROP ROLE {name}")


def test_the_newest_migration_is_the_one_that_the_code_asks_for() -> None:
    script = ScriptDirectory.from_config(config())
    assert script.get_heads() == [schema.REVISION]
    assert [each.revision for each in script.walk_revisions()][-1] == "0001"


def test_the_installed_package_holds_every_file_of_the_migrations() -> None:
    root = Path(migrate.MIGRATIONS).parents[1]
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["studyml"]
    packaged = {path for pattern in patterns for path in (root / "studyml").glob(pattern)}
    wanted = {path for path in migrate.MIGRATIONS.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert {path.suffix for path in wanted} >= {".py", ".sql", ".mako"}
    assert wanted <= packaged


class TestUpgrading:
    def test_twice_is_once(self, empty_database_url: str) -> None:
        migrate.upgrade(empty_database_url)
        before = ask(empty_database_url, OBJECTS)
        assert migrate.upgrade(empty_database_url) == []
        assert ask(empty_database_url, OBJECTS) == before
        assert ask(empty_database_url, "SELECT version_num FROM studyml.alembic_version") == [(schema.REVISION,)]

    def test_down_and_up_again_makes_the_same(self, empty_database_url: str) -> None:
        migrate.upgrade(empty_database_url)
        before = ask(empty_database_url, OBJECTS)
        downgrade(empty_database_url)
        left = ask(empty_database_url, "SELECT relname FROM pg_class WHERE relnamespace = 'studyml'::regnamespace")
        assert {name for (name,) in left} == {"alembic_version", "alembic_version_pkc"}
        migrate.upgrade(empty_database_url)
        assert ask(empty_database_url, OBJECTS) == before

    def test_several_at_once_wait_for_each_other(self, empty_database_url: str) -> None:
        script = f"from studyml.database.migrate import upgrade; upgrade({empty_database_url!r})"
        running = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
        assert [process.wait(60) for process in running] == [0, 0, 0]
        assert ask(empty_database_url, "SELECT count(*) FROM studyml.nights") == [(0,)]

    def test_a_password_with_special_characters_is_read_as_everywhere(
        self, empty_database_url: str, plain_user: str
    ) -> None:
        ask(empty_database_url, f"ALTER ROLE {plain_user} PASSWORD 'p#s%?+: x'")
        database = empty_database_url.rsplit("/", 1)[1]
        ask(empty_database_url, f"GRANT CREATE ON DATABASE {database} TO {plain_user}")
        url = as_user(empty_database_url, plain_user).replace(":secret@", ":p#s%25%3F+%3A%20x@")
        migrate.upgrade(url)
        assert ask(empty_database_url, "SELECT count(*) FROM studyml.nights") == [(0,)]

    def test_a_database_of_a_newer_studyml_is_a_sentence(self, empty_database_url: str) -> None:
        migrate.upgrade(empty_database_url)
        ask(empty_database_url, "UPDATE studyml.alembic_version SET version_num = '9999'")
        with pytest.raises(SchemaError, match=r"revision that this version does not know .*9999.*: install the newer"):
            migrate.upgrade(empty_database_url)

    def test_a_server_that_does_not_answer_is_a_sentence(self) -> None:
        with pytest.raises(DatabaseError, match="cannot be reached"):
            migrate.upgrade("postgresql://u:topsecret@127.0.0.1:1/x")


class TestWithFewRights:
    def test_without_the_right_to_create_schemas_it_says_who_has_to(
        self, empty_database_url: str, plain_user: str
    ) -> None:
        with pytest.raises(DatabaseError, match="may not create the schemas studyml and analytics: create both"):
            migrate.upgrade(as_user(empty_database_url, plain_user))

    def test_schemas_that_an_administrator_made_are_enough(self, empty_database_url: str, plain_user: str) -> None:
        ask(empty_database_url, f"CREATE SCHEMA studyml AUTHORIZATION {plain_user}")
        ask(empty_database_url, f"CREATE SCHEMA analytics AUTHORIZATION {plain_user}")
        notices = migrate.upgrade(as_user(empty_database_url, plain_user))
        # The roles exist on this server already; what this user may not do is told, each in a line.
        assert any("belongs to the migrating user" in notice for notice in notices)
        assert any("statement timeout" in notice for notice in notices)

    def test_without_the_right_to_create_roles_it_says_so_and_goes_on(
        self, empty_database_url: str, plain_user: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        # Roles belong to the whole server, which other tests share: the same script, with names that nobody has.
        renamed = tmp_path / "migrations"
        for path in migrate.MIGRATIONS.rglob("*"):
            if path.suffix in (".py", ".sql", ".mako"):
                copy = renamed / path.relative_to(migrate.MIGRATIONS)
                copy.parent.mkdir(parents=True, exist_ok=True)
                text = path.read_text()
                for role in ROLES:
                    text = text.replace(role, role.replace("studyml_", "absent_"))
                copy.write_text(text)
        monkeypatch.setattr(migrate, "MIGRATIONS", renamed)
        ask(empty_database_url, f"GRANT CREATE ON DATABASE {empty_database_url.rsplit('/', 1)[1]} TO {plain_user}")
        notices = migrate.upgrade(as_user(empty_database_url, plain_user))
        for role in ("absent_pipeline", "absent_analyst", "absent_ui"):
            assert any(role in notice and "may not create roles" in notice for notice in notices)
        url = as_user(empty_database_url, plain_user)
        ask(url, "INSERT INTO studyml.topic_subjects VALUES (1, 'x')")
        assert ask(url, "SELECT count(*) FROM analytics.study_time_predictions") == [(0,)]


class TestRequiringTheSchema:
    def test_a_database_that_was_never_migrated_names_the_command(self, empty_database_url: str) -> None:
        settings = load_settings(database_url=empty_database_url)
        with (
            pytest.raises(SchemaError, match="does not exist in this database: run 'studyml db upgrade'"),
            own_database(settings),
        ):
            pass

    def test_another_revision_names_both(self, shared_url: str) -> None:
        with connect(shared_url) as connection:
            connection.cursor().execute("UPDATE studyml.alembic_version SET version_num = '0000'")
            assert schema.current_revision(connection) == "0000"
        ask(shared_url, "UPDATE studyml.alembic_version SET version_num = '0000'")
        try:
            with (
                pytest.raises(SchemaError, match=f"revision 0000 and this code needs {schema.REVISION}"),
                connect(shared_url) as connection,
            ):
                schema.require_schema(connection)
        finally:
            ask(shared_url, "UPDATE studyml.alembic_version SET version_num = %s", schema.REVISION)


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
        assert len(views) == 6
        as_role(shared_url, "studyml_analyst", *(f"SELECT * FROM analytics.{name}" for (name,) in views))
        for statement in ("SELECT * FROM studyml.predictions", "CREATE TABLE analytics.mine ()"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                as_role(shared_url, "studyml_analyst", statement)

    def test_an_analyst_cannot_hold_up_a_swap_for_long(self, shared_url: str) -> None:
        [(options,)] = ask(shared_url, "SELECT rolconfig FROM pg_roles WHERE rolname = 'studyml_analyst'")
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


@pytest.mark.parametrize("statement", ["UPDATE {} SET reason = ''", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_log_of_deployments_is_append_only_even_for_its_owner(shared_url: str, statement: str) -> None:
    with pytest.raises(psycopg2.errors.RaiseException, match="append-only"):
        ask(shared_url, statement.format("studyml.deployments"))


def test_there_is_at_most_one_champion_and_one_challenger(shared_url: str) -> None:
    def insert(number: int, status: str) -> str:
        return (
            "INSERT INTO studyml.model_versions (version, status, architecture, trained_at, as_of, manifest_sha256)"
            f" VALUES ('v_20260101_00000{number}', '{status}', 'mlp', now(), now(), repeat('0', 64))"
        )

    for number, status in enumerate(("champion", "challenger")):
        ask(shared_url, insert(number, status))
        with pytest.raises(psycopg2.errors.UniqueViolation):
            ask(shared_url, insert(number + 2, status))
    with pytest.raises(psycopg2.errors.CheckViolation):
        ask(shared_url, insert(4, "champion").replace("repeat('0', 64)", "NULL"))
    ask(shared_url, "DELETE FROM studyml.model_versions")
