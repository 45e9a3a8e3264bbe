"""What the schema itself refuses, and a schema that is not there or is another."""

import psycopg2
import pytest

from studyml.database import schema
from studyml.database.connection import connect
from studyml.errors import SchemaError
from studyml.settings import load_settings
from studyml.steps.opening import own_database
from tests.logs import ask


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
