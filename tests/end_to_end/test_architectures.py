"""Every architecture from labels to served predictions: trained, judged, published, scored without TensorFlow."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS
from studyml.database.source import read_sessions, read_students, read_topics
from studyml.evaluation.holdout import read_holdout
from studyml.features.definition import assemble, reading_vocabularies
from studyml.features.encoder import Encoder
from studyml.features.history import HISTORY_FEATURES, SEQUENCE_FEATURES
from studyml.frame import Frame
from studyml.model.recipe import ARCHITECTURES
from studyml.registry.snapshot import read_snapshot
from studyml.registry.versions import find
from studyml.settings import Settings
from studyml.simulation import Simulation
from studyml.steps import build_candidate
from studyml.steps.load import simulate_into_database
from studyml.steps.observe import observe
from studyml.steps.opening import own_database, read_source
from studyml.steps.plan_scoring import scoring_window
from studyml.steps.promote_version import promote_version
from studyml.steps.read_history import with_history_at
from studyml.steps.score import score
from studyml.steps.serving import ServedModel, open_version
from tests.conftest import END, NOW, silent
from tests.steps.retraining import query, retrained

ROOT = Path(__file__).resolve().parents[2]
#: Enough to be a network, not to be a good one.
QUICK = {"epochs": 2, "neurons": 8, "layers": 2}


@dataclass(frozen=True)
class Served:
    """A database whose champion is a barely trained network with history, and its version."""

    settings: Settings
    version: str

    @property
    def folder(self) -> Path:
        return self.settings.artifact_root / self.version

    def model(self) -> ServedModel:
        with own_database(self.settings) as connection:
            return open_version(self.settings, find(connection, self.version))

    def planned(self, as_of: datetime) -> Frame:
        """The planned sessions with features and history as known at ``as_of``, ordered by id."""
        categories = self.model().encoder.categories
        vocabularies = reading_vocabularies(categories)
        after, through = scoring_window(self.settings, as_of)
        schema = self.settings.source_schema
        frame = read_source(
            self.settings,
            lambda source: (
                assemble(
                    read_sessions(source, schema, vocabularies, after=after, through=through),
                    read_students(source, schema, vocabularies),
                    read_topics(source, schema, vocabularies),
                ).frame
            ),
        )
        with own_database(self.settings) as connection:
            frame = with_history_at(connection, frame, as_of=as_of, features={*HISTORY_FEATURES, *SEQUENCE_FEATURES})
        planned = query(self.settings, "SELECT id FROM study_sessions WHERE actual_duration IS NULL ORDER BY id")
        frame = frame.take(np.argsort(frame["id"]))
        return frame.take(np.isin(frame["id"], [row[0] for row in planned]))

    def hours(self) -> dict[int, float]:
        """The newest night's predictions by session, in hours."""
        rows = query(self.settings, "SELECT session_id, predicted_hours FROM analytics.study_time_predictions")
        return {int(session): float(hours) for session, hours in rows}


