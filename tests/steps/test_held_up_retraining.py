"""What holds up a retraining that is due: a trial, another retraining, the breaker, too few sessions that may teach."""

import re
from datetime import date, datetime

import pytest

from studyml.settings import Settings
from tests.conftest import END, FIRST_NIGHT
from tests.steps.due_retraining import DAY, LATER, check, decided, label, quiet
from tests.steps.judged_nights import open_degradation
from tests.steps.retraining import last_run, query

__all__ = ["quiet"]


def add_candidate(settings: Settings, status: str, as_of: datetime) -> None:
    query(
        settings,
        "INSERT INTO studyml.model_versions (version, status, architecture, trained_at, as_of, manifest_sha256)"
        " VALUES ('v_20991231_000000', %s, 'mlp', now(), %s, repeat('0', 64))",
        (status, as_of),
    )


def rejected_and_labelled_since(settings: Settings) -> None:
    """The retraining for an open degradation brought nothing, and enough labels for another have arrived."""
    run = check(settings)
    assert run is not None
    decided(settings, run, "rejected")
    label(settings, 60)


def test_a_trial_holds_up_new_labels_and_not_a_degradation(quiet: Settings) -> None:
    label(quiet, 60)
    add_candidate(quiet, "challenger", LATER)
    assert check(quiet) is None

    open_degradation(quiet, LATER)
    assert check(quiet, as_of=LATER + DAY) is not None
    assert last_run(quiet)["reason"] == "degraded"


@pytest.mark.parametrize("status", ["challenger", "awaiting_approval"])
@pytest.mark.parametrize(("trained", "held_up"), [(-1, False), (0, True)])
def test_a_candidate_from_before_a_degradation_holds_up_nothing(
    quiet: Settings, status: str, trained: int, held_up: bool
) -> None:
    open_degradation(quiet, LATER)
    rejected_and_labelled_since(quiet)
    add_candidate(quiet, status, LATER + trained * DAY)

    assert (check(quiet, as_of=LATER + DAY) is None) is held_up


def test_nor_does_one_from_before_it_came_back(quiet: Settings) -> None:
    incident = open_degradation(quiet, LATER)
    rejected_and_labelled_since(quiet)
    add_candidate(quiet, "challenger", LATER + DAY)
    assert check(quiet, as_of=LATER + 2 * DAY) is None

    query(
        quiet,
        "INSERT INTO studyml.incident_events (incident_id, event, as_of, recorded_at, actor)"
        " VALUES (%s, 'reopened', %s, now(), 'studyml')",
        (incident, LATER + 3 * DAY),
    )
    assert check(quiet, as_of=LATER + 3 * DAY) is not None


def test_one_that_runs_or_was_killed_is_named_where_none_is_due(quiet: Settings) -> None:
    assert check(quiet, force=True) is not None

    assert check(quiet, as_of=LATER + DAY) is None

    assert last_run(quiet)["note"].endswith(
        "; the retraining begun at 2026-03-01 01:30 UTC runs, or was killed:"
        " then studyml retrain --force begins another"
    )
    assert check(quiet, as_of=LATER + DAY, force=True) is not None


def test_two_nights_at_once_do_not_use_the_same_labels(quiet: Settings) -> None:
    label(quiet, 50)
    first = check(quiet)
    assert first is not None
    assert check(quiet, as_of=LATER + DAY) is None
    assert last_run(quiet)["note"].startswith(
        "50 new labels, 50 needed; the retraining begun at 2026-03-01 01:30 UTC runs"
    )
    decided(quiet, first, "failed")

    assert check(quiet, as_of=LATER + 2 * DAY) is not None, "they were not used up"


class TestTheBreaker:
    """After three failures in a row the same data are not tried again."""

    @pytest.fixture
    def failing(self, quiet: Settings) -> Settings:
        label(quiet, 50)
        for night in range(3):
            run = check(quiet, as_of=LATER + night * DAY)
            assert run is not None
            decided(quiet, run, "failed")
        return quiet

    def test_opens_and_says_why(self, failing: Settings) -> None:
        assert check(failing, as_of=LATER + 3 * DAY) is None
        assert "3 retrainings failed in a row, and only 0 labels are new since the last" in last_run(failing)["note"]

    def test_lets_a_person_try(self, failing: Settings) -> None:
        assert check(failing, as_of=LATER + 3 * DAY, force=True) is not None

    def test_closes_with_enough_new_labels(self, failing: Settings) -> None:
        label(failing, 49)
        assert check(failing, as_of=LATER + 3 * DAY) is None
        label(failing, 1)
        assert check(failing, as_of=LATER + 4 * DAY) is not None

    def test_counts_the_labels_since_the_newest_of_them(self, quiet: Settings) -> None:
        for night in range(3):
            label(quiet, 50)
            run = check(quiet, as_of=LATER + night * DAY)
            assert run is not None
            decided(quiet, run, "failed")
        label(quiet, 10)

        assert check(quiet, as_of=LATER + 3 * DAY) is None
        assert "only 10 labels are new since the last (50 needed)" in last_run(quiet)["note"]

    def test_counts_failures_in_a_row_only(self, quiet: Settings) -> None:
        label(quiet, 50)
        for night, decision in enumerate(("failed", "failed", "rejected")):
            run = check(quiet, as_of=LATER + night * DAY)
            assert run is not None
            decided(quiet, run, decision)
        label(quiet, 50)

        assert check(quiet, as_of=LATER + 3 * DAY) is not None


class TestWithADateFromWhichOnSessionsTeach:
    """STUDYML_TRAINING_FROM, after a lasting change."""

    @staticmethod
    def since(settings: Settings, days: int) -> Settings:
        return settings.model_copy(update={"training_from": (FIRST_NIGHT - days * DAY).date()})

    def test_nothing_is_tried_and_no_label_used_up_while_there_are_too_few_since(self, quiet: Settings) -> None:
        label(quiet, 60)

        assert check(self.since(quiet, 2), force=True) is None

        run = last_run(quiet)
        assert run["decision"] == "skipped"
        assert re.search(r"; \d+ labelled sessions since .{10}, 50 needed \(STUDYML_TRAINING_FROM\)$", run["note"])
        assert check(quiet) is not None

    def test_it_is_due_as_ever_where_there_are_enough(self, quiet: Settings) -> None:
        label(quiet, 60)

        assert check(self.since(quiet, 41)) is not None

    def test_a_first_version_is_not_held_up(self, simulated: Settings) -> None:
        assert check(simulated.model_copy(update={"training_from": date(2030, 1, 1)}), as_of=END) is not None
