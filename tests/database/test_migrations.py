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
from studyml.errors import DatabaseError, SchemaError
from tests.database.users import ROLES, as_user
from tests.logs import ask

OBJECTS = """SELECT c.relkind, n.nspname, c.relname, coalesce(c.relacl::text, '') FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('studyml', 'analytics') ORDER BY 1, 2, 3"""


def config() -> Config:
    found = Config()
    found.set_main_option("script_location", str(migrate.MIGRATIONS))
    return found


def move(url: str, *, up: str | None = None, down: str = "base") -> None:
    """To the revision ``up``, or back to ``down``."""
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.connect() as connection:
        prepared = config()
        prepared.attributes["connection"] = connection
        if up:
            command.upgrade(prepared, up)
        else:
            command.downgrade(prepared, down)
    engine.dispose()


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
        move(empty_database_url, down="base")
        left = ask(empty_database_url, "SELECT relname FROM pg_class WHERE relnamespace = 'studyml'::regnamespace")
        assert {name for (name,) in left} == {"alembic_version", "alembic_version_pkc"}
        migrate.upgrade(empty_database_url)
        assert ask(empty_database_url, OBJECTS) == before

    def test_several_at_once_wait_for_each_other(self, empty_database_url: str) -> None:
        script = f"from studyml.database.migrate import upgrade; upgrade({empty_database_url!r})"
        running = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
        assert [process.wait(60) for process in running] == [0, 0, 0]
        assert ask(empty_database_url, "SELECT count(*) FROM studyml.nights") == [(0,)]

    def test_one_under_way_in_another_database_of_the_server_disturbs_nothing(
        self, empty_database_url: str, shared_url: str
    ) -> None:
        with psycopg2.connect(shared_url) as elsewhere, elsewhere.cursor() as cursor:
            cursor.execute((migrate.MIGRATIONS / "versions" / "0001_roles.sql").read_text())
            migrate.upgrade(f"{empty_database_url}?options=-c%20statement_timeout%3D20000")
            elsewhere.rollback()
        elsewhere.close()
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


NIGHT = "2026-03-01 00:00+00"
#: What a database at 0001 holds after a night, with another scoring under way; times do not matter here.
LIVED_AT_0001 = f"""
INSERT INTO studyml.model_versions (version, status, architecture, trained_at, as_of, manifest_sha256)
    VALUES ('v_20260101_000000', 'champion', 'mlp', now(), now(), repeat('0', 64));
INSERT INTO studyml.scoring_runs (as_of, versions, planned, written, refused, status, started_at)
    VALUES ('{NIGHT}', '{{v_20260101_000000}}', 1, 1, 0, 'complete', now());
CREATE TABLE studyml.predictions_1 PARTITION OF studyml.predictions FOR VALUES IN ('{NIGHT}');
INSERT INTO studyml.predictions
    VALUES ('{NIGHT}', 7, 1, 1, now(), 'champion', 'v_20260101_000000', true, 2, 1, 3, '{{}}', now());
CREATE TABLE studyml.predictions_build_9 (LIKE studyml.predictions INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
INSERT INTO studyml.outcomes (session_id, revision, session_date, actual_hours, observed_at, recorded_at)
    VALUES (7, 1, now(), 2.5, now(), now());
INSERT INTO studyml.outcome_predictions (session_id, revision, role, as_of, model_version, served, session_date,
    observed_at, predicted_hours, lower_hours, upper_hours, actual_hours)
    VALUES (7, 1, 'champion', now(), 'v_20260101_000000', true, now(), now(), 2, 1, 3, 2.5);
INSERT INTO studyml.monitoring_runs (as_of, scope, verdict, n, rolling_mae, baseline_mae, threshold, window_days,
    reason, recorded_at) VALUES ('{NIGHT}', 'served', 'healthy', 1, 0.5, 0.99, 1.188, 30, '', now());
INSERT INTO studyml.tuning_trials (search_id, trial, as_of, parameters, seed, status, validation_mae)
    VALUES ('s', 1, now(), '{{}}', 1, 'done', 0.9), ('s', 2, now(), '{{}}', 2, 'planned', NULL);
"""
#: What readers of 0001 asked for, by names that both revisions have.
AS_BEFORE = (
    "SELECT session_id, predicted_hours, lower_hours, upper_hours FROM analytics.study_time_predictions",
    "SELECT session_id, predicted_hours, lower_hours, upper_hours FROM analytics.prediction_history",
    "SELECT scope, verdict, n, rolling_mae, coverage, window_days FROM analytics.model_quality_daily",
    "SELECT session_id, lower_hours, upper_hours, actual_hours, error_hours FROM studyml.outcome_predictions",
    "SELECT trial, status, validation_mae FROM studyml.tuning_trials ORDER BY trial",
)


