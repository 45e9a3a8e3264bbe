"""Why a planned session got its prediction: shares that sum up, inputs as scoring saw them, and a sentence if not."""

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from studyml.errors import ArtifactError, RegistryError
from studyml.features.encoder import Encoder, Input
from studyml.model.naive_network import save_linear
from studyml.registry.bundle import MANIFEST, build_folder, load_json, publish, write_json
from studyml.registry.versions import champion, commit_artifact, promote, reserve
from studyml.settings import Settings
from studyml.simulation import Simulation
from studyml.steps.explain_session import explain_session
from studyml.steps.load import simulate_into_database
from studyml.steps.night import night
from studyml.steps.opening import own_database
from studyml.steps.score import score
from tests.conftest import END, FIRST_NIGHT, NOW, silent
from tests.scoring.world import query, scalar

DAY = timedelta(days=1)


def why(settings: Settings, session: int, **options: Any) -> dict[str, Any]:
    return explain_session(settings, session_id=session, **{"version": None, "as_of": None, **options})


def planned(settings: Settings) -> list[tuple[Any, ...]]:
    return query(
        settings,
        "SELECT session_id, predicted_hours, lower_hours, upper_hours, lower_hours_90, upper_hours_90, model_version"
        " FROM analytics.study_time_predictions ORDER BY session_id",
    )


def first_planned(settings: Settings) -> int:
    return int(planned(settings)[0][0])


def change(settings: Settings, statement: str, *parameters: object) -> None:
    """Change the source as only a hostile app would."""
    query(settings, "SET session_replication_role = replica; " + statement, *parameters)


def words(document: dict[str, Any]) -> dict[str, str]:
    return {each["feature"]: each["words"] for each in document["contributions"]}


def test_the_shares_sum_to_the_prediction_that_was_served(lived: Settings) -> None:
    for session, predicted, *interval, version in planned(lived)[::12]:
        document = why(lived, session)
        total = document["base_hours"] + sum(each["hours"] for each in document["contributions"])
        assert total == pytest.approx(predicted, abs=1e-3)
        assert document["predicted_hours"] == pytest.approx(predicted, abs=1e-4)
        found = [document[name] for name in ("lower_hours", "upper_hours", "lower_hours_90", "upper_hours_90")]
        assert found == pytest.approx(interval, abs=1e-4)
        assert (document["version"], document["served_by"], document["inputs_changed"]) == (version, version, False)
        assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_the_largest_share_comes_first_and_values_are_those_of_the_session(lived: Settings) -> None:
    session = first_planned(lived)
    document = why(lived, session)
    sizes = [abs(each["hours"]) for each in document["contributions"]]
    assert sizes == sorted(sizes, reverse=True)
    [(estimate, focus)] = query(
        lived,
        "SELECT t.estimated_base_time, u.avg_focus_duration FROM study_sessions s JOIN topics t ON t.id = s.topic_id"
        " JOIN students u ON u.id = s.student_id WHERE s.id = %s",
        session,
    )
    assert words(document)["estimated_base_time"] == f"topic's estimate {float(estimate):g} h"
    assert words(document)["avg_focus_duration"] == f"student's usual focus {float(focus):g} min"


def test_a_longer_estimate_explains_a_longer_prediction(lived: Settings) -> None:
    """Two sessions that differ in the estimate only: the whole difference is the estimate's share."""
    session = first_planned(lived)

    def share(estimate: float) -> tuple[float, float]:
        change(lived, "UPDATE topics SET estimated_base_time = %s", estimate)
        document = why(lived, session)
        shares = {each["feature"]: each["hours"] for each in document["contributions"]}
        return shares["estimated_base_time"], document["predicted_hours"]

    (low, shorter), (high, longer) = share(2.0), share(5.0)
    assert low < 0 < high
    assert shorter < longer


def test_the_outcome_is_not_an_input(lived: Settings) -> None:
    session = first_planned(lived)
    before = why(lived, session)
    change(lived, "UPDATE study_sessions SET actual_duration = 23, breaks_taken = 40 WHERE id = %s", session)
    assert why(lived, session) == before


def test_a_source_that_changed_since_is_said_so(lived: Settings) -> None:
    session, served, *_ = planned(lived)[0]
    change(lived, "UPDATE topics SET estimated_base_time = estimated_base_time * 3")
    document = why(lived, session)
    assert document["inputs_changed"]
    assert document["served_hours"] == pytest.approx(served)
    assert abs(document["predicted_hours"] - served) > 0.01


