"""The champion taken back: verified first, in one transaction, and never again by itself."""

import shutil
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from pydantic import SecretStr

from studyml.database.connection import advisory_lock, connect
from studyml.errors import ArtifactError, RegistryError
from studyml.settings import Settings
from studyml.steps.evaluate_candidate import evaluate_candidate
from studyml.steps.live_version import live_version
from studyml.steps.promote_version import promote_version
from studyml.steps.publish_version import publish_version
from studyml.steps.rollback_version import rescore, rollback_version
from studyml.steps.score import score
from studyml.steps.train_candidate import train_candidate
from tests.conftest import END, FIRST_NIGHT, NOW, silent
from tests.steps.retraining import champions, constant_network, opened, query, retrained
from tests.steps.test_publish_version import ignoring_changes, judged, lengthen, status_of

__all__ = ["constant_network"]
WHO = {"actor": "ada", "reason": "twice as long as it should be"}
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def replaced(lived: Settings, constant_network: Callable[[float], None]) -> tuple[Settings, str, str]:
    """Settings, the first champion and the one that took over from it."""
    first, lived = champions(lived)[0], ignoring_changes(lived)
    lengthen(lived)
    constant_network(19.5)
    decided = retrained(lived)
    assert decided is not None
    assert decided["decision"] == "promoted"
    return lived, first, decided["version"]


def third(settings: Settings, constant_network: Callable[[float], None], hours: float = 19.49) -> str:
    """One more version that takes over."""
    constant_network(hours)
    decided = retrained(settings, now=NOW + timedelta(minutes=1))
    assert decided is not None
    assert decided["decision"] == "promoted", decided["reasons"]
    return str(decided["version"])


def test_the_version_before_serves_again_the_bad_one_is_quarantined_and_the_log_says_who_and_why(
    replaced: tuple[Settings, str, str],
) -> None:
    settings, first, bad = replaced

    done = rollback_version(settings, None, now=LATER, **WHO)

    assert (done.version, done.quarantined, done.skipped) == (first, bad, {})
    assert champions(settings) == [first]
    assert status_of(settings, bad) == "quarantined"
    columns = "action, from_version, to_version, actor, reason, recorded_at"
    (row,) = query(settings, f"SELECT {columns} FROM studyml.deployments ORDER BY id DESC LIMIT 1")
    assert row == ("rollback", bad, first, *WHO.values(), LATER)


def test_the_log_keeps_no_secret_and_no_address_that_a_person_typed(replaced: tuple[Settings, str, str]) -> None:
    settings, _, _ = replaced
    hooked = settings.model_copy(update={"alert_urls": SecretStr("json://127.0.0.1/T0K3NPATH")})

    rollback_version(hooked, None, now=LATER, actor="ann@example.org", reason="T0K3NPATH says ann@example.org")

    assert query(settings, "SELECT actor, reason FROM studyml.deployments ORDER BY id DESC LIMIT 1") == [
        ("…", "… says …")
    ]


def test_it_takes_less_than_five_seconds_while_a_retraining_publishes_and_upkeep_runs(
    replaced: tuple[Settings, str, str],
) -> None:
    settings, first, _ = replaced
    with connect(settings.database) as other, advisory_lock(other, "registry"):
        started = time.monotonic()
        rollback_version(settings, None, now=LATER, **WHO)
        assert time.monotonic() - started < 5
    assert champions(settings) == [first]


def test_the_newest_night_is_then_the_earlier_versions(replaced: tuple[Settings, str, str]) -> None:
    settings, first, bad = replaced
    score(settings, as_of=END, now=NOW, progress=silent)
    served = "SELECT DISTINCT model_version FROM analytics.study_time_predictions"
    assert query(settings, served) == [(bad,)]
    rollback_version(settings, None, now=LATER, **WHO)

    done = rescore(settings, now=LATER, progress=silent)

    assert done is not None
    assert done["as_of"] == END
    assert done["written"] > 0
    assert query(settings, served) == [(first,)]


