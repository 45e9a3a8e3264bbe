"""What follows from a verdict after a retraining, and where an incident is back: whose errors, what was done."""

import json

import pytest

from studyml.settings import Settings
from studyml.steps.check_retraining import check_retraining
from studyml.steps.follow_up import _moved
from studyml.steps.monitor import monitor
from tests.conftest import END, NOW
from tests.scoring.world import (
    VERSION,
    add_champion,
    judged,
    query,
)
from tests.steps.judged_nights import BAD, DAY, GOOD, PRECISE, errors, incidents, judge, messages, severities, world

__all__ = ["world"]


class TestAfterANewChampion:
    """The window still holds the errors of the version before it."""

    NEW = "v_20260302_000000"

    @pytest.fixture
    def retrained(self, world: Settings) -> Settings:
        errors(world, 20, BAD)
        judge(world)
        add_champion(world, END + DAY, version=self.NEW)
        return world

    def served(self, settings: Settings, count: int, error: float, night: int, first: int = 500) -> None:
        moment = END + night * DAY
        rows = [(first + row, moment - DAY, 1.0 + error, 1.0) for row in range(count)]
        judged(settings, rows, observed_at=moment, version=self.NEW)

    def test_the_first_few_outcomes_of_a_new_one_are_no_suspicion_while_what_was_served_is_healthy(
        self, world: Settings
    ) -> None:
        errors(world, 100, GOOD)
        add_champion(world, END + DAY, version=self.NEW)
        self.served(world, 10, BAD, 2)

        assert judge(world, 2)["verdict"] == "healthy"
        assert incidents(world) == []

    def test_it_is_over_when_the_new_one_is_healthy_by_its_own_outcomes(self, retrained: Settings) -> None:
        self.served(retrained, 10, GOOD, 2)
        judge(retrained, 2)

        assert judge(retrained, 3)["verdict"] == "suspected"  # of all that was served
        assert incidents(retrained) == [("degraded", "resolved")]
        assert f"{self.NEW} is healthy, off by 0.50 h on average over 10 outcomes" in messages(retrained)[-1]

    def test_it_is_not_over_before_the_new_one_has_outcomes_of_its_own(self, retrained: Settings) -> None:
        self.served(retrained, 9, GOOD, 3)
        judge(retrained, 3)

        assert incidents(retrained) == [("degraded", "open")]

    def test_what_was_told_and_is_over_is_not_told_again_by_the_old_errors(self, retrained: Settings) -> None:
        self.served(retrained, 10, GOOD, 2)
        judge(retrained, 2)
        judge(retrained, 3)
        add_champion(retrained, END + 4 * DAY, version="v_20260305_000000")

        assert judge(retrained, 5)["verdict"] == "suspected"
        assert incidents(retrained) == [("degraded", "resolved")]

    def test_what_is_told_of_the_old_errors_names_the_old_one(self, world: Settings) -> None:
        errors(world, 20, BAD)
        query(
            world,
            "INSERT INTO studyml.silences (kind, starts_at, ends_at, actor, note)"
            " VALUES ('degraded', %s, %s, 'ann', 'x')",
            *(NOW - DAY, NOW + DAY),
        )
        judge(world)
        query(world, "UPDATE studyml.silences SET ends_at = %s", NOW)
        add_champion(world, END + DAY, version=self.NEW, mae=0.5)
        judge(world, 2)

        assert f"Version: {VERSION}, which was off by 0.91 h" in messages(world)[-1]
        assert self.NEW not in messages(world)[-1]

    def test_what_was_served_is_told_apart_where_it_is_as_many_other_outcomes(self, world: Settings) -> None:
        errors(world, 20, BAD)
        add_champion(world, END + DAY, version=self.NEW)
        self.served(world, 20, 3.0, 2)
        query(world, "UPDATE studyml.outcome_predictions SET served = false WHERE model_version = %s", self.NEW)
        judge(world, 2)

        assert f"Study times that {self.NEW} predicted of the last 30 days were off by 3.00 h" in messages(world)[-1]
        assert "All that was served in these days, by whichever version: off by 2.00 h, over 20" in messages(world)[-1]

    def test_a_new_one_that_is_bad_itself_is_the_same_incident_again(self, retrained: Settings) -> None:
        self.served(retrained, 10, GOOD, 2)
        judge(retrained, 2)
        judge(retrained, 3)
        self.served(retrained, 40, BAD, 5, first=600)
        judge(retrained, 5)

        assert incidents(retrained) == [("degraded", "open")]
        assert [event for event, _ in severities(retrained)] == ["opened", "resolved", "reopened"]
        assert (
            f"Study times that {self.NEW} predicted of the last 30 days were off by 1.70 h" in messages(retrained)[-1]
        )
        assert (
            "All that was served in these days, by whichever version: off by 1.79 h, over 70 outcomes"
            in (messages(retrained)[-1])
        )


