"""``studyml doctor``: each check says in a sentence what is wrong and what to do."""

from datetime import timedelta

import pytest

from studyml.settings import Settings, load_settings
from studyml.steps.deliver_alerts import deliver_alerts
from studyml.steps.doctor import doctor
from studyml.steps.start_night import start_night
from tests.alerting.messages import write
from tests.alerting.receivers import free_port, webhook
from tests.conftest import END, FIRST_NIGHT, NOW
from tests.scoring.world import create_source, query
from tests.steps.test_finish_night import end, scored
from tests.steps.test_notify import with_alerts

DAY = timedelta(days=1)


def findings(settings: Settings) -> dict[str, tuple[bool, str]]:
    return {check.name: (check.passed, check.found) for check in doctor(settings, now=NOW)}


def failed(settings: Settings) -> dict[str, str]:
    return {name: found for name, (passed, found) in findings(settings).items() if not passed}


def test_after_a_night_with_alerts_everything_is_in_place(lived: Settings) -> None:
    with webhook() as hook:
        found = findings(with_alerts(lived, hook.url()))

    assert all(passed for passed, _ in found.values())
    assert list(found) == ["database", "source", "artifacts", "champion", "predictions", "alerts"]
    assert found["predictions"][1] == f"newest night {FIRST_NIGHT:%Y-%m-%d %H:%M} UTC, 170 h old"


def test_a_fresh_database_lacks_source_champion_predictions_and_alerts(settings: Settings) -> None:
    assert failed(settings) == {
        "source": "the source has no table public.students: set STUDYML_SOURCE_URL and STUDYML_SOURCE_SCHEMA, or fill a"
        " database with 'studyml load' or 'studyml simulate'.",
        "champion": "no version serves yet: run 'studyml retrain', the first publishes one.",
        "predictions": "no night was scored yet: run 'studyml night'.",
        "alerts": "STUDYML_ALERT_URLS is not set: nobody is paged.",
    }


def test_an_unmigrated_database_is_said(empty_database_url: str) -> None:
    found = failed(load_settings(database_url=empty_database_url))

    assert "run 'studyml db upgrade'" in found["database"]


def test_an_unreachable_database_is_said_without_its_password() -> None:
    found = failed(load_settings(database_url=f"postgresql://u:s3cret@127.0.0.1:{free_port()}/x"))

    assert "cannot be reached" in found["database"]
    assert "s3cret" not in str(found)


def test_an_artifact_root_that_is_no_folder_is_said(settings: Settings) -> None:
    settings.artifact_root.write_text("a file")

    assert str(settings.artifact_root) in failed(settings)["artifacts"]
    assert "STUDYML_ARTIFACT_ROOT" in failed(settings)["artifacts"]


def test_a_damaged_champion_is_said(lived: Settings) -> None:
    (network,) = lived.artifact_root.glob("v_*/model.onnx")
    network.write_bytes(network.read_bytes()[:-1])

    assert f"model.onnx of version {network.parent.name} is damaged" in failed(lived)["champion"]


def test_messages_that_wait_are_said(settings: Settings) -> None:
    write(settings, "one")
    alerting = with_alerts(settings, f"json://127.0.0.1:{free_port()}")
    deliver_alerts(alerting, now=NOW)

    assert failed(alerting)["alerts"] == (
        "1 message could not be delivered yet: run 'studyml alerts test' to see why, and 'studyml alerts deliveries'"
        " to see which."
    )


def test_messages_that_were_given_up_are_said_for_two_weeks(settings: Settings) -> None:
    write(settings, "one")
    alerting = with_alerts(settings, f"json://127.0.0.1:{free_port()}")
    for days in (0, 14):
        deliver_alerts(alerting, now=NOW + days * DAY)

    def alerts(days: float) -> tuple[bool, str]:
        checks = doctor(alerting, now=NOW + timedelta(days=days))
        return next((check.passed, check.found) for check in checks if check.name == "alerts")

    assert alerts(27.9) == (
        False,
        "0 messages could not be delivered yet and 1 were given up in the last 14 days: run 'studyml alerts test' to"
        " see why, and 'studyml alerts deliveries' to see which.",
    )
    assert alerts(28) == (True, "1 addresses, nothing waits")