@pytest.mark.parametrize(
    ("statement", "feature", "said"),
    [
        ("UPDATE students SET avg_focus_duration = NULL", "avg_focus_duration", "student's usual focus missing"),
        ("UPDATE students SET avg_focus_duration = -5", "avg_focus_duration", "student's usual focus missing"),
        ("UPDATE topics SET subject = 'Alchemy'", "subject", "subject new to the model"),
        ("UPDATE study_sessions SET environment = NULL", "environment", "environment missing"),
        ("UPDATE study_sessions SET time_of_day = 'night'", "time_of_day", "time of day night"),
    ],
)
def test_a_value_that_is_missing_or_new_is_called_so(lived: Settings, statement: str, feature: str, said: str) -> None:
    change(lived, statement)
    document = why(lived, first_planned(lived))
    total = document["base_hours"] + sum(each["hours"] for each in document["contributions"])
    assert total == pytest.approx(document["predicted_hours"], abs=1e-3)
    if feature in words(document):  # a network that does not see a feature says nothing of it
        assert words(document)[feature] == said


def test_a_warning_of_the_night_is_repeated(lived: Settings) -> None:
    change(lived, "UPDATE students SET avg_focus_duration = -5")
    score(lived, as_of=FIRST_NIGHT, now=NOW, progress=silent)
    document = why(lived, first_planned(lived))
    assert document["input_warnings"] == ["avg_focus_duration is -5 minutes, not above 0"]
    assert not document["inputs_changed"]


def test_the_night_is_the_newest_or_the_one_asked_for(lived: Settings) -> None:
    session = int(scalar(lived, "SELECT max(session_id) FROM analytics.study_time_predictions"))
    score(lived, as_of=FIRST_NIGHT + DAY, now=NOW, progress=silent)
    assert why(lived, session)["as_of"] == (FIRST_NIGHT + DAY).isoformat()
    assert why(lived, session, as_of=FIRST_NIGHT)["as_of"] == FIRST_NIGHT.isoformat()


def test_another_version_says_what_it_would_have_predicted(lived: Settings) -> None:
    session, served, *_, serving = planned(lived)[0]
    other = _copy_of_the_champion(lived)
    document = why(lived, session, version=other)
    assert (document["version"], document["served_by"]) == (other, serving)
    assert document["predicted_hours"] == pytest.approx(served, abs=1e-6)


def _copy_of_the_champion(settings: Settings, change: Callable[[Path], None] = lambda _: None) -> str:
    """Another published version: the champion's files, after ``change`` to its build folder."""
    root = settings.artifact_root
    with own_database(settings) as connection:
        present = champion(connection)
        name = reserve(
            connection,
            architecture=present.architecture,
            recipe=present.recipe or "",
            is_fallback=False,
            as_of=present.as_of,
            now=NOW + DAY,
            dag_run_id=None,
            is_taken=lambda version: (root / version).exists(),
        )
        shutil.copytree(root / present.version, build_folder(root, name))
        (build_folder(root, name) / MANIFEST).unlink()
        change(build_folder(root, name))
        folder, sha256 = publish(root, name)
        commit_artifact(connection, name, manifest_sha256=sha256, artifact_uri=str(folder))
        connection.commit()
    return name


def _serve(settings: Settings, version: str) -> None:
    with own_database(settings) as connection:
        present = champion(connection).version
        promote(connection, version, replacing=present, as_of=FIRST_NIGHT, now=NOW, actor="a test", reason="to serve")
        connection.commit()
    score(settings, as_of=FIRST_NIGHT, now=NOW, progress=silent)