def test_what_the_bad_version_had_served_stays_known(replaced: tuple[Settings, str, str]) -> None:
    settings, first, bad = replaced
    score(settings, as_of=END, now=NOW, progress=silent)
    ((session, hours),) = query(
        settings, "SELECT session_id, predicted_hours FROM analytics.study_time_predictions ORDER BY 1 LIMIT 1"
    )
    rollback_version(settings, None, now=LATER, **WHO)
    rescore(settings, now=LATER, progress=silent)

    before = live_version(settings, moment=LATER - timedelta(minutes=1), session_id=session)
    after = live_version(settings, moment=LATER + timedelta(minutes=1), session_id=session)

    assert (before["version"], before["status_now"], before["action"]) == (bad, "quarantined", "promote")
    assert (before["prediction"]["model_version"], before["prediction"]["predicted_hours"]) == (bad, hours)
    assert before["prediction"]["replaced_at"] == LATER
    assert (after["version"], after["action"], after["actor"]) == (first, "rollback", "ada")
    assert after["prediction"]["model_version"] == first
    assert after["prediction"]["predicted_hours"] != hours


def test_where_scoring_again_fails_the_rollback_stands_and_the_message_says_what_to_do(
    replaced: tuple[Settings, str, str],
) -> None:
    settings, first, _ = replaced
    rollback_version(settings, None, now=LATER, **WHO)
    query(settings, "ALTER TABLE topics RENAME TO topics_elsewhere")

    with pytest.raises(RegistryError, match=r"the rollback stands.*studyml score --as-of 2026-02-22T00:00:00\+00:00"):
        rescore(settings, now=LATER, progress=silent)

    assert champions(settings) == [first]
    assert query(settings, "SELECT max(as_of) FROM analytics.study_time_predictions") == [(FIRST_NIGHT,)]


def test_a_damaged_version_is_passed_over_and_named(
    replaced: tuple[Settings, str, str], constant_network: Callable[[float], None]
) -> None:
    settings, first, second = replaced
    third(settings, constant_network)
    (settings.artifact_root / second / "model.onnx").write_bytes(b"damaged")

    done = rollback_version(settings, None, now=LATER, **WHO)

    assert done.version == first
    assert set(done.skipped) == {second}
    assert "model.onnx" in done.skipped[second]
    assert status_of(settings, second) == "retired"


def test_where_nothing_is_whole_the_champion_stays_and_the_sentence_names_the_damage(
    replaced: tuple[Settings, str, str],
) -> None:
    settings, first, present = replaced
    shutil.rmtree(settings.artifact_root / first)

    with pytest.raises(RegistryError, match=rf"{present} still serves.*The folder of version {first} is missing"):
        rollback_version(settings, None, now=LATER, **WHO)

    assert champions(settings) == [present]


def test_a_damaged_version_that_was_asked_for_is_an_error_and_nothing_changes(
    replaced: tuple[Settings, str, str],
) -> None:
    settings, first, present = replaced
    (settings.artifact_root / first / "features.json").write_text("{}")

    with pytest.raises(ArtifactError, match=r"features\.json"):
        rollback_version(settings, first, now=LATER, **WHO)

    assert champions(settings) == [present]
    assert status_of(settings, present) == "champion"


def test_a_damaged_champion_can_be_taken_back(replaced: tuple[Settings, str, str]) -> None:
    settings, first, present = replaced
    shutil.rmtree(settings.artifact_root / present)

    assert rollback_version(settings, None, now=LATER, **WHO).version == first


def test_a_second_rollback_goes_further_back_and_never_to_what_is_quarantined(
    replaced: tuple[Settings, str, str], constant_network: Callable[[float], None]
) -> None:
    settings, first, second = replaced
    newest = third(settings, constant_network)

    assert rollback_version(settings, None, now=LATER, **WHO).version == second
    assert rollback_version(settings, None, now=LATER, **WHO).version == first

    with pytest.raises(RegistryError, match=f"no earlier version to go back to: {first} still serves"):
        rollback_version(settings, None, now=LATER, **WHO)
    assert {status_of(settings, each) for each in (second, newest)} == {"quarantined"}


