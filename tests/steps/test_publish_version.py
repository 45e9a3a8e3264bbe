"""Publishing: one decision a run, one champion, whatever happens at the same time."""

import csv
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studyml.errors import ArtifactError
from studyml.registry.bundle import build_folder, verify
from studyml.settings import Settings
from studyml.steps import publish_version as module
from studyml.steps.evaluate_candidate import evaluate_candidate
from studyml.steps.load import load
from studyml.steps.publish_version import publish_version
from studyml.steps.train_candidate import train_candidate
from tests.conftest import END, FIRST_NIGHT, NOW, silent
from tests.scoring.world import finish
from tests.steps.retraining import champions, constant_network, last_run, make_noise, opened, query, retrained

__all__ = ["constant_network"]


def judged(settings: Settings, **given: Any) -> int:
    """A run whose candidate is built and judged."""
    run_id = opened(settings, **given)
    train_candidate(settings, retraining_run_id=run_id, now=NOW)
    evaluate_candidate(settings, retraining_run_id=run_id)
    return run_id


def status_of(settings: Settings, version: str) -> str:
    ((status,),) = query(settings, "SELECT status FROM studyml.model_versions WHERE version = %s", (version,))
    return str(status)


@pytest.fixture
def lived(lived: Settings) -> Settings:
    return ignoring_changes(lived)


def ignoring_changes(settings: Settings) -> Settings:
    """Settings with which a retraining does not follow what ``lengthen`` does: else naive predictors were as good."""
    return settings.model_copy(update={"level_changes": "ignore"})


def lengthen(settings: Settings) -> None:
    """Raise the newest labels so far that only a network that says some 19.5 hours comes near them."""
    query(
        settings,
        "UPDATE study_sessions SET actual_duration = 19 + (id %% 10) / 10.0 WHERE actual_duration IS NOT NULL"
        " AND session_date > %s",
        (END - timedelta(days=40),),
    )


def test_a_network_that_earned_it_becomes_the_first_champion(lived: Settings) -> None:
    (row,) = query(
        lived,
        "SELECT r.decision, r.reasons, v.version, v.status, v.is_fallback, v.manifest_sha256 FROM"
        " studyml.retraining_runs r JOIN studyml.model_versions v USING (version)",
    )

    assert row[0] == "promoted"
    assert len(row[1]) == 10, "a sentence of every gate there is without a champion"
    assert row[3:5] == ("champion", False)
    verify(lived.artifact_root / row[2], row[5])


def test_a_worse_network_is_rejected_with_the_reasons_and_the_champion_stays(
    lived: Settings, constant_network: Callable[[float], None]
) -> None:
    constant_network(20.0)
    before = champions(lived)

    decided = retrained(lived)

    assert decided is not None
    assert (decided["decision"], decided["promoted"]) == ("rejected", False)
    assert champions(lived) == before
    assert decided["reasons"][-1] == f"{before[0]} stays champion"
    assert any("is worse than the champion" in reason for reason in decided["reasons"])
    assert status_of(lived, decided["version"]) == "rejected"
    ((sha256,),) = query(
        lived, "SELECT manifest_sha256 FROM studyml.model_versions WHERE version = %s", (decided["version"],)
    )
    verify(lived.artifact_root / decided["version"], sha256)  # kept, to be looked at


def test_a_better_network_takes_over_and_the_old_one_retires(
    lived: Settings, constant_network: Callable[[float], None]
) -> None:
    lengthen(lived)
    constant_network(19.5)
    old = champions(lived)[0]

    decided = retrained(lived)

    assert decided is not None
    assert decided["decision"] == "promoted"
    assert champions(lived) == [decided["version"]]
    assert status_of(lived, old) == "retired"
    assert query(lived, "SELECT from_version, to_version, as_of FROM studyml.deployments ORDER BY id DESC LIMIT 1") == [
        (old, decided["version"], END)
    ]


def test_publishing_again_changes_nothing_and_says_the_same(
    lived: Settings, constant_network: Callable[[float], None]
) -> None:
    constant_network(20.0)
    run_id = judged(lived)
    first = publish_version(lived, retraining_run_id=run_id, now=NOW)

    again = publish_version(lived, retraining_run_id=run_id, now=NOW + timedelta(hours=1))

    assert again == first
    assert query(lived, "SELECT count(*) FROM studyml.deployments") == [(1,)]


def test_where_the_champion_changed_meanwhile_the_candidate_is_judged_again(
    lived: Settings, constant_network: Callable[[float], None]
) -> None:
    lengthen(lived)
    constant_network(19.3)
    slow = judged(lived)
    ((slow_version,),) = query(lived, "SELECT version FROM studyml.retraining_runs WHERE id = %s", (slow,))
    constant_network(19.5)
    quick = judged(lived)
    winner = publish_version(lived, retraining_run_id=quick, now=NOW)
    assert winner["decision"] == "promoted"

    decided = publish_version(lived, retraining_run_id=slow, now=NOW)

    assert decided["decision"] == "rejected"
    assert champions(lived) == [winner["version"]]
    ((metrics, gates),) = query(
        lived, "SELECT metrics, gates FROM studyml.model_versions WHERE version = %s", (slow_version,)
    )
    assert metrics["champion_version"] == winner["version"]
    assert [gate["gate"] for gate in gates if not gate["passed"]] == ["not_worse_than_champion"]