@pytest.fixture(params=ARCHITECTURES)
def served(
    request: pytest.FixtureRequest, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> Served:
    """The architecture, trained with history, and made champion by hand: a good one would be by its gates."""
    # The guide's random split, a figure for comparison, would train everything twice; it is tested elsewhere.
    monkeypatch.setattr(build_candidate, "random_split_mae", lambda *_: None)
    settings = make_settings(architecture=request.param, recipe="history", hyperparameters=QUICK)
    simulate_into_database(settings, Simulation(sessions=250), end=END, now=NOW, progress=silent)
    decided = retrained(settings)
    assert decided is not None
    ((version, status),) = query(settings, "SELECT version, status FROM studyml.model_versions WHERE NOT is_fallback")
    assert (decided["decision"], status) in (("fallback", "rejected"), ("promoted", "champion"))
    if status == "rejected":
        promote_version(settings, version, now=NOW, actor="test", reason="to be served")
    score(settings, as_of=NOW, now=NOW, progress=silent)
    return Served(settings, version)


@pytest.mark.deployment
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_passes_the_gates_as_it_is_and_serves(
    architecture: str, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(architecture=architecture)
    simulate_into_database(settings, Simulation(sessions=600), end=END, now=NOW, progress=silent)

    decided = retrained(settings)

    assert decided is not None
    assert decided["decision"] == "promoted"
    written = score(settings, as_of=NOW, now=NOW, progress=silent)["written"]
    served = query(settings, "SELECT DISTINCT architecture FROM studyml.model_versions WHERE status = 'champion'")
    assert (written > 0, served) == (True, [(architecture,)])
    shown = query(settings, "SELECT count(*) FROM analytics.study_time_predictions WHERE predicted_hours >= 0.1")
    assert shown == [(written,)]


_CHILD = """
import json, sys
from datetime import datetime
from studyml.settings import load_settings
from studyml.steps.score import score
moment = datetime.fromisoformat(sys.argv[3])
settings = load_settings(database_url=sys.argv[1], artifact_root=sys.argv[2])
written = score(settings, as_of=moment, now=moment, progress=lambda _: None)["written"]
print(json.dumps([written, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def in_a_process_of_its_own(served: Served, as_of: datetime) -> tuple[int, set[str]]:
    """Score as the scoring task does; the sessions written, and the modules that it took."""
    arguments = [served.settings.database, str(served.settings.artifact_root), as_of.isoformat()]
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    written, modules = json.loads(done.stdout.splitlines()[-1])
    return int(written), set(modules)


def test_what_is_served_is_what_keras_says_of_the_same_features(served: Served) -> None:
    import keras

    frame, encoder = served.planned(NOW), served.model().encoder
    network = keras.saving.load_model(served.folder / "model.keras")
    expected = np.clip(np.asarray(network(encoder.encode(frame)))[:, 0], MINIMUM_HOURS, MAXIMUM_HOURS)

    _files_say_what_was_trained(served)
    assert len(frame) > 10
    assert list(served.hours()) != []
    assert served.hours() == pytest.approx(dict(zip(frame["id"].tolist(), expected.tolist(), strict=True)), abs=1e-4)
    assert np.std(expected) > 0.01, "it says different things of different sessions"

    before = served.hours()
    written, modules = in_a_process_of_its_own(served, NOW + timedelta(minutes=1))
    assert written == len(frame)
    assert served.hours() == pytest.approx(before, abs=1e-9)
    assert modules.isdisjoint({"tensorflow", "keras", "sklearn", "pandas", "joblib", "matplotlib", "onnx", "shap"})

    _the_past_matters(served, frame, network)


def _files_say_what_was_trained(served: Served) -> None:
    metadata = json.loads((served.folder / "metadata.json").read_text())
    stored = json.loads((served.folder / "features.json").read_text())
    encoder = Encoder.from_json(stored["features"])
    architecture = served.settings.architecture

    assert (metadata["architecture"], metadata["recipe"]) == (architecture, "history")
    assert (metadata["hyperparameters"]["epochs"], metadata["metrics"]["epochs"]) == (2, 2)
    assert [(each["architecture"], each["chosen"]) for each in metadata["portfolio"]] == [(architecture, True)]
    assert metadata["features"] == [each.name for each in encoder.inputs]
    assert set(HISTORY_FEATURES) <= {each.feature for each in encoder.inputs} | set(encoder.dropped)
    assert (metadata["first_layer_weights"] is None) == (architecture in ("lstm", "attention"))
    assert metadata["metrics"]["export_parity_hours"] <= 1e-4
    members = json.loads((served.folder / "learning_curves.json").read_text())["members"]
    assert len(members) == (5 if architecture == "ensemble" else 6)
    assert all(len(each["loss"]) == len(each["val_loss"]) == 2 for each in members)

    # Every labelled session is in one of the two files, with the label that the snapshot has, and in no other way.
    holdout, out_of_fold = (read_holdout(served.folder / name) for name in ("holdout.csv", "out_of_fold.csv"))
    snapshot = read_snapshot(served.settings.artifact_root, metadata["snapshot_sha256"])
    label = dict(zip(snapshot["id"].tolist(), snapshot["actual_duration"].tolist(), strict=True))
    judged = [*holdout.session_id.tolist(), *out_of_fold.session_id.tolist()]
    assert sorted(judged) == sorted(label)
    assert [label[each] for each in judged] == [*holdout.actual, *out_of_fold.actual]
    assert np.isfinite(out_of_fold.predicted["network"]).all()
    assert set(out_of_fold.predicted["fold"]) == {0.0, 1.0, 2.0, 3.0, 4.0}
    assert holdout.session_date.min() >= out_of_fold.session_date.max()


def _the_past_matters(served: Served, frame: Frame, network: object) -> None:
    """A student's outcomes that become others change that student's predictions, and an LSTM reads their order."""
    is_lstm = served.settings.architecture == "lstm"
    model = served.model()
    assert model.reads_sequences == is_lstm
    newest = np.nan_to_num(frame["previous_1_ratio"].astype(float)) + 1.0
    moved = model.predict(frame.with_columns(previous_1_ratio=newest)).hours - model.predict(frame).hours
    assert (np.abs(moved).max() > 1e-4) == is_lstm

    student = int(np.bincount(frame["student_id"].astype(np.int64)).argmax())
    query(
        served.settings,
        "UPDATE study_sessions SET actual_duration = least(24, actual_duration * 3)"
        " WHERE actual_duration IS NOT NULL AND student_id = %s",
        (student,),
    )
    later, before = NOW + timedelta(days=1), served.hours()
    assert observe(served.settings, as_of=later, now=later)["corrected"] > 0
    score(served.settings, as_of=later, now=later, progress=silent)

    after = served.hours()
    theirs = frame["id"][frame["student_id"] == student].tolist()
    both = [session for session in theirs if session in after]
    assert both
    assert min(abs(after[session] - before[session]) for session in both) > 1e-4
    changed = served.planned(later)
    rows = changed["student_id"] == student
    first = changed["previous_1_ratio"].astype(float)[rows][0]
    known = frame["previous_1_ratio"].astype(float)[frame["student_id"] == student][0]
    assert first == pytest.approx(known + np.log(3), abs=0.01)
    expected = np.asarray(network(model.encoder.encode(changed)))[:, 0]  # type: ignore[operator]
    said = [after[session] for session in changed["id"].tolist() if session in after]
    assert said == pytest.approx(np.clip(expected, MINIMUM_HOURS, MAXIMUM_HOURS).tolist(), abs=1e-4)
