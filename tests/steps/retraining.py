"""What the tests of retraining share: SQL in one line, a quick retraining, and networks made to fail."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from studyml.database.connection import connect
from studyml.model import training
from studyml.model.networks import Layout, Target, serving_network
from studyml.model.recipe import Recipe
from studyml.settings import Settings
from studyml.steps import evaluate_candidate
from studyml.steps.check_retraining import check_retraining
from studyml.steps.night import retrain as retrain_step
from studyml.steps.observe import observe
from tests.conftest import END, NOW, silent


def query(settings: Settings, statement: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Run one statement, commit, and return its rows."""
    with connect(settings.database) as connection:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            rows = cursor.fetchall() if cursor.description else []
        connection.commit()
    return rows


def champions(settings: Settings) -> list[str]:
    return [row[0] for row in query(settings, "SELECT version FROM studyml.model_versions WHERE status = 'champion'")]


def last_run(settings: Settings) -> dict[str, Any]:
    names = ("id", "reason", "decision", "reasons", "note", "version", "new_labels", "labels_needed")
    (row,) = query(settings, f"SELECT {', '.join(names)} FROM studyml.retraining_runs ORDER BY id DESC LIMIT 1")
    return dict(zip(names, row, strict=True))


def opened(settings: Settings, *, as_of: datetime = END, now: datetime = NOW, force: bool = True) -> int:
    """Observe, and open a retraining run of its own."""
    observe(settings, as_of=as_of, now=now)
    run_id = check_retraining(settings, as_of=as_of, now=now, force=force, dag_run_id=str(uuid4()))
    assert run_id is not None
    return run_id


def retrained(
    settings: Settings, *, as_of: datetime = END, now: datetime = NOW, force: bool = True
) -> dict[str, Any] | None:
    """Observe and retrain, by default whether due or not."""
    observe(settings, as_of=as_of, now=now)
    return retrain_step(settings, as_of=as_of, now=now, progress=silent, force=force)


def keep_labels(settings: Settings, count: int) -> None:
    """Leave only the oldest ``count`` labels in the source."""
    query(
        settings,
        "UPDATE study_sessions SET actual_duration = NULL WHERE id NOT IN"
        " (SELECT id FROM study_sessions WHERE actual_duration IS NOT NULL ORDER BY session_date, id LIMIT %s)",
        (count,),
    )


def make_noise(settings: Settings, seed: int = 0) -> None:
    """Replace every label by a lognormal draw that depends on nothing."""
    ids = [row[0] for row in query(settings, "SELECT id FROM study_sessions WHERE actual_duration IS NOT NULL")]
    hours = np.clip(np.random.default_rng(seed).lognormal(np.log(3), 0.5, len(ids)).round(2), 0.1, 24)
    query(
        settings,
        "UPDATE study_sessions s SET actual_duration = n.hours FROM unnest(%s, %s) AS n (id, hours) WHERE s.id = n.id",
        (ids, hours.tolist()),
    )


def constant(hours: float, recipe: Recipe, layout: Layout) -> Any:
    """A small network of the recipe's architecture that always says the given hours."""
    small = replace(recipe, layers=(4,), dropouts=(0.0,), target="hours")
    built = serving_network(small, layout, Target(False), 1)
    weights = [np.zeros_like(each) for each in built.get_weights()]
    weights[-1][...] = hours
    built.set_weights(weights)
    built(np.zeros((1, layout.inputs), np.float32))  # Keras exports only what was called
    return built


def trained_to_say(hours: float, rows: training.Rows, recipe: Recipe, layout: Layout) -> training.Trained:
    """What a training returns, without the training: a network that always says the given hours."""
    curve = {"loss": [1.0], "val_loss": [1.0], "best_epoch": 1}
    members = [{"member": f"fold {fold + 1}", **curve} for fold in range(int(rows.folds.max()) + 1)]
    out_of_fold = np.full(len(rows.hours), hours)
    curves = {"members": members, "learning_rate": [0.001]}
    return training.Trained(constant(hours, recipe, layout), out_of_fold, curves, 1)


@pytest.fixture
def constant_network(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make every training return, at once, a network that always says the given hours.

    As a stand-in for a good or a bad network it is judged by its error; ``whole``: by every gate.
    """

    def always(hours: float, *, whole: bool = False) -> None:
        if not whole:
            monkeypatch.setattr(evaluate_candidate, "judge_serving", lambda *_: [])

        def train(rows: training.Rows, recipe: Recipe, layout: Layout, _: Any = None) -> training.Trained:
            return trained_to_say(hours, rows, recipe, layout)

        monkeypatch.setattr(training, "train", train)

    return always
