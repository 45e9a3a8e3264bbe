"""Versions: names, statuses and the log of deployments, in a real database."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import psycopg2.errors
import pytest

from studyml.database.connection import Connection
from studyml.errors import RegistryError
from studyml.registry import versions
from studyml.registry.versions import champion, champion_at, commit_artifact, find, list_versions, promote, reserve
from studyml.settings import Settings
from studyml.steps.opening import own_database
from tests.conftest import NOW

SHA = "a" * 64


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    with own_database(settings) as opened:
        yield opened


def reserved(connection: Connection, settings: Settings, **changed: object) -> str:
    given = {
        "architecture": "mlp",
        "recipe": "guide",
        "is_fallback": False,
        "as_of": NOW,
        "now": NOW,
        "dag_run_id": None,
        "is_taken": lambda version: (settings.artifact_root / version).exists(),
    }
    return reserve(connection, **{**given, **changed})  # type: ignore[arg-type]


def published(connection: Connection, settings: Settings) -> str:
    version = reserved(connection, settings)
    commit_artifact(connection, version, manifest_sha256=SHA, artifact_uri="file:///somewhere")
    return version


def promoted(connection: Connection, settings: Settings, replacing: str | None, *, days: int = 0) -> str:
    version = published(connection, settings)
    as_of = NOW + timedelta(days=days)
    promote(connection, version, replacing=replacing, as_of=as_of, now=as_of, actor="test", reason="better")
    connection.commit()
    return version


def test_a_version_is_named_by_the_utc_second_and_a_taken_name_moves_on(
    connection: Connection, settings: Settings
) -> None:
    names = [reserved(connection, settings) for _ in range(3)]

    assert names == ["v_20260301_013000", "v_20260301_013001", "v_20260301_013002"]


def test_a_name_whose_folder_is_there_without_a_row_is_taken_too(connection: Connection, settings: Settings) -> None:
    (settings.artifact_root / "v_20260301_013000").mkdir(parents=True)

    assert reserved(connection, settings) == "v_20260301_013001"


def test_two_processes_reserving_in_one_second_get_two_names(settings: Settings) -> None:
    names: list[str] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        with own_database(settings) as own:
            barrier.wait()
            names.append(reserved(own, settings))
            own.commit()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(names) == [f"v_20260301_01300{second}" for second in range(4)]


def test_promotion_retires_the_champion_and_is_logged(connection: Connection, settings: Settings) -> None:
    first = promoted(connection, settings, None)
    second = promoted(connection, settings, first, days=1)

    present = champion(connection)
    assert present is not None
    assert present.version == second
    assert find(connection, first).status == "retired"
    with connection.cursor() as cursor:
        cursor.execute("SELECT action, actor, from_version, to_version, reason FROM studyml.deployments ORDER BY id")
        assert cursor.fetchall() == [
            ("promote", "test", None, first, "better"),
            ("promote", "test", first, second, "better"),
        ]


def test_which_version_was_live_at_a_time_is_one_question(connection: Connection, settings: Settings) -> None:
    first = promoted(connection, settings, None)
    second = promoted(connection, settings, first, days=2)

    def live(days: float) -> str | None:
        found = champion_at(connection, NOW + timedelta(days=days))
        return found.version if found else None

    assert [live(days) for days in (-1, 0, 1.9, 2, 99)] == [None, first, first, second, second]


def test_a_candidate_judged_against_another_champion_is_not_promoted(
    connection: Connection, settings: Settings
) -> None:
    first = promoted(connection, settings, None)
    candidate = published(connection, settings)

    with pytest.raises(RegistryError, match=f"the champion changed from none to {first} while {candidate} was judged"):
        promote(connection, candidate, replacing=None, as_of=NOW, now=NOW, actor="test", reason="")


@pytest.mark.parametrize("state", ["unpublished", "rejected", "champion already", "unknown"])
def test_only_a_published_candidate_becomes_champion(connection: Connection, settings: Settings, state: str) -> None:
    version = reserved(connection, settings) if state == "unpublished" else published(connection, settings)
    replacing = None
    if state == "rejected":
        versions.reject(connection, version)
    if state == "champion already":
        promote(connection, version, replacing=None, as_of=NOW, now=NOW, actor="test", reason="")
        replacing = version
    if state == "unknown":
        version = "v_20000101_000000"
    connection.commit()

    with pytest.raises(RegistryError, match=f"{version} is not a published candidate"):
        promote(connection, version, replacing=replacing, as_of=NOW, now=NOW, actor="test", reason="")


def test_the_database_itself_refuses_a_second_champion_and_a_champion_without_artifacts(
    connection: Connection, settings: Settings
) -> None:
    promoted(connection, settings, None)
    other, bare = published(connection, settings), reserved(connection, settings)
    connection.commit()
    for version, refusal in ((other, psycopg2.errors.UniqueViolation), (bare, psycopg2.errors.CheckViolation)):
        with connection.cursor() as cursor, pytest.raises(refusal):
            cursor.execute("UPDATE studyml.model_versions SET status = 'champion' WHERE version = %s", (version,))
        connection.rollback()


def test_the_log_of_deployments_cannot_be_changed(connection: Connection, settings: Settings) -> None:
    promoted(connection, settings, None)

    for statement in ("DELETE FROM studyml.deployments", "UPDATE studyml.deployments SET reason = ''"):
        with connection.cursor() as cursor, pytest.raises(psycopg2.errors.RaiseException, match="append-only"):
            cursor.execute(statement)
        connection.rollback()


def test_a_version_that_does_not_exist_is_a_sentence(connection: Connection) -> None:
    with pytest.raises(
        RegistryError, match=r"^there is no version v_x: 'studyml versions list' shows those that exist\.$"
    ):
        find(connection, "v_x")


def test_versions_are_listed_newest_first(connection: Connection, settings: Settings) -> None:
    names = [reserved(connection, settings) for _ in range(3)]

    assert [each.version for each in list_versions(connection)] == names[::-1]


def test_a_rejection_never_touches_what_serves(connection: Connection, settings: Settings) -> None:
    serving = promoted(connection, settings, None)

    versions.reject(connection, serving)

    assert find(connection, serving).status == "champion"
