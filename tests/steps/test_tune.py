"""A search: every trial a row, resumable, judged out of fold without the holdout, and proposed but not applied."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from studyml.contract import MAXIMUM_HOURS
from studyml.errors import LockBusyError, RegistryError, SettingsError, TrainingError
from studyml.evaluation.holdout import newest_rows
from studyml.frame import Frame
from studyml.hyperparameters import Hyperparameters
from studyml.model.recipe import Recipe
from studyml.model.search_space import GRID
from studyml.settings import Settings
from studyml.steps import tune
from studyml.steps.fit_recipe import Fitted, fit_recipe
from studyml.steps.observe import observe
from studyml.steps.training_data import LABEL
from studyml.steps.tune import plan_trials, run_trial
from tests.conftest import END, NOW
from tests.steps.retraining import query

MakeSettings = Callable[..., Settings]


@pytest.fixture
def observed(simulated: Settings) -> Settings:
    """The simulated log, observed, with one quick recipe."""
    observe(simulated, as_of=END, now=NOW)
    changes = {"architecture": "mlp", "recipe": "selected", "hyperparameters": Hyperparameters(epochs=2)}
    return simulated.model_copy(update=changes)


def planned(settings: Settings, trials: int | None = 1, **options: Any) -> tuple[str, list[int]]:
    plan = plan_trials(settings, as_of=END, trials=trials, **options)
    assert len({each["search_id"] for each in plan}) == 1
    return plan[0]["search_id"], [each["trial_id"] for each in plan]


def rows(settings: Settings, columns: str) -> list[tuple[Any, ...]]:
    return query(settings, f"SELECT {columns} FROM studyml.tuning_trials ORDER BY search_id, trial")


def finish(settings: Settings, trial_id: int, *folds: float) -> None:
    query(
        settings,
        "UPDATE studyml.tuning_trials SET status = 'done', validation_mae = %s, fold_maes = %s WHERE id = %s",
        (float(np.mean(folds)), list(folds), trial_id),
    )


class TestPlanning:
    def test_the_whole_grid_is_the_guides_and_trial_0_is_the_current_setting(self, observed: Settings) -> None:
        _, ids = planned(observed, None)

        found = rows(observed, "trial, parameters, status, architecture, recipe, strategy, seed, attempts")
        assert len(ids) == 28
        assert found[0] == (0, {}, "planned", "mlp", "selected", "grid", 42, 0)
        assert {tuple(parameters[name] for name in GRID) for _, parameters, *_ in found[1:]} == {
            (neurons, dropout, rate)
            for neurons in (32, 64, 128)
            for dropout in (0.1, 0.2, 0.3)
            for rate in (0.001, 0.01, 0.1)
        }

    def test_the_same_search_is_found_again_and_more_trials_are_added(self, observed: Settings) -> None:
        search_id, ids = planned(observed, 2)
        finish(observed, ids[1], 1.0, 1.0, 1.0)

        assert planned(observed, 2) == (search_id, ids)
        again, more = planned(observed, 4)
        assert again == search_id
        assert more[:3] == ids
        assert [row[0] for row in rows(observed, "status")] == ["planned", "done", "planned", "planned", "planned"]

    def test_a_later_night_with_the_same_labels_goes_on_with_it(self, observed: Settings) -> None:
        search_id, ids = planned(observed)
        plan = plan_trials(observed, as_of=END + timedelta(days=1), trials=1)

        assert [(each["search_id"], each["trial_id"]) for each in plan] == [(search_id, each) for each in ids]

    @pytest.mark.parametrize(
        "other",
        [
            {"seed": 7},
            {"strategy": "random"},
            {"recipe": "history"},
            {"architecture": "attention"},
        ],
        ids=str,
    )
    def test_another_search_is_another(self, observed: Settings, other: dict[str, Any]) -> None:
        assert planned(observed)[0] != planned(observed, **other)[0]

    def test_so_is_one_on_other_rows_or_with_other_settings(self, observed: Settings) -> None:
        first, _ = planned(observed)
        slower = observed.model_copy(update={"hyperparameters": Hyperparameters(epochs=3)})
        query(observed, "UPDATE topics SET difficulty_level = difficulty_level + 1 WHERE id = 1")

        assert len({first, planned(slower)[0], planned(observed)[0]}) == 3

    def test_a_category_that_no_row_has_changes_nothing(self, observed: Settings) -> None:
        first, _ = planned(observed)
        query(observed, "INSERT INTO topics (id, subject, content_type) VALUES (999, 'Aaa', 'aaa')")

        assert planned(observed)[0] == first

    @pytest.mark.parametrize("option", ["architecture", "recipe"])
    def test_a_name_that_there_is_not_is_a_sentence(self, observed: Settings, option: str) -> None:
        with pytest.raises(SettingsError, match=r"^'best' cannot be tuned: choose one of auto, "):
            planned(observed, **{option: "best"})

    def test_too_few_labels_are_a_sentence(self, simulated: Settings) -> None:
        with pytest.raises(TrainingError, match=r"^0 labelled sessions are too few to tune on: 50 are needed\.$"):
            planned(simulated)

    def test_auto_is_the_champions_and_without_one_a_recipe_that_trains_on_every_log(
        self, observed: Settings, lived: Settings
    ) -> None:
        auto = {"architecture": "auto", "recipe": "auto"}
        planned(observed.model_copy(update=auto))
        assert rows(observed, "DISTINCT ON (search_id, trial) architecture, recipe")[0] == ("ensemble", "history")

        ((architecture, recipe),) = query(
            lived, "SELECT architecture, recipe FROM studyml.model_versions WHERE status = 'champion'"
        )
        plan_trials(lived.model_copy(update=auto), as_of=END, trials=1)
        assert rows(lived, "architecture, recipe")[0] == (architecture, recipe)


class TestATrial:
    def test_it_is_stored_with_what_it_measured_out_of_fold(
        self, observed: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fits: list[tuple[Frame, Recipe, Fitted]] = []

        def watched(frame: Frame, recipe: Recipe, **options: Any) -> Fitted:
            assert options == {"folds": 3}
            fits.append((frame, recipe, fit_recipe(frame, recipe, **options)))
            return fits[-1][2]

        monkeypatch.setattr(tune, "fit_recipe", watched)
        _, ids = planned(observed)
        result = run_trial(observed, trial_id=ids[1])

        ((status, mae, rmse, folds, epochs, seconds, error, attempts),) = query(
            observed,
            "SELECT status, validation_mae, validation_rmse, fold_maes, epochs, seconds, error, attempts"
            " FROM studyml.tuning_trials WHERE id = %s",
            (ids[1],),
        )
        ((frame, recipe, fitted),) = fits
        errors = np.abs(frame[LABEL].astype(float) - fitted.out_of_fold)
        assert (status, error, attempts, epochs) == ("done", None, 1, 2)
        assert folds == pytest.approx([errors[fitted.folds == fold].mean() for fold in range(3)])
        assert result["validation_mae"] == mae == pytest.approx(np.mean(folds))
        assert rmse == pytest.approx(np.sqrt(np.mean(errors**2)))
        assert seconds > 0
        parameters = query(observed, "SELECT parameters FROM studyml.tuning_trials WHERE id = %s", (ids[1],))[0][0]
        assert recipe.layers[0] == parameters["neurons"]
        assert recipe.dropouts == (*[parameters["dropout"]] * 3, 0.0)
        assert (recipe.learning_rate, recipe.epochs, recipe.seed) == (parameters["learning_rate"], 2, 42)

    def test_trial_0_is_the_configured_recipe_as_it_is(
        self, observed: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[Recipe] = []

        def watched(_: Frame, recipe: Recipe, **options: Any) -> Fitted:
            seen.append(recipe)
            raise TrainingError("seen enough.")

        monkeypatch.setattr(tune, "fit_recipe", watched)
        configured = observed.model_copy(update={"hyperparameters": Hyperparameters(epochs=2, neurons=8)})
        _, ids = planned(configured)
        for trial_id in ids:
            run_trial(configured, trial_id=trial_id)

        assert seen[0].layers == (8, 4, 4, 4)
        assert seen[1].layers in ((32, 16, 8, 4), (64, 32, 16, 8), (128, 64, 32, 16))  # the recipe's proportions
        assert {each.epochs for each in seen} == {2}

    def test_no_trial_sees_the_holdout(self, observed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        observed = observed.model_copy(update={"level_changes": "ignore"})  # or it would follow these labels
        labelled = query(
            observed,
            "SELECT id, extract(epoch FROM session_date)::bigint FROM study_sessions"
            " WHERE actual_duration IS NOT NULL ORDER BY id",
        )
        held = newest_rows(
            np.array([row[1] for row in labelled]), np.array([row[0] for row in labelled]), observed.holdout_fraction
        )
        query(
            observed,
            "UPDATE study_sessions SET actual_duration = 23.5 WHERE id = ANY(%s)",
            ([row[0] for row, newest in zip(labelled, held, strict=True) if newest],),
        )
        observe(observed, as_of=END + timedelta(days=1), now=NOW + timedelta(days=1))
        seen: list[Frame] = []

        def watched(frame: Frame, recipe: Recipe, **options: Any) -> Fitted:
            seen.append(frame)
            raise TrainingError("seen enough.")

        monkeypatch.setattr(tune, "fit_recipe", watched)
        plan = plan_trials(observed, as_of=END + timedelta(days=1), trials=1)
        run_trial(observed, trial_id=plan[0]["trial_id"])

        assert len(seen[0]) == 480
        assert 23.5 not in seen[0][LABEL]

    def test_a_finished_one_is_not_trained_again(self, observed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        _, ids = planned(observed)
        finish(observed, ids[0], 1.2, 1.3)
        monkeypatch.setattr(tune, "fit_recipe", None)

        assert run_trial(observed, trial_id=ids[0]) == {
            "trial_id": ids[0],
            "status": "done",
            "validation_mae": 1.25,
        }

    def test_one_that_a_person_stopped_was_no_attempt(
        self, observed: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, ids = planned(observed)

        def stopped(*_: Any, **__: Any) -> Fitted:
            raise KeyboardInterrupt

        monkeypatch.setattr(tune, "fit_recipe", stopped)
        with pytest.raises(KeyboardInterrupt):
            run_trial(observed, trial_id=ids[0])

        assert rows(observed, "status, attempts")[0] == ("planned", 0)

    def test_one_that_was_killed_is_taken_up_again(self, observed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        _, ids = planned(observed)

        def killed(*_: Any, **__: Any) -> Fitted:
            raise SystemExit

        with monkeypatch.context() as patch:
            patch.setattr(tune, "fit_recipe", killed)
            with pytest.raises(SystemExit):
                run_trial(observed, trial_id=ids[0])
        assert rows(observed, "status, attempts")[0] == ("running", 1)

        assert run_trial(observed, trial_id=ids[0])["status"] == "done"
        assert rows(observed, "status, attempts")[0] == ("done", 2)

    def test_one_whose_process_is_killed_every_time_fails_in_the_end(self, observed: Settings) -> None:
        _, ids = planned(observed)
        query(observed, "UPDATE studyml.tuning_trials SET status = 'running', attempts = 3 WHERE id = %s", (ids[0],))

        assert run_trial(observed, trial_id=ids[0])["status"] == "failed"
        assert "killed in 3 attempts: it may need more memory" in rows(observed, "error")[0][0]

    def test_two_workers_never_train_the_same_one(self, observed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        _, ids = planned(observed)
        lock = tune.advisory_lock

        def second(frame: Frame, recipe: Recipe, **options: Any) -> Fitted:
            with pytest.raises(LockBusyError, match="another process holds the lock"):
                run_trial(observed, trial_id=ids[0])
            return fit_recipe(frame, recipe, **options)

        monkeypatch.setattr(tune, "advisory_lock", lambda *given: lock(*given, wait_seconds=0))
        monkeypatch.setattr(tune, "fit_recipe", second)

        assert run_trial(observed, trial_id=ids[0])["status"] == "done"

    def test_one_that_diverges_is_a_failed_row_with_its_reason_and_no_error(
        self, observed: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def overflowing(frame: Frame, recipe: Recipe, **options: Any) -> Fitted:
            fitted = fit_recipe(frame, recipe, **options)
            return replace(fitted, out_of_fold=np.where(fitted.folds == 1, np.nan, fitted.out_of_fold))

        monkeypatch.setattr(tune, "fit_recipe", overflowing)
        _, ids = planned(observed)
        result = run_trial(observed, trial_id=ids[0])

        assert (result["status"], result["validation_mae"]) == ("failed", None)
        ((status, error),) = rows(observed, "status, error")[:1]
        assert status == "failed"
        assert error == "the network does not converge: its predictions are not numbers."

    def test_an_absurd_prediction_counts_as_the_longest_day(
        self, observed: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def absurd(frame: Frame, recipe: Recipe, **options: Any) -> Fitted:
            return replace(fit_recipe(frame, recipe, **options), out_of_fold=np.full(len(frame), 1e30))

        monkeypatch.setattr(tune, "fit_recipe", absurd)
        _, ids = planned(observed)

        assert run_trial(observed, trial_id=ids[0])["validation_mae"] <= MAXIMUM_HOURS

    def test_rows_that_changed_since_the_plan_are_refused(self, observed: Settings) -> None:
        _, ids = planned(observed)
        query(observed, "UPDATE topics SET difficulty_level = difficulty_level + 1 WHERE id = 1")

        with pytest.raises(RegistryError, match=r"are no longer those that mlp_selected_grid_[0-9a-f]{12} was planned"):
            run_trial(observed, trial_id=ids[0])
        assert rows(observed, "status, attempts")[0] == ("planned", 0)

    def test_one_that_does_not_exist_is_a_sentence(self, settings: Settings) -> None:
        with pytest.raises(RegistryError, match="there is no trial 99"):
            run_trial(settings, trial_id=99)
