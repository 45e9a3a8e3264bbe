"""A version made champion by hand."""

import shutil
from collections.abc import Callable
from datetime import timedelta

import pytest

from studyml.errors import ArtifactError, RegistryError
from studyml.registry.versions import champion, list_versions
from studyml.settings import Settings
from studyml.steps.night import retrain
from studyml.steps.observe import observe
from studyml.steps.opening import own_database
from studyml.steps.promote_version import promote_version
from studyml.steps.score import score
from tests.conftest import END, NOW, silent
from tests.steps.retraining import constant_network

__all__ = ["constant_network"]
WHO = {"actor": "ada", "reason": "the champion's disk is gone"}


@pytest.fixture
def two_versions(lived: Settings, constant_network: Callable[[float], None]) -> tuple[Settings, str, str]:
    """Settings, the champion and the other version: a second training is decided against the first."""
    constant_network(20.0)
    observe(lived, as_of=END, now=NOW)
    retrain(lived, as_of=END, now=NOW + timedelta(minutes=1), progress=silent, force=True)
    with own_database(lived) as connection:
        present = champion(connection)
        others = [each.version for each in list_versions(connection) if each.status in ("retired", "rejected")]
    assert present is not None
    return lived, present.version, others[0]


def test_another_version_takes_over_from_a_damaged_champion_and_scores(two_versions: tuple[Settings, str, str]) -> None:
    settings, damaged, other = two_versions
    shutil.rmtree(settings.artifact_root / damaged)

    assert promote_version(settings, other, now=NOW, **WHO) == damaged

    with own_database(settings) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT actor, reason, from_version, to_version FROM studyml.deployments ORDER BY id DESC LIMIT 1"
        )
        assert cursor.fetchone() == (*WHO.values(), damaged, other)
    assert score(settings, as_of=END, now=NOW, progress=silent)["written"] > 0


def test_the_log_keeps_no_address_that_a_person_typed(two_versions: tuple[Settings, str, str]) -> None:
    settings, _, other = two_versions

    promote_version(settings, other, now=NOW, actor="ann@example.org", reason="asked for by bob@example.org")

    with own_database(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT actor, reason FROM studyml.deployments ORDER BY id DESC LIMIT 1")
        assert cursor.fetchone() == ("…", "asked for by …")


def test_a_damaged_version_is_refused_and_the_champion_stays(two_versions: tuple[Settings, str, str]) -> None:
    settings, present, other = two_versions
    (settings.artifact_root / other / "model.onnx").write_bytes(b"damaged")

    with pytest.raises(ArtifactError, match=r"model\.onnx .* is damaged"):
        promote_version(settings, other, now=NOW, **WHO)

    with own_database(settings) as connection:
        kept = champion(connection)
    assert kept is not None
    assert kept.version == present


def test_the_champion_itself_and_an_unknown_version_are_refused(two_versions: tuple[Settings, str, str]) -> None:
    settings, present, _ = two_versions

    with pytest.raises(RegistryError, match="is the champion already"):
        promote_version(settings, present, now=NOW, **WHO)
    with pytest.raises(RegistryError, match="there is no version v_19990101_000000"):
        promote_version(settings, "v_19990101_000000", now=NOW, **WHO)