class TestFromTheFirstRevisionToTheSecond:
    @pytest.fixture
    def lived_url(self, empty_database_url: str) -> str:
        move(empty_database_url, up="0001")
        ask(empty_database_url, LIVED_AT_0001)
        return empty_database_url

    def test_what_a_night_had_written_is_read_as_before_and_the_new_columns_are_empty(self, lived_url: str) -> None:
        before = [ask(lived_url, query) for query in AS_BEFORE]
        assert all(before)

        migrate.upgrade(lived_url)

        assert [ask(lived_url, query) for query in AS_BEFORE] == before
        for view in ("study_time_predictions", "prediction_history"):
            assert ask(lived_url, f"SELECT lower_hours_90, upper_hours_90 FROM analytics.{view}") == [(None, None)]
        quality = "SELECT interval_80_coverage, interval_90_coverage FROM analytics.model_quality_daily"
        assert ask(lived_url, quality) == [(None, None)]
        assert ask(lived_url, "SELECT DISTINCT attempts, strategy, fold_maes FROM studyml.tuning_trials") == [
            (0, None, None)
        ]

    def test_the_night_that_was_being_scored_can_still_be_attached(self, lived_url: str) -> None:
        migrate.upgrade(lived_url)
        ask(
            lived_url,
            "ALTER TABLE studyml.predictions_build_9 ADD PRIMARY KEY (as_of, session_id, role);"
            "ALTER TABLE studyml.predictions ATTACH PARTITION studyml.predictions_build_9 FOR VALUES IN ('2026-03-02')",
        )
        attached = (
            "SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = 'studyml.predictions_build_9'::regclass"
        )
        assert ask(lived_url, attached) == [("studyml.predictions",)]

    def test_back_again_the_first_revision_has_its_objects_its_grants_and_its_data(self, lived_url: str) -> None:
        objects, before = ask(lived_url, OBJECTS), [ask(lived_url, query) for query in AS_BEFORE]
        migrate.upgrade(lived_url)
        ask(lived_url, "UPDATE studyml.tuning_trials SET status = 'running', attempts = 1 WHERE trial = 2")

        move(lived_url, down="0001")

        assert ask(lived_url, OBJECTS) == objects
        assert [ask(lived_url, query) for query in AS_BEFORE] == before
        migrate.upgrade(lived_url)
        assert [ask(lived_url, query) for query in AS_BEFORE] == before

    def test_going_back_refuses_to_take_a_view_of_somebodys_own_with_it(self, lived_url: str) -> None:
        migrate.upgrade(lived_url)
        ask(lived_url, "CREATE VIEW public.mine AS SELECT * FROM analytics.freshness")

        with pytest.raises(psycopg2.errors.DependentObjectsStillExist, match=r"view public\.mine|view mine"):
            move(lived_url, down="0001")

        assert ask(lived_url, "SELECT version_num FROM studyml.alembic_version") == [(schema.REVISION,)]
        assert ask(lived_url, "SELECT count(*) FROM analytics.study_time_predictions") == [(1,)]


@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [("status", "running", True), ("status", "lost", False), ("strategy", "random", True), ("strategy", "luck", False)],
)
def test_a_trial_runs_in_a_grid_or_a_random_search(shared_url: str, column: str, value: str, allowed: bool) -> None:
    columns = {"status": "planned", "strategy": "grid"} | {column: value}
    statement = (
        "INSERT INTO studyml.tuning_trials (search_id, trial, as_of, parameters, seed, status, strategy, architecture,"
        f" recipe, fold_maes) VALUES ('x', 1, now(), '{{}}', 1, '{columns['status']}', '{columns['strategy']}', 'mlp',"
        " 'guide', '{0.9,1.1}')"
    )
    if allowed:
        ask(shared_url, statement)
        ask(shared_url, "DELETE FROM studyml.tuning_trials")
    else:
        with pytest.raises(psycopg2.errors.CheckViolation):
            ask(shared_url, statement)


class TestWithFewRights:
    def test_without_the_right_to_create_schemas_it_says_who_has_to(
        self, empty_database_url: str, plain_user: str
    ) -> None:
        with pytest.raises(DatabaseError, match="may not create the schemas studyml and analytics: create both"):
            migrate.upgrade(as_user(empty_database_url, plain_user))

    @pytest.mark.usefixtures("migrated_template")  # with which the server has the roles
    def test_schemas_that_an_administrator_made_are_enough(self, empty_database_url: str, plain_user: str) -> None:
        ask(empty_database_url, f"CREATE SCHEMA studyml AUTHORIZATION {plain_user}")
        ask(empty_database_url, f"CREATE SCHEMA analytics AUTHORIZATION {plain_user}")
        notices = migrate.upgrade(as_user(empty_database_url, plain_user))
        # What this user may not do is told, each in a line.
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


def test_nights_of_before_the_first_start_was_kept_began_when_they_began_last(empty_database_url: str) -> None:
    move(empty_database_url, up="0006")
    ask(
        empty_database_url, "INSERT INTO studyml.nights (as_of, replay, started_at) VALUES (now(), false, '2026-03-01')"
    )

    migrate.upgrade(empty_database_url)

    assert ask(empty_database_url, "SELECT first_started_at = started_at FROM studyml.nights") == [(True,)]
    move(empty_database_url, down="0006")
    assert ask(empty_database_url, "SELECT count(*) FROM studyml.nights") == [(1,)]