def test_a_champion_that_replaced_another_is_not_blamed_for_its_errors(world: Settings) -> None:
    add_champion(world, END - DAY, version="v_20260228_000000")
    errors(world, 20, BAD)

    assert judge(world)["verdict"] == "suspected"
    assert incidents(world) == []


def rejected_for(world: Settings) -> int:
    """A degradation, and the retraining that it made due, which was rejected; return that run's id."""
    errors(world, 10, BAD)
    judge(world)
    run = check_retraining(world, as_of=END, now=NOW)
    query(world, "UPDATE studyml.retraining_runs SET decision = 'rejected', decided_at = now() WHERE id = %s", run)
    assert run is not None
    return run


def test_an_incident_that_is_back_says_since_when_and_what_its_retraining_came_to(world: Settings) -> None:
    rejected_for(world)
    query(world, "UPDATE studyml.incidents SET status = 'resolved', resolved_as_of = updated_as_of")
    judge(world, 1)

    again = messages(world)[-1]
    assert "Since: the night of 2026-03-01 00:00 UTC at first; it was closed, and is back since the night of" in again
    assert "since the night of 2026-03-02 00:00 UTC; no earlier night was judged healthy." in again
    assert "when a person has to decide" in again
    assert "retraining decided" not in again
    assert "Done: a retraining in the night of 2026-03-01 00:00 UTC; its version was no better" in again


def test_an_incident_that_is_back_after_a_person_was_asked_promises_no_other_question(world: Settings) -> None:
    run = rejected_for(world)
    query(
        world,
        "UPDATE studyml.incidents SET status = 'resolved', resolved_as_of = updated_as_of,"
        " figures = figures || jsonb_build_object('asked', %s)",
        run,
    )
    judge(world, 1)

    opened, again = messages(world)
    assert "Since: the night of 2026-03-01 00:00 UTC; no earlier night had enough outcomes to be judged." in opened
    assert "Another message comes only when it is confirmed and when it is over." in again


@pytest.mark.parametrize(
    ("decision", "status", "words", "ahead"),
    [
        ("challenger", "challenger", "v_20260228_000000 is tried beside the champion", True),
        ("challenger", "retired", "the trial of v_20260228_000000 ended, and the next one is due", False),
        ("awaiting_approval", "awaiting_approval", "v_20260228_000000 waits for a person's approval", True),
        ("awaiting_approval", "rejected", "v_20260228_000000 was not approved, and the next one is due", False),
        ("promoted", "retired", "it brought v_20260228_000000, which was promoted", False),
    ],
)
def test_an_incident_that_is_back_says_what_became_of_the_version_since(
    world: Settings, decision: str, status: str, words: str, ahead: bool
) -> None:
    errors(world, 10, BAD)
    judge(world)
    run = check_retraining(world, as_of=END, now=NOW)
    query(
        world,
        "INSERT INTO studyml.model_versions (version, status, architecture, trained_at, as_of, manifest_sha256)"
        " VALUES ('v_20260228_000000', %s, 'mlp', %s, %s, repeat('0', 64))",
        *(status, END, END),
    )
    query(
        world,
        "UPDATE studyml.retraining_runs SET decision = %s, version = 'v_20260228_000000', decided_at = now()"
        " WHERE id = %s",
        *(decision, run),
    )
    query(world, "UPDATE studyml.incidents SET status = 'resolved', resolved_as_of = updated_as_of")
    judge(world, 1)

    again = messages(world)[-1]
    assert f"Done: a retraining in the night of 2026-03-01 00:00 UTC; {words}" in again
    approve = "studyml versions approve v_20260228_000000 --reason ..."
    assert (approve in again) is (status == "awaiting_approval")
    assert ("see what the retraining decided" in again) is (status == "challenger")
    asked = "when the retraining did not help" if ahead else "when a person has to decide"
    assert f"Another message comes only when it is confirmed, {asked}, and when it is over." in again


