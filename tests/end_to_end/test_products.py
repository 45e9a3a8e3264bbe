"""Lengths that depend on what meets what: learned, judged, published, scored without TensorFlow, and explained."""

import json
from collections.abc import Callable

import numpy as np

from studyml.registry.versions import find
from studyml.settings import Settings
from studyml.simulation import Simulation
from studyml.steps.explain import explain
from studyml.steps.load import simulate_into_database
from studyml.steps.opening import own_database
from studyml.steps.score import score
from studyml.steps.serving import open_version
from tests.conftest import END, NOW, silent
from tests.steps.retraining import champions, query, retrained

#: A session with a tired student takes three times the estimate by one method, a third of it by another.
MEETING = """estimated_base_time * exp(CASE study_method WHEN 'reading' THEN 0.5 ELSE -0.5 END * (3 - energy_level))"""
#: What a session takes more or less than that, up to a fifth: other for each session, and the same in every run.
NOISE = "exp(0.4 * ((hashint8(s.id) & 1023) / 1023.0 - 0.5))"


def test_two_features_that_tell_more_together_serve(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(recipe="selected")
    simulate_into_database(settings, Simulation(sessions=400), end=END, now=NOW, progress=silent)
    lengths = f"SELECT s.id, least(greatest({MEETING} * {NOISE}, 0.1), 24) AS hours FROM study_sessions s JOIN topics t"
    query(
        settings,
        f"UPDATE study_sessions SET actual_duration = hours FROM ({lengths} ON t.id = s.topic_id) AS of_session"
        " WHERE of_session.id = study_sessions.id AND actual_duration IS NOT NULL",
    )

    decided = retrained(settings)
    score(settings, as_of=NOW, now=NOW, progress=silent)

    assert decided is not None
    assert decided["decision"] == "promoted"
    (version,) = champions(settings)
    metadata = json.loads((settings.artifact_root / version / "metadata.json").read_text())
    assert any(" x " in name for name in metadata["features"])
    card = (settings.artifact_root / version / "model_card.md").read_text()
    assert "`study_method` with `energy_level`, where they meet" in card
    _serves_what_meets_what(settings)
    with own_database(settings) as connection:
        model = open_version(settings, find(connection, version))
    assert model.encoder.features >= {"study_method", "energy_level"}
    explained = explain(settings, version=version, as_of=None, progress=silent)
    strongest = {each["feature"] for each in explained["importance"]["shap"][:3]}
    assert strongest == {"study_method", "energy_level", "estimated_base_time"}
    assert explained["weights"]["study_method"] > 0


def _serves_what_meets_what(settings: Settings) -> None:
    planned = query(
        settings,
        f"SELECT p.predicted_hours, least(greatest({MEETING}, 0.1), 24) FROM analytics.study_time_predictions p"
        " JOIN study_sessions s ON s.id = p.session_id JOIN topics t ON t.id = s.topic_id",
    )
    predicted, expected = np.array(planned, float).T
    assert len(predicted) > 10
    assert np.median(np.abs(np.log(predicted / expected))) < 0.25