def test_a_history_is_explained_as_scoring_read_it(lived: Settings) -> None:
    """A linear network of the topic's estimate and the student's past."""
    names = ("estimated_base_time", "student_history_count", "student_history_ratio")
    encoder = Encoder(tuple(Input(name, "number", 0.0, 1.0) for name in names), {}, {}, clip=1e6)

    def linear(folder: Path) -> None:
        save_linear(folder, [1.0, 0.25, 0.5], 1.0)
        stored = load_json(folder / "features.json")
        write_json(folder / "features.json", stored | {"features": encoder.to_json()})

    version = _copy_of_the_champion(lived, linear)
    _serve(lived, version)

    for session, predicted, *_, served_by in planned(lived)[::12]:
        document = why(lived, session)
        assert (document["version"], served_by, document["inputs_changed"]) == (version, version, False)
        total = document["base_hours"] + sum(each["hours"] for each in document["contributions"])
        assert total == pytest.approx(predicted, abs=1e-3)
        assert set(words(document)) == {"estimated_base_time", "student_history"}
        shares = {each["feature"]: each for each in document["contributions"]}
        estimate, past = shares["estimated_base_time"], shares["student_history"]
        count, ratio = (past["values"][f"student_history_{name}"] for name in ("count", "ratio"))
        expected = 1 + estimate["values"]["estimated_base_time"] + 0.25 * count + 0.5 * ratio
        assert predicted == pytest.approx(expected, abs=1e-4)
        known = scalar(
            lived,
            "SELECT count(*) FROM studyml.outcomes o JOIN study_sessions s ON s.id = o.session_id WHERE o.actual_hours"
            " IS NOT NULL AND s.student_id = (SELECT student_id FROM study_sessions WHERE id = %s)",
            session,
        )
        assert words(document)["student_history"].startswith(f"student's past sessions ({known}, ")


class TestMistakes:
    @pytest.mark.parametrize("session", [1, 10**9, -1])
    def test_a_session_that_was_not_planned_is_named(self, lived: Settings, session: int) -> None:
        with pytest.raises(RegistryError, match=f"session {session} was not planned in the night of 2026-02-22 00:00"):
            why(lived, session)

    def test_a_refused_session_says_why_it_was(self, lived: Settings) -> None:
        session = first_planned(lived)
        change(lived, "UPDATE study_sessions SET topic_id = -1 WHERE id = %s", session)
        score(lived, as_of=FIRST_NIGHT, now=NOW, progress=silent)
        with pytest.raises(RegistryError, match=f"session {session} got no prediction .*: its topic does not exist"):
            why(lived, session)

    def test_a_session_that_lost_its_student_since_has_nothing_to_show(self, lived: Settings) -> None:
        session = first_planned(lived)
        change(lived, "UPDATE study_sessions SET student_id = -1 WHERE id = %s", session)
        with pytest.raises(RegistryError, match=f"session {session} .* its student does not exist any more"):
            why(lived, session)

    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM study_sessions WHERE id = %s",
            "UPDATE study_sessions SET session_date = '2030-01-01' WHERE id = %s",
        ],
    )
    def test_a_session_that_is_gone_since_is_said_to_be(self, lived: Settings, statement: str) -> None:
        session = first_planned(lived)
        change(lived, statement, session)
        with pytest.raises(RegistryError, match=f"session {session} was deleted or moved"):
            why(lived, session)

    def test_a_night_that_was_not_scored_is_named_beside_the_newest(self, lived: Settings) -> None:
        with pytest.raises(
            RegistryError, match=r"no night of 2026-02-25 00:00 UTC was scored: .* 2026-02-22 00:00 UTC"
        ):
            why(lived, first_planned(lived), as_of=FIRST_NIGHT + 3 * DAY)

    def test_before_the_first_night_the_cure_is_named(self, simulated: Settings) -> None:
        with pytest.raises(RegistryError, match="run 'studyml night'"):
            why(simulated, 1)

    def test_predictions_that_were_pruned_are_said_to_be(self, lived: Settings) -> None:
        session = first_planned(lived)
        query(lived, "DELETE FROM studyml.predictions")
        with pytest.raises(RegistryError, match=r"no predictions of the night .* are kept"):
            why(lived, session)

    def test_an_unknown_version_is_named(self, lived: Settings) -> None:
        with pytest.raises(RegistryError, match="there is no version v_x"):
            why(lived, first_planned(lived), version="v_x")

    def test_rows_that_were_pruned_are_said_to_be(self, lived: Settings) -> None:
        shutil.rmtree(lived.artifact_root / "snapshots")
        with pytest.raises(ArtifactError, match="no longer kept"):
            why(lived, first_planned(lived))


def test_a_fallback_says_what_it_predicts_for_the_session(settings: Settings) -> None:
    few = Simulation(sessions=30, students=3, days=20)
    simulate_into_database(settings, few, end=END, now=NOW, progress=silent)
    night(settings, as_of=END, now=NOW, progress=silent)
    session, predicted, lower, upper, *_, version = planned(settings)[0]
    document = why(settings, session)
    assert "contributions" not in document
    assert document["words"].startswith(f"{version} is a fallback: it predicts the ")
    found = [document[name] for name in ("predicted_hours", "lower_hours", "upper_hours")]
    assert found == pytest.approx([predicted, lower, upper])
