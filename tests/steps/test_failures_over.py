"""When a failure is over: with the next night, or upkeep, that has none."""

from studyml.settings import Settings
from studyml.steps.finish_night import finish_night
from studyml.steps.maintain import maintain
from studyml.steps.start_night import start_night
from tests.alerting.receivers import Webhook
from tests.conftest import END, NOW
from tests.scoring.world import create_source, finish, query, scalar
from tests.steps.failing import DAY, alerting, fail, lived, scored, titles

__all__ = ["alerting"]


def test_a_later_night_without_a_failure_closes_it_and_the_next_failure_is_news(
    alerting: Settings, hook: Webhook
) -> None:
    fail(alerting)
    for night in (0, 1):
        lived(alerting, night)
        assert scalar(alerting, "SELECT status FROM studyml.incidents") == ("open", "resolved")[night]

    fail(alerting, night=2)
    assert titles(hook) == [
        "studyml: studyml_nightly.score.publish failed",
        "studyml: over: studyml_nightly.score.publish failed",
        "studyml: again: studyml_nightly.score.publish failed",
    ]


def test_the_same_night_begun_again_and_finished_without_a_failure_closes_it(alerting: Settings, hook: Webhook) -> None:
    fail(alerting)
    finish(alerting, END)
    query(alerting, "UPDATE studyml.nights SET started_at = %s", NOW + DAY)
    scored(alerting, END)

    finish_night(alerting, as_of=END, now=NOW + DAY)

    assert scalar(alerting, "SELECT status FROM studyml.incidents") == "resolved"


def test_what_this_night_found_is_not_over_though_a_worker_told_of_another_failure_with_its_clock_ahead(
    alerting: Settings,
) -> None:
    create_source(alerting)
    fail(alerting, "retrain.train", night=-1, now=NOW + 10 * DAY)
    start_night(alerting, as_of=END, now=NOW)
    fail(alerting, "score.plan", now=NOW)
    scored(alerting, END)

    finish_night(alerting, as_of=END, now=NOW)

    assert scalar(alerting, "SELECT status FROM studyml.incidents") == "open"


def test_a_broken_contract_that_a_task_found_is_not_closed_by_the_end_of_the_same_night(alerting: Settings) -> None:
    create_source(alerting)
    for night in range(3):
        start_night(alerting, as_of=END + night * DAY, now=NOW + night * DAY)
        if night == 0:
            fail(alerting, "retrain.train", source_broken=True, now=NOW)
        query(
            alerting,
            "INSERT INTO studyml.scoring_runs (as_of, versions, planned, status, started_at)"
            " VALUES (%s, '{}', 0, 'complete', %s)",
            *(END + night * DAY, NOW),
        )
        finish_night(alerting, as_of=END + night * DAY, now=NOW + night * DAY)

        status = query(alerting, "SELECT kind, status FROM studyml.incidents")
        assert status == [("contract_broken", ("open", "open", "resolved")[night])]


def test_once_it_is_back_each_task_is_told_though_it_had_failed_the_time_before(
    alerting: Settings, hook: Webhook
) -> None:
    fail(alerting, "a", error="one")
    fail(alerting, "b", error="two")
    lived(alerting, 1)
    fail(alerting, "a", 2, error="one")
    fail(alerting, "b", 2, error="two")

    assert [title.rsplit(".")[1] for title in titles(hook) if "over" not in title] == ["a failed", "b failed"] * 2


class TestWhatEndsIt:
    """A finished night says nothing of the weekly upkeep, and upkeep nothing of a night."""

    @staticmethod
    def upkeep(settings: Settings, night: int) -> None:
        maintain(settings, as_of=END + night * DAY, now=NOW + night * DAY)

    def status(self, settings: Settings) -> str:
        return str(scalar(settings, "SELECT status FROM studyml.incidents"))

    @staticmethod
    def newest(settings: Settings) -> str:
        return str(scalar(settings, "SELECT message_body FROM studyml.incident_events ORDER BY id DESC LIMIT 1"))

    def test_upkeep_that_failed_is_over_when_upkeep_has_ended(self, alerting: Settings, hook: Webhook) -> None:
        create_source(alerting)
        fail(alerting, dag_id="studyml_maintenance", task="maintain")
        assert "or run studyml maintain again" in hook.received[0]["message"]
        assert "closes by itself when studyml_maintenance ends without a failure" in hook.received[0]["message"]
        lived(alerting, 1)
        assert self.status(alerting) == "open"

        self.upkeep(alerting, 0)

        assert self.status(alerting) == "resolved"
        assert "Nothing is left to do" in self.newest(alerting)

    def test_of_both_each_ends_its_own_and_what_fails_again_is_told_again(
        self, alerting: Settings, hook: Webhook
    ) -> None:
        create_source(alerting)
        fail(alerting, dag_id="studyml_maintenance", task="maintain", error="a")
        fail(alerting, error="b", night=1)
        self.upkeep(alerting, 0)
        assert query(alerting, "SELECT status, title, figures FROM studyml.incidents") == [
            ("open", "studyml_nightly.score.publish failed", {"studyml_nightly.score.publish": "b"})
        ]
        assert scalar(alerting, "SELECT note FROM studyml.incident_events ORDER BY id DESC LIMIT 1").startswith(
            "ended since: studyml_maintenance.maintain; the upkeep of"
        )
        fail(alerting, dag_id="studyml_maintenance", task="maintain", error="a", night=2)
        lived(alerting, 5)
        assert self.status(alerting) == "open"

        self.upkeep(alerting, 2)

        assert self.status(alerting) == "resolved"
        assert [title.removeprefix("studyml: ") for title in titles(hook)] == [
            "studyml_maintenance.maintain failed",
            "studyml_nightly.score.publish failed",
            "studyml_maintenance.maintain failed",
        ]

    def test_that_it_is_over_does_not_promise_that_all_has_run(self, alerting: Settings) -> None:
        create_source(alerting)
        fail(alerting, task="retrain.train")
        lived(alerting, 1)

        told = self.newest(alerting)
        assert "What was not due since has not run again, such as a retraining" in told
        assert "Nothing is left to do" not in told