def test_a_quarantined_version_serves_again_only_where_a_person_says_so(
    replaced: tuple[Settings, str, str],
) -> None:
    settings, first, bad = replaced
    rollback_version(settings, None, now=LATER, **WHO)

    with pytest.raises(RegistryError, match=r"quarantined.*--from-quarantine"):
        rollback_version(settings, bad, now=LATER, **WHO)
    with pytest.raises(RegistryError, match=r"quarantined.*--from-quarantine"):
        promote_version(settings, bad, now=LATER, **WHO)
    assert champions(settings) == [first]

    assert promote_version(settings, bad, now=LATER, from_quarantine=True, **WHO) == first
    assert champions(settings) == [bad]
    assert status_of(settings, first) == "retired"


@pytest.mark.parametrize("from_quarantine", [False, True])
def test_what_never_served_or_lost_its_files_is_nothing_to_go_back_to(
    replaced: tuple[Settings, str, str], constant_network: Callable[[float], None], from_quarantine: bool
) -> None:
    settings, first, present = replaced
    constant_network(1.0)
    rejected = retrained(settings, now=NOW + timedelta(minutes=2))
    assert rejected is not None
    query(settings, "UPDATE studyml.model_versions SET artifact_uri = NULL WHERE version = %s", (first,))

    for version, words in ((rejected["version"], "never served"), (first, "removed by policy"), (present, "champion")):
        with pytest.raises(RegistryError, match=words):
            rollback_version(settings, version, now=LATER, from_quarantine=from_quarantine, **WHO)
    assert champions(settings) == [present]


def test_a_retraining_that_ends_in_the_quarantined_network_again_is_rejected(
    replaced: tuple[Settings, str, str],
) -> None:
    settings, first, bad = replaced
    rollback_version(settings, None, now=LATER, **WHO)

    decided = retrained(settings, now=LATER)

    assert decided is not None
    assert decided["decision"] == "rejected"
    assert f"it is the same network as {bad}, which was taken back" in decided["reasons"]
    assert champions(settings) == [first]


def test_a_candidate_that_was_judged_against_the_version_taken_back_is_judged_again(
    replaced: tuple[Settings, str, str], constant_network: Callable[[float], None]
) -> None:
    settings, first, bad = replaced
    constant_network(18.0)  # worse than the bad one on these labels, and better than the first
    run_id = judged(settings, now=NOW + timedelta(minutes=3))
    gates = "SELECT v.metrics ->> 'champion_version' FROM studyml.retraining_runs r JOIN studyml.model_versions v"
    asked = f"{gates} USING (version) WHERE r.id = %s"
    assert query(settings, asked, (run_id,)) == [(bad,)]
    rollback_version(settings, None, now=LATER, **WHO)

    decided = publish_version(settings, retraining_run_id=run_id, now=LATER)

    assert query(settings, asked, (run_id,)) == [(first,)]
    assert decided["decision"] == "promoted"
    assert query(settings, "SELECT from_version, to_version FROM studyml.deployments ORDER BY id DESC LIMIT 1") == [
        (first, decided["version"])
    ]


def test_a_rollback_in_the_middle_of_a_training_does_not_disturb_it(
    replaced: tuple[Settings, str, str], constant_network: Callable[[float], None]
) -> None:
    settings, first, _ = replaced
    constant_network(19.4)
    run_id = opened(settings, now=NOW + timedelta(minutes=4))
    train_candidate(settings, retraining_run_id=run_id, now=NOW + timedelta(minutes=4))
    rollback_version(settings, None, now=LATER, **WHO)

    evaluate_candidate(settings, retraining_run_id=run_id)
    decided = publish_version(settings, retraining_run_id=run_id, now=LATER)

    assert decided["decision"] == "promoted"
    assert status_of(settings, first) == "retired"


def test_before_anything_serves_there_is_nothing_to_take_back(settings: Settings) -> None:
    with pytest.raises(RegistryError, match="no version serves"):
        rollback_version(settings, None, now=LATER, **WHO)
