"""``scaler.joblib`` and ``encoders.joblib`` say the same as ``features.json``."""

from pathlib import Path

import joblib
import numpy as np
import pytest

from studyml.features.encoder import fit_encoder, raw_input
from studyml.model.sklearn_artifacts import save_sklearn
from tests.features.frames import frame_of, simulated_log


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sklearn")
    encoder = fit_encoder(simulated_log())
    save_sklearn(
        folder,
        names=[each.name for each in encoder.inputs],
        means=np.array([each.mean for each in encoder.inputs]),
        scales=np.array([each.scale for each in encoder.inputs]),
        rows=600,
        categories={**encoder.categories, "empty": ()},
    )
    return folder


def test_the_stored_scaler_standardises_as_the_encoder_does(folder: Path) -> None:
    frame = simulated_log(seed=1)
    encoder = fit_encoder(simulated_log())
    raw = np.column_stack([raw_input(frame, each) for each in encoder.inputs])

    scaler = joblib.load(folder / "scaler.joblib")

    with pytest.warns(UserWarning, match="feature names"):
        scaled = scaler.transform(raw)
    assert np.clip(scaled, -encoder.clip, encoder.clip) == pytest.approx(encoder.encode(frame), abs=1e-5)
    assert list(scaler.get_feature_names_out()) == [each.name for each in encoder.inputs]


def test_the_stored_encoders_know_every_level_and_give_an_unknown_one_zeros(folder: Path) -> None:
    encoders = joblib.load(folder / "encoders.joblib")
    known = fit_encoder(simulated_log()).categories

    assert set(encoders) == set(known)
    for name, levels in known.items():
        found = encoders[name].transform([[level] for level in levels]).toarray()
        assert (found == np.eye(len(levels))).all()
        assert not encoders[name].transform([["of no row"]]).toarray().any()


def test_the_levels_in_the_network_input_are_among_those_of_the_stored_encoders(folder: Path) -> None:
    encoders = joblib.load(folder / "encoders.joblib")
    frame = frame_of([{"subject": "Physics"}, {"subject": "History"}])

    for each in fit_encoder(simulated_log()).inputs:
        if each.kind == "level":
            assert each.level in encoders[each.feature].categories_[0]
            assert raw_input(frame, each).shape == (2,)