def test_while_the_breaker_is_open_no_retraining_is_promised(world: Settings) -> None:
    for night in range(3):
        query(
            world,
            "INSERT INTO studyml.retraining_runs (as_of, new_labels, labels_needed, decision, started_at, decided_at)"
            " VALUES (%s, 0, 50, 'failed', %s, %s)",
            *(END - (3 - night) * DAY for _ in range(3)),
        )
    errors(world, 10, BAD)
    judge(world)

    assert "Done: no retraining is started, since the last ones failed" in messages(world)[0]
    assert "see what the retraining decided" not in messages(world)[0]


def test_a_message_names_the_three_features_that_moved_most_and_the_volume() -> None:
    features = [{"sentence": f"feature {place}", "moved": place < 4} for place in range(6)]
    volume = {"sentence": "sessions: 10 -> 25 a day", "moved": True}

    assert _moved({"features": features, "volume": volume}) == [
        "feature 0", "feature 1", "feature 2", "sessions: 10 -> 25 a day"
    ]  # fmt: skip
    assert _moved({"features": features[4:], "volume": {**volume, "moved": False}}) == []
    assert _moved(None) is None


def test_while_too_few_sessions_may_teach_no_retraining_is_promised_yet(world: Settings) -> None:
    errors(world, 10, BAD)
    judge(world.model_copy(update={"training_from": END.date()}))

    too_few = f"0 labelled sessions since {END.date()}, 50 needed (STUDYML_TRAINING_FROM)"
    assert f"Done: a retraining for it waits: {too_few}." in messages(world)[0]
    assert "see what the retraining decided" not in messages(world)[0]
    assert "when the retraining did not help" in messages(world)[0]


def test_what_gets_worse_after_its_retraining_says_so_and_since_when(world: Settings) -> None:
    rejected_for(world)
    query(
        world,
        "UPDATE studyml.model_versions SET metrics = metrics || jsonb_build_object('relative_error', %s::jsonb)",
        json.dumps(PRECISE),
    )
    judge(world, 1)

    opened, worse = messages(world)
    assert "Done: a retraining is due for it, once" in opened
    assert "Done: a retraining in the night of 2026-03-01 00:00 UTC; its version was no better" in worse
    assert "Since: the night of 2026-03-01 00:00 UTC" in worse
    assert "Direction: sessions took 2.00 h longer than predicted on average." in worse


def test_what_gets_worse_after_it_came_back_says_since_when_it_is_back_the_last_time(world: Settings) -> None:
    errors(world, 10, BAD)
    judge(world)
    for night in (1, 2):
        query(world, "UPDATE studyml.incidents SET status = 'resolved', resolved_as_of = updated_as_of")
        judge(world, night)
    query(
        world,
        "UPDATE studyml.model_versions SET metrics = metrics || jsonb_build_object('relative_error', %s::jsonb)",
        json.dumps(PRECISE),
    )
    judge(world, 3)

    assert [event for event, _ in severities(world)] == ["opened", "reopened", "reopened", "updated"]
    assert (
        "Since: the night of 2026-03-01 00:00 UTC at first; it was closed, and is back since the night of 2026-03-03"
        " 00:00 UTC"
    ) in messages(world)[-1]


def test_a_message_leads_to_the_run_that_found_it_and_to_the_report_of_the_version(world: Settings) -> None:
    errors(world, 10, BAD)
    beside_airflow = world.model_copy(update={"airflow_url": "https://airflow.example.org"})
    monitor(beside_airflow, as_of=END, now=NOW, dag_run_id="scheduled__1")

    assert messages(world)[0].endswith(
        "\nAirflow: https://airflow.example.org/dags/studyml_nightly/runs/scheduled__1"
        f"\nReport: studyml versions report {VERSION}"
    )
