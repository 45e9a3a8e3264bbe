"""A search: every trial a row, resumable, judged without the holdout, and proposed but not applied."""

from datetime import timedelta

import numpy as np
import pytest

from studyml.errors import RegistryError, TrainingError
from studyml.evaluation.holdout import newest_rows
from studyml.model import network
from studyml.model.recipe import Recipe
from studyml.settings import Settings
from studyml.steps import tune
from studyml.steps.observe import observe
from studyml.steps.tune import GRID, choose_best, plan_trials, run_trial
from tests.conftest import END, NOW
from tests.steps.retraining import query


@pytest.fixture
def observed(simulated: Settings) -> Settings:
    """The simulated log, observed, with trainings of one epoch."""
    observe(simulated, as_of=END, now=NOW)
    return simulated.model_copy(update={"epochs": 1})


def planned(settings: Settings, trials: int | None) -> tuple[str, list[int]]:
    plan = plan_trials(settings, as_of=END, now=NOW, trials=trials)
    return plan[0]["search_id"], [each["trial_id"] for each in plan]


def parameters(settings: Settings, search_id: str) -> list[dict[str, float]]:
    rows = query(
        settings, "SELECT parameters FROM studyml.tuning_trials WHERE search_id = %s ORDER BY trial", (search_id,)
    )
    return [row[0] for row in rows]


def finish(settings: Settings, trial_id: int, mae: float) -> None:
    query(
        settings, "UPDATE studyml.tuning_trials SET status = 'done', validation_mae = %s WHERE id = %s", (mae, trial_id)
    )


def test_the_whole_grid_is_the_guides(settings: Settings) -> None:
    search_id, ids = planned(settings, None)

    assert len(ids) == 27
    assert {name: {each[name] for each in parameters(settings, search_id)} for name in GRID} == {
        "neurons": {32, 64, 128},
        "dropout": {0.1, 0.2, 0.3},
        "learning_rate": {0.001, 0.01, 0.1},
    }


def test_a_part_of_the_grid_is_drawn_by_seed_without_repetition(settings: Settings) -> None:
    drawn = []
    for number, seed in enumerate((1, 1, 2)):
        plan = plan_trials(settings, as_of=END, now=NOW + timedelta(seconds=number), trials=5, seed=seed)
        drawn.append(parameters(settings, plan[0]["search_id"]))

    assert drawn[0] == drawn[1] != drawn[2]
    assert len({tuple(each.items()) for each in drawn[0]}) == 5


def test_a_trial_is_stored_with_what_it_measured(observed: Settings) -> None:
    _, (trial_id,) = planned(observed, 1)

    result = run_trial(observed, trial_id=trial_id)

    (row,) = query(
        observed, "SELECT status, validation_mae, validation_rmse, epochs, seconds, error FROM studyml.tuning_trials"
    )
    assert row[0] == "done"
    assert row[1] == result["validation_mae"] > 0
    assert row[2] >= row[1]
    assert row[3] == 1
    assert row[5] is None


def test_a_finished_trial_is_not_run_again(observed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    _, (trial_id,) = planned(observed, 1)
    finish(observed, trial_id, 1.25)
    monkeypatch.setattr(tune, "_measure", None)

    assert run_trial(observed, trial_id=trial_id) == {"trial_id": trial_id, "validation_mae": 1.25}


def test_a_trial_that_was_killed_or_failed_is_run_again(observed: Settings) -> None:
    _, (trial_id,) = planned(observed, 1)
    query(observed, "UPDATE studyml.tuning_trials SET status = 'failed', error = 'lost'")

    run_trial(observed, trial_id=trial_id)

    assert query(observed, "SELECT status, error FROM studyml.tuning_trials") == [("done", None)]


def test_no_trial_sees_the_holdout(observed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = query(
        observed,
        "SELECT id, extract(epoch FROM session_date)::bigint, actual_duration FROM study_sessions"
        " WHERE actual_duration IS NOT NULL ORDER BY id",
    )
    held = newest_rows(np.array([r[1] for r in rows]), np.array([r[0] for r in rows]), observed.holdout_fraction)
    query(
        observed,
        "UPDATE study_sessions SET actual_duration = 23.5 WHERE id = ANY(%s)",
        ([row[0] for row, newest in zip(rows, held, strict=True) if newest],),
    )
    observe(observed, as_of=END + timedelta(days=1), now=NOW + timedelta(days=1))
    seen: list[np.ndarray] = []

    def watched(matrix: np.ndarray, hours: np.ndarray, recipe: Recipe) -> network.Trained:
        seen.append(hours)
        raise TrainingError("seen enough.")

    monkeypatch.setattr(network, "train", watched)
    plan = plan_trials(observed, as_of=END + timedelta(days=1), now=NOW, trials=1)
    with pytest.raises(TrainingError):
        run_trial(observed, trial_id=plan[0]["trial_id"])

    assert len(seen[0]) == 360
    assert 23.5 not in seen[0]


def test_a_configuration_that_diverges_is_a_failed_trial_with_its_reason(
    observed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "predict", lambda _, matrix: np.full(len(matrix), np.nan))
    _, (trial_id,) = planned(observed, 1)

    with pytest.raises(TrainingError, match="does not converge"):
        run_trial(observed, trial_id=trial_id)

    ((status, error),) = query(observed, "SELECT status, error FROM studyml.tuning_trials")
    assert status == "failed"
    assert "does not converge" in error


def test_too_few_labels_are_a_sentence(simulated: Settings) -> None:
    _, (trial_id,) = planned(simulated, 1)

    with pytest.raises(TrainingError, match=r"^0 labelled sessions are too few to tune on: 50 are needed\.$"):
        run_trial(simulated, trial_id=trial_id)


def test_the_best_is_proposed_and_nothing_is_changed(settings: Settings) -> None:
    search_id, ids = planned(settings, 3)
    for trial_id, mae in zip(ids, (1.3, 1.1, 1.2), strict=True):
        finish(settings, trial_id, mae)

    best = choose_best(settings, search_id=search_id)

    assert best["id"] == ids[1]
    assert best["validation_mae"] == 1.1
    assert set(best["parameters"]) == set(GRID)
    assert query(settings, "SELECT count(*) FROM studyml.model_versions") == [(0,)]
    assert query(settings, "SELECT count(*) FROM studyml.retraining_runs") == [(0,)]


def test_trials_that_failed_do_not_hide_one_that_succeeded(settings: Settings) -> None:
    search_id, ids = planned(settings, 3)
    finish(settings, ids[2], 2.0)

    assert choose_best(settings, search_id=search_id)["id"] == ids[2]


def test_a_search_without_any_success_is_a_sentence(settings: Settings) -> None:
    search_id, _ = planned(settings, 2)

    with pytest.raises(
        RegistryError, match=r"no trial of this search succeeded: see the errors in studyml\.tuning_trials"
    ):
        choose_best(settings, search_id=search_id)


def test_a_trial_that_does_not_exist_is_a_sentence(settings: Settings) -> None:
    with pytest.raises(RegistryError, match="there is no trial 99"):
        run_trial(settings, trial_id=99)


def test_the_trials_scale_the_network_that_is_deployed(settings: Settings) -> None:
    recipe = tune._recipe(settings, {"neurons": 64, "dropout": 0.1, "learning_rate": 0.01}, seed=7)

    assert recipe.layers == (64, 32, 16, 8)
    assert recipe.dropouts == (0.1, 0.1, 0.1, 0.0)
    assert (recipe.learning_rate, recipe.seed) == (0.01, 7)
    assert recipe.plateau_minimum_rate == Recipe().plateau_minimum_rate
