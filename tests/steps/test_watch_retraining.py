"""What came of retrainings: whether they keep failing, and whether the one for a degradation helped."""

from datetime import timedelta

import pytest

from studyml.alerting.lifecycle import Moment
from studyml.settings import Settings
from studyml.steps.opening import own_database
from studyml.steps.watch_retraining import watch_retraining
from tests.conftest import END, NOW
from tests.scoring.world import add_champion, query
from tests.steps.judged_nights import open_degradation

DAY = timedelta(days=1)
VERSION, NEWER = "v_20260301_000000", "v_20260302_000000"


def run(settings: Settings, *decisions: str, incident: int | None = None) -> None:
    for decision in decisions:
        query(
            settings,
            "INSERT INTO studyml.retraining_runs (as_of, reason, new_labels, labels_needed, decision,"
            " reasons, incident_id, started_at, decided_at)"
            " VALUES (%s, 'new_labels', 50, 50, %s, ARRAY['the ' || %s], %s, %s, %s)",
            *(END, decision, decision, incident, NOW, NOW),
        )


def watch(settings: Settings, night: int = 0) -> None:
    with own_database(settings) as connection:
        watch_retraining(settings, connection, Moment(END + night * DAY, NOW + night * DAY))
        connection.commit()


def add_version(settings: Settings, status: str, version: str = VERSION) -> None:
    query(
        settings,
        "INSERT INTO studyml.model_versions (version, status, architecture, trained_at, as_of, manifest_sha256)"
        " VALUES (%s, %s, 'mlp', %s, %s, repeat('0', 64))",
        *(version, status, END, END),
    )


def judged_as(settings: Settings, version: str, verdict: str, night: int = 0) -> None:
    query(
        settings,
        "INSERT INTO studyml.monitoring_runs (as_of, scope, verdict, n, rolling_mae, rolling_rmse, baseline_mae,"
        " threshold, window_days, reason, recorded_at) VALUES (%s, %s, %s, 20, 2, 2.5, 1, 1.2, 30, '', %s)",
        *(END + night * DAY, version, verdict, NOW),
    )


def incidents(settings: Settings) -> list[tuple[str, str, str]]:
    return query(settings, "SELECT kind, severity, status FROM studyml.incidents ORDER BY id")


def bodies(settings: Settings) -> list[str]:
    rows = query(settings, "SELECT message_body FROM studyml.incident_events ORDER BY id")
    return [text for (text,) in rows if text]


class TestFailingInARow:
    @pytest.mark.parametrize(
        ("decisions", "told"),
        [
            (("rejected", "rejected"), False),
            (("rejected", "rejected", "rejected"), True),
            (("failed", "rejected", "abandoned"), True),
            (("rejected", "rejected", "promoted", "rejected"), False),
            (("rejected", "skipped", "rejected", "skipped", "rejected"), True),
        ],
    )
    def test_three_times_opens_an_incident(self, settings: Settings, decisions: tuple[str, ...], told: bool) -> None:
        run(settings, *decisions)
        watch(settings)

        assert incidents(settings) == ([("retraining_failing", "ticket", "open")] if told else [])

    def test_says_whether_the_breaker_stopped_it_and_why_the_last_one_failed(self, settings: Settings) -> None:
        run(settings, "failed", "failed", "failed")
        watch(settings)

        [body] = bodies(settings)
        assert "- 2026-03-01 failed: the failed\n" in body
        assert "No other retraining is started on the same data" in body

    def test_says_once_that_the_breaker_has_stopped_it_since(self, settings: Settings) -> None:
        run(settings, "rejected", "rejected", "rejected")
        watch(settings)
        for night in range(1, 5):
            run(settings, "failed")
            watch(settings, night)

        first, then = bodies(settings)
        assert "The next retraining is due with enough new labels." in first
        assert "No other retraining is started on the same data" in then

    def test_rejections_stop_nothing(self, settings: Settings) -> None:
        run(settings, "rejected", "rejected", "rejected")
        watch(settings)

        assert "The next retraining is due with enough new labels." in bodies(settings)[0]

    def test_is_over_with_the_next_version(self, settings: Settings) -> None:
        run(settings, "failed", "failed", "failed")
        watch(settings)
        run(settings, "promoted")
        watch(settings, 1)

        assert incidents(settings) == [("retraining_failing", "ticket", "resolved")]

    @pytest.mark.parametrize("decision", ["challenger", "awaiting_approval"])
    def test_is_not_over_while_what_one_brought_may_still_be_rejected(self, settings: Settings, decision: str) -> None:
        run(settings, "rejected", "rejected", "rejected")
        watch(settings)
        run(settings, decision)
        watch(settings, 1)

        assert incidents(settings) == [("retraining_failing", "ticket", "open")]


