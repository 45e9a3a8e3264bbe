"""What a search proposes when it has ended, and what it tells."""

import json

import pytest

from studyml.errors import RegistryError
from studyml.settings import Settings
from studyml.steps.tune import choose_best
from tests.steps.retraining import query
from tests.steps.test_tune import MakeSettings, finish, observed, planned

__all__ = ["observed"]


class TestTheProposal:
    def test_the_best_is_proposed_with_the_line_to_set_and_nothing_is_changed(self, observed: Settings) -> None:
        search_id, ids = planned(observed, 3)
        for trial_id, level in zip(ids, (1.3, 1.2, 1.0, 1.25), strict=True):
            finish(observed, trial_id, level - 0.1, level, level + 0.1)

        found = choose_best(observed, search_id=search_id)

        best = query(observed, "SELECT parameters FROM studyml.tuning_trials WHERE id = %s", (ids[2],))[0][0]
        assert found["is_worth_it"]
        assert [row["trial"] for row in found["table"]] == [2, 1, 3, 0]
        assert found["line"] == f"STUDYML_HYPERPARAMETERS='{json.dumps({'epochs': 2, **best})}'"
        assert found["gain_hours"] == pytest.approx(0.3)
        assert query(observed, "SELECT count(*) FROM studyml.model_versions") == [(0,)]
        assert query(observed, "SELECT count(*) FROM studyml.retraining_runs") == [(0,)]

    def test_the_line_is_understood_by_the_settings(
        self, observed: Settings, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        search_id, ids = planned(observed, 1)
        for trial_id, level in zip(ids, (1.3, 1.0), strict=True):
            finish(observed, trial_id, level, level, level)
        auto = observed.model_copy(update={"architecture": "auto", "recipe": "auto"})
        for word in choose_best(auto, search_id=search_id)["line"].split(" STUDYML"):
            name, value = word.split("=", 1)
            monkeypatch.setenv(name if name.startswith("STUDYML") else f"STUDYML{name}", value.strip("'"))

        read = make_settings()
        assert (read.architecture, read.recipe, read.hyperparameters.epochs) == ("mlp", "selected", 2)
        assert read.hyperparameters.neurons is not None

    def test_a_gain_that_may_be_luck_keeps_the_current_setting(self, observed: Settings) -> None:
        search_id, ids = planned(observed, 1)
        finish(observed, ids[0], 1.0, 1.1, 1.2)
        finish(observed, ids[1], 0.99, 1.09, 1.19)

        found = choose_best(observed, search_id=search_id)
        assert not found["is_worth_it"]
        assert found["sentence"].startswith("Keep the current setting")

    def test_it_is_told(self, observed: Settings) -> None:
        search_id, ids = planned(observed, 1)
        finish(observed, ids[0], 1.2, 1.3, 1.4)
        finish(observed, ids[1], 1.0, 1.0, 1.0)
        told: list[str] = []
        choose_best(observed, search_id=search_id, tell=told.append)

        assert told[0].startswith("1.000 ± 0.000 h  dropout ")
        assert told[1] == "1.300 ± 0.100 h  current"
        assert told[2].endswith("worth a training.")
        assert told[3].startswith("to use it, set this, then train: STUDYML_HYPERPARAMETERS=")
        assert len(told) == 4

        auto = observed.model_copy(update={"recipe": "auto"})
        choose_best(auto, search_id=search_id, tell=told.append)
        assert told[7].startswith("to use it, set this, then train: STUDYML_RECIPE=selected STUDYML_HYPERPARAMETERS=")
        assert "what is auto now, a choice among several, ends with it" in told[8]

    def test_trials_that_failed_do_not_hide_one_that_succeeded(self, observed: Settings) -> None:
        search_id, ids = planned(observed, 2)
        finish(observed, ids[2], 2.0, 2.0, 2.0)
        query(observed, "UPDATE studyml.tuning_trials SET status = 'failed', error = 'so' WHERE id = %s", (ids[1],))

        found = choose_best(observed, search_id=search_id)
        assert (found["done"], found["failed"], found["current"]) == (1, 1, None)
        assert [row["trial"] for row in found["table"]] == [2]

    def test_a_search_without_any_success_is_a_sentence(self, observed: Settings) -> None:
        search_id, _ = planned(observed, 2)

        with pytest.raises(
            RegistryError, match=r"no trial of this search succeeded: see the errors in studyml\.tuning_trials"
        ):
            choose_best(observed, search_id=search_id)