@pytest.mark.parametrize("same_run", [True, False])
def test_two_publishers_at_once_leave_one_champion_and_two_decisions_that_fit(
    lived: Settings, constant_network: Callable[[float], None], same_run: bool
) -> None:
    lengthen(lived)
    constant_network(19.5)
    runs = [judged(lived)] * 2 if same_run else [judged(lived), judged(lived)]
    barrier, decided = threading.Barrier(2), []

    def work(run_id: int) -> None:
        barrier.wait()
        decided.append(publish_version(lived, retraining_run_id=run_id, now=NOW))

    threads = [threading.Thread(target=work, args=(run_id,)) for run_id in runs]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(decided) == 2
    assert len(champions(lived)) == 1
    assert champions(lived)[0] in {each["version"] for each in decided}
    log = query(lived, "SELECT from_version, to_version FROM studyml.deployments ORDER BY id")
    assert [after[0] for after in log[1:]] == [before[1] for before in log[:-1]], "each took over from the one before"
    assert len(log) == (2 if same_run else 3), "an equal of the new champion is not worse than it"


def test_a_run_whose_night_became_a_replay_promotes_nothing(
    lived: Settings, constant_network: Callable[[float], None]
) -> None:
    lengthen(lived)
    constant_network(19.5)
    before, run_id = champions(lived), judged(lived)
    finish(lived, END + timedelta(days=1), at=NOW)

    decided = publish_version(lived, retraining_run_id=run_id, now=NOW)

    assert (decided["decision"], decided["promoted"]) == ("abandoned", False)
    assert decided["reasons"] == ["a newer night is finished, and a replay never promotes"]
    assert champions(lived) == before
    assert status_of(lived, decided["version"]) == "rejected"


def test_a_build_that_is_gone_fails_the_run_with_a_sentence_and_the_champion_stays(
    lived: Settings, constant_network: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    lengthen(lived)
    constant_network(19.5)
    before, run_id = champions(lived), judged(lived)
    monkeypatch.setattr(module, "publish", _gone)

    with pytest.raises(ArtifactError, match="is gone"):
        publish_version(lived, retraining_run_id=run_id, now=NOW)

    assert last_run(lived)["decision"] == "failed"
    assert champions(lived) == before


def _gone(root: Path, version: str) -> None:
    raise ArtifactError(f"the build of {version} is gone from {root}: train again.")


def test_the_guides_simulated_log_is_worth_a_network_and_its_decision_is_on_the_night_it_was_for(
    lived: Settings,
) -> None:
    assert query(lived, "SELECT as_of, action FROM studyml.deployments") == [(FIRST_NIGHT, "promote")]


def test_a_log_of_pure_noise_yields_the_fallback(simulated: Settings) -> None:
    make_noise(simulated)

    decided = retrained(simulated)

    assert decided is not None
    assert (decided["decision"], decided["promoted"]) == ("fallback", True)
    (row,) = query(simulated, "SELECT is_fallback, recipe FROM studyml.model_versions WHERE status = 'champion'")
    assert row == (True, "median")
    assert any("worse than the training median" in reason for reason in decided["reasons"])


def independent_decision(path: Path, champion_row: str | None) -> tuple[str, dict[str, float]]:
    """The gates of issue 2 in other words: plain Python, rows drawn student by student."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    by_student: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_student.setdefault(row["student_id"], []).append(row)
    assert len(by_student) >= 8
    random = np.random.default_rng(2026)
    ratios = {}
    for reference in ("median", "estimate", *([champion_row] if champion_row else [])):
        sums = np.array(
            [
                [sum(abs(float(r["actual"]) - float(r[name])) for r in group) for name in ("network", reference)]
                for group in by_student.values()
            ]
        )
        ratio = sums[:, 0].sum() / sums[:, 1].sum()
        drawn = sums[random.integers(0, len(sums), (20_000, len(sums)))].sum(axis=1)
        bound = float(np.quantile(drawn[:, 0] / drawn[:, 1], 0.9))
        ratios[reference] = (ratio, bound)
    good = all(ratio <= 1 and bound < 1.03 for ratio, bound in ratios.values())
    return ("passes" if good else "fails"), {name: pair[0] for name, pair in ratios.items()}


def test_on_a_real_log_the_decision_can_be_computed_again_from_the_stored_errors(
    settings: Settings, kaist: Path
) -> None:
    load(settings, kaist, now=NOW, progress=silent)
    ((newest,),) = query(settings, "SELECT max(session_date) FROM study_sessions WHERE actual_duration IS NOT NULL")
    retrained(settings, as_of=newest + timedelta(days=1), now=max(NOW, newest + timedelta(days=1)))

    run = last_run(settings)
    (network,) = query(
        settings, "SELECT version, gates, metrics FROM studyml.model_versions WHERE NOT is_fallback ORDER BY version"
    )
    version, gates, metrics = network
    path = settings.artifact_root / version / "holdout.csv"
    verdict, ratios = independent_decision(path, None)

    by_gate = {gate["gate"]: gate for gate in gates}
    assert by_gate["beats_median"]["value"] == pytest.approx(ratios["median"])
    assert by_gate["beats_estimate"]["value"] == pytest.approx(ratios["estimate"])
    assert all(gate["passed"] for gate in gates) == (verdict == "passes")
    assert run["decision"] == ("promoted" if verdict == "passes" else "fallback")
    errors = [
        abs(float(row["actual"]) - float(row["network"])) for row in csv.DictReader(path.read_text().splitlines())
    ]
    assert metrics["mae"] == pytest.approx(np.mean(errors))


def test_no_build_is_left_behind_by_a_decision(lived: Settings, constant_network: Callable[[float], None]) -> None:
    constant_network(20.0)

    decided = retrained(lived)

    assert decided is not None
    assert not build_folder(lived.artifact_root, decided["version"]).exists()