class TestARetrainingForADegradation:
    @pytest.fixture
    def incident(self, settings: Settings) -> int:
        return open_degradation(settings, END)

    def test_that_was_rejected_asks_for_a_person_once(self, settings: Settings, incident: int) -> None:
        run(settings, "rejected", incident=incident)
        for night in range(3):
            watch(settings, night)

        [body] = bodies(settings)
        assert "brought no better one" in body
        assert "was rejected.\n- the rejected\n" in body

    def test_that_was_promoted_asks_for_nobody(self, settings: Settings, incident: int) -> None:
        run(settings, "promoted", incident=incident)
        watch(settings)

        assert bodies(settings) == []

    def test_that_failed_is_tried_again_before_a_person_is_asked(self, settings: Settings, incident: int) -> None:
        run(settings, "failed", incident=incident)
        watch(settings)
        assert bodies(settings) == []

        run(settings, "failed", "failed", incident=incident)
        watch(settings, 1)
        assert any("The retraining failed" in body for body in bodies(settings))

    def test_a_promoted_version_that_is_degraded_itself_asks_for_a_person_once(
        self, settings: Settings, incident: int
    ) -> None:
        add_champion(settings, END, version=VERSION)
        run(settings, "promoted", incident=incident)
        query(settings, "UPDATE studyml.retraining_runs SET version = %s", VERSION)
        for night, verdict in enumerate(("insufficient_data", "healthy", "suspected", "confirmed", "confirmed")):
            judged_as(settings, VERSION, verdict, night)
            watch(settings, night)
            assert len(bodies(settings)) == (0, 0, 0, 1, 1)[night], "by the guide's rule alone nobody is paged"

        assert f"{VERSION} passed the gates, and is off by 2.00 h on average since (MAE)" in bodies(settings)[0]

    @pytest.mark.parametrize("page_rule", ["guide", "confirmed"])
    def test_where_the_guides_rule_pages_or_told_of_it_that_rule_asks_for_a_person_too(
        self, settings: Settings, incident: int, page_rule: str
    ) -> None:
        if page_rule == "confirmed":
            query(settings, "UPDATE studyml.incidents SET severity = 'ticket'")
        add_champion(settings, END, version=VERSION)
        run(settings, "promoted", incident=incident)
        query(settings, "UPDATE studyml.retraining_runs SET version = %s", VERSION)
        judged_as(settings, VERSION, "suspected")

        watch(settings.model_copy(update={"page_rule": page_rule}))

        assert len(bodies(settings)) == 1

    def test_each_candidate_that_waits_for_approval_meanwhile_is_told_once(
        self, settings: Settings, incident: int
    ) -> None:
        add_version(settings, "awaiting_approval")
        run(settings, "awaiting_approval")
        query(settings, "UPDATE studyml.retraining_runs SET version = %s", VERSION)
        for night in range(3):
            watch(settings, night)

        [body] = bodies(settings)
        assert f"{VERSION} passed the gates and waits for a person." in body
        assert "Without an answer it is rejected after 2026-03-04 01:30 UTC." in body
        assert f"studyml versions approve {VERSION} --reason ..." in body

        query(settings, 'UPDATE studyml.incidents SET figures = figures || \'{"waiting": "v_19990101_010000"}\'')
        watch(settings, 3)
        assert len(bodies(settings)) == 2, "another one is news"

    def test_failures_after_a_rejection_ask_for_nobody_again(self, settings: Settings, incident: int) -> None:
        run(settings, "rejected", incident=incident)
        watch(settings)
        for night in range(1, 5):
            run(settings, "failed", incident=incident)
            watch(settings, night)

        assert len([body for body in bodies(settings) if "The model is degraded" in body]) == 1

    @pytest.mark.parametrize(
        ("decision", "meanwhile", "ended", "words"),
        [
            ("challenger", "challenger", "retired", "was on trial.\n- 90 days are over\n"),
            ("awaiting_approval", "awaiting_approval", "rejected", "waited for approval.\n- rejected by ann: odd\n"),
        ],
    )
    def test_a_version_that_was_put_aside_asks_for_a_person_once(
        self, settings: Settings, incident: int, decision: str, meanwhile: str, ended: str, words: str
    ) -> None:
        add_version(settings, meanwhile)
        run(settings, decision, incident=incident)
        query(settings, "UPDATE studyml.retraining_runs SET version = %s, reasons = ARRAY['passed']", VERSION)
        watch(settings)
        waits = [body for body in bodies(settings) if "passed the gates and waits for a person" in body]
        assert bodies(settings) == waits

        query(settings, "UPDATE studyml.model_versions SET status = %s", ended)
        if ended == "retired":
            query(
                settings,
                "INSERT INTO studyml.deployments (action, as_of, recorded_at, actor, from_version, reason)"
                " VALUES ('retire', %s, %s, 'studyml', %s, '90 days are over')",
                *(END, NOW, VERSION),
            )
        else:
            query(settings, "UPDATE studyml.retraining_runs SET reasons = reasons || 'rejected by ann: odd'::text")
        watch(settings, 1)
        watch(settings, 2)

        [body] = bodies(settings)[len(waits) :]
        assert f"The candidate {VERSION} " in body
        assert words in body

    @pytest.mark.parametrize("decision", ["challenger", "awaiting_approval", "promoted"])
    def test_a_version_that_came_to_serve_in_the_end_is_judged_by_its_own_outcomes(
        self, settings: Settings, incident: int, decision: str
    ) -> None:
        add_champion(settings, END, version=VERSION)
        add_champion(settings, END + DAY, version=NEWER)
        run(settings, decision, incident=incident)
        query(settings, "UPDATE studyml.retraining_runs SET version = %s", VERSION)
        judged_as(settings, VERSION, "confirmed")
        watch(settings)
        assert bodies(settings) == []

        judged_as(settings, NEWER, "confirmed")
        watch(settings)
        assert f"{NEWER} passed the gates, and is off by 2.00 h on average since (MAE)" in bodies(settings)[0]

    def test_while_a_later_candidate_waits_nobody_is_asked_for_another(self, settings: Settings, incident: int) -> None:
        run(settings, "rejected", incident=incident)
        add_version(settings, "awaiting_approval", NEWER)
        watch(settings)
        assert not [body for body in bodies(settings) if "brought no better one" in body]

        query(settings, "UPDATE studyml.model_versions SET status = 'rejected'")
        watch(settings, 1)
        assert "brought no better one" in bodies(settings)[-1]

    def test_while_a_later_candidate_is_on_trial_a_person_is_told_to_wait_for_it(
        self, settings: Settings, incident: int
    ) -> None:
        run(settings, "rejected", incident=incident)
        add_version(settings, "challenger", NEWER)
        watch(settings)
        watch(settings, 1)

        [body] = bodies(settings)
        assert f"{NEWER}, of a later retraining, is on trial." in body
        assert "Wait for the end of that trial" in body
        assert "Another retraining that passes takes its place: studyml retrain --force" in body

    def test_after_a_rejected_one_a_later_version_that_serves_is_judged_by_its_own_outcomes(
        self, settings: Settings, incident: int
    ) -> None:
        add_version(settings, "rejected")
        run(settings, "rejected", incident=incident)
        query(settings, "UPDATE studyml.retraining_runs SET version = %s", VERSION)
        add_champion(settings, END + DAY, version=NEWER)
        watch(settings)
        assert bodies(settings) == []

        judged_as(settings, NEWER, "confirmed")
        watch(settings)
        [body] = bodies(settings)
        assert "so is the version that was promoted since" in body
        assert f"{NEWER} passed the gates" in body

    def test_a_version_that_a_person_took_back_asks_for_nobody(self, settings: Settings, incident: int) -> None:
        add_champion(settings, END, version=VERSION)
        add_champion(settings, END + DAY, version="v_20200101_000000")
        run(settings, "promoted", incident=incident)
        query(settings, "UPDATE studyml.retraining_runs SET version = %s", VERSION)
        judged_as(settings, "v_20200101_000000", "confirmed")
        watch(settings)

        assert bodies(settings) == []