def test_what_a_removed_address_was_owed_and_another_got_is_no_fault(settings: Settings) -> None:
    write(settings, "one")
    deliver_alerts(with_alerts(settings, f"json://127.0.0.1:{free_port()}"), now=NOW)
    with webhook() as hook:
        alerting = with_alerts(settings, hook.url())
        deliver_alerts(alerting, now=NOW)

    assert len(hook.received) == 1
    assert "alerts" not in failed(alerting)


@pytest.mark.parametrize("name", ["alert_urls", "ticket_urls", "escalation_urls"])
@pytest.mark.parametrize("wrong", ["S3cretWithoutScheme", "nosuchservice://S3cretPath"])
def test_an_address_that_apprise_does_not_know_is_said_with_its_setting_only(
    settings: Settings, name: str, wrong: str
) -> None:
    addresses = {"alert_urls": "json://127.0.0.1/", name: wrong}
    found = failed(load_settings(**{**settings.model_dump(), **addresses}))["alerts"]

    assert found.startswith(f"An address of STUDYML_{name.upper()} (")
    assert "is not one that Apprise knows: correct it, or messages do not reach everybody." in found
    assert "S3cret" not in found


@pytest.mark.parametrize(
    "receivers",
    [
        "mailto://u:pw@127.0.0.1?from=a@example.org&to=ann@example.org,bob.example.org",
        "mailto://u:pw@127.0.0.1?from=a@example.org&to=ann@example.org;bob",
        "ntfy://127.0.0.1/ann/bob!",
    ],
)
def test_a_receiver_that_is_none_is_said(settings: Settings, receivers: str) -> None:
    found = failed(load_settings(**{**settings.model_dump(), "alert_urls": receivers}))["alerts"]

    assert "has a part that Apprise leaves out, such as a receiver that is none: correct it" in found
    assert "bob" not in found


@pytest.mark.parametrize(
    "receivers",
    [
        'mailto://u:pw@127.0.0.1?from=a@example.org&to="Lee,%20Ann"%20<ann@example.org>,Bob%20Roe%20<bob@example.org>',
        "mailto://u:pw@127.0.0.1?from=a@example.org&to=ann@example.org%20bob@example.org&cc=eve+x@example.org",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general/#ops",
        "ntfy://127.0.0.1/ann/bob",
    ],
)
def test_of_receivers_that_are_all_some_nothing_is_said(settings: Settings, receivers: str) -> None:
    assert "alerts" not in failed(load_settings(**{**settings.model_dump(), "alert_urls": receivers}))


def night(settings: Settings) -> tuple[bool, str]:
    (check,) = doctor(settings, now=NOW, night=True)
    return check.passed, check.found


def test_the_watchdog_waits_for_a_first_night(settings: Settings) -> None:
    assert night(settings) == (False, "no night has finished yet: start studyml_nightly or run 'studyml night'.")


@pytest.mark.parametrize(("hours", "passed"), [(25.9, True), (26.0, True), (26.1, False)])
def test_a_night_may_be_26_hours_ago(settings: Settings, hours: float, passed: bool) -> None:
    create_source(settings)
    start_night(settings, as_of=END, now=NOW)
    scored(settings)
    end(settings)
    query(settings, "UPDATE studyml.nights SET finished_at = %s", NOW - timedelta(hours=hours))

    assert night(settings)[0] is passed
    assert (f"finished {hours:.1f} h ago" in night(settings)[1]) is True


def test_a_replay_that_finished_a_moment_ago_does_not_hide_that_no_night_did(settings: Settings) -> None:
    create_source(settings)
    for as_of in (END, END - DAY):
        start_night(settings, as_of=as_of, now=NOW)
        scored(settings, as_of)
        end(settings, as_of)
    query(settings, "UPDATE studyml.nights SET finished_at = %s WHERE as_of = %s", NOW - 2 * DAY, END)

    passed, found = night(settings)

    assert not passed
    assert "A night did not run" in found
