"""The scratch database is made beside ours, and nothing but a backtest is ever deleted."""

from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from studyml.database.connection import Connection, connect
from studyml.database.scratch import beside, create_scratch, drop_scratch, empty_scratch, find_parameters, mark
from studyml.database.scratch import scratch_name as name_of
from studyml.errors import InputError


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Connection]:
    with connect(empty_database_url) as opened:
        yield opened


def execute(connection: Connection, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.commit()


def test_it_is_made_beside_ours_once_and_dropped(empty_database_url: str) -> None:
    address = create_scratch(empty_database_url)
    try:
        assert create_scratch(empty_database_url) == address
        with connect(address) as opened:
            assert find_parameters(opened) is None
        assert parse_dsn(address)["dbname"] == parse_dsn(empty_database_url)["dbname"] + "_backtest"
    finally:
        drop_scratch(empty_database_url)
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        psycopg2.connect(address)
    drop_scratch(empty_database_url)


@pytest.mark.parametrize("name", ["a" * 63, "ü" * 31, "x" * 54 + "_backtest"])
def test_a_long_name_is_shortened_so_that_it_is_never_our_own(name: str) -> None:
    found = name_of(beside("postgresql://me@server/x", name))

    assert found != name
    assert len(found.encode()) <= 63
    assert "_backtest" in found


def test_a_password_and_options_go_with_the_address() -> None:
    parts = parse_dsn(beside("postgresql://me:p%40ss@server:5433/x?sslmode=require", "y"))

    assert parts == {
        "user": "me", "password": "p@ss", "host": "server", "port": "5433", "dbname": "y", "sslmode": "require"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE TABLE treasure (gold int)", "public.treasure"),
        ("CREATE SCHEMA castle", "the schema castle"),
        ("CREATE VIEW glass AS SELECT 1 AS one", "public.glass"),
        ("CREATE SEQUENCE steps", "public.steps"),
        ("CREATE FUNCTION spell() RETURNS int LANGUAGE sql RETURN 1", r"public.spell\(\)"),
        ("CREATE SCHEMA backtest", "the schema backtest"),
    ],
)
def test_a_database_that_holds_anything_is_refused_by_name(empty: Connection, statement: str, named: str) -> None:
    execute(empty, statement)

    for refused in (find_parameters, empty_scratch):
        with pytest.raises(InputError, match=f"holds {named}, which is not a backtest's"):
            refused(empty)


def test_what_an_extension_brings_is_nobodys(empty: Connection) -> None:
    execute(empty, "CREATE EXTENSION IF NOT EXISTS plpgsql")

    assert find_parameters(empty) is None


def test_a_backtest_is_known_by_its_parameters_and_emptied(empty: Connection) -> None:
    mark(empty, {"from": "2026-01-01"})
    empty.commit()
    execute(empty, "CREATE SCHEMA backtest_source; CREATE TABLE backtest_source.students (id int)")
    assert find_parameters(empty) == {"from": "2026-01-01"}

    empty_scratch(empty)

    assert find_parameters(empty) is None
