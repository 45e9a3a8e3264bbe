"""Pages go to those who are woken, tickets to those who are not."""

from datetime import timedelta

import pytest

from studyml.alerting.outbox import Addresses, Delivered
from studyml.settings import Settings
from tests.alerting.messages import Round, run, titles, write
from tests.alerting.receivers import Webhook, webhook
from tests.scoring.world import query


def test_a_message_goes_to_the_addresses_of_its_severity(settings: Settings) -> None:
    write(settings, "wake up", severity="page")
    write(settings, "look tomorrow", severity="ticket")
    with webhook() as pager, webhook() as tracker:
        addresses = Addresses(page=(pager.url(),), ticket=(tracker.url(),))

        assert run(settings, addresses) == Delivered(sent=2, pending=0, dead=0)
        assert titles(pager) == ["wake up"]
        assert titles(tracker) == ["look tomorrow"]


def test_what_older_code_wrote_pages(settings: Settings) -> None:
    write(settings, "old", severity=None)
    with webhook() as pager, webhook() as tracker:
        run(settings, Addresses(page=(pager.url(),), ticket=(tracker.url(),)))

        assert titles(pager) == ["old"]
        assert tracker.asked == []


def test_an_address_of_both_gets_each_message_once(settings: Settings, hook: Webhook) -> None:
    write(settings, "wake up", severity="page")
    write(settings, "look tomorrow", severity="ticket")
    both = Addresses(page=(hook.url(),), ticket=(hook.url(), hook.url()))

    assert run(settings, both).sent == 2
    assert run(settings, both).sent == 0
    assert titles(hook) == ["wake up", "look tomorrow"]


def test_a_severity_without_an_address_keeps_what_waits(settings: Settings, hook: Webhook) -> None:
    write(settings, "wake up", severity="page")
    hook.status = 500
    run(settings, Addresses(page=(hook.url(),)))
    with webhook() as tracker:
        tickets = Addresses(ticket=(tracker.url(),))
        assert run(settings, tickets) == Delivered(sent=0, pending=1, dead=0)
        assert tracker.asked == []
    hook.status = 200

    assert run(settings, Addresses(page=(hook.url(),)), timedelta(minutes=1)).sent == 1


def test_an_address_that_pages_no_longer_is_not_sent_the_page_that_waits(settings: Settings) -> None:
    write(settings, "wake up", severity="page")
    with webhook() as first, webhook() as second:
        first.status = 500
        run(settings, Addresses(page=(first.url(),), ticket=(first.url(),)))
        first.status = 200

        later = timedelta(minutes=1)
        assert run(settings, Addresses(page=(second.url(),), ticket=(first.url(),)), later).sent == 1
        assert titles(second) == ["wake up"]
        assert titles(first) == []


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("opened", "failure"),
        ("updated", "failure"),
        ("escalated", "failure"),
        ("reopened", "failure"),
        ("resolved", "success"),
    ],
)
def test_bad_news_is_a_failure_since_services_that_page_ignore_a_note_and_a_recovery_a_success(
    settings: Settings, hook: Webhook, round_: Round, event: str, kind: str
) -> None:
    if event == "resolved":
        write(settings, "one")
    write(settings, "one", event=event)

    round_(hook.url())

    assert hook.received[-1]["type"] == kind


def test_that_it_is_over_goes_to_everyone_who_was_told_of_it_once(settings: Settings, hook: Webhook) -> None:
    write(settings, "degraded", severity="ticket")
    write(settings, "degraded", severity="page", event="updated")
    write(settings, "degraded", severity="escalation", event="escalated")
    write(settings, "degraded", severity="page", event="resolved")
    with webhook() as tracker, webhook() as manager:
        addresses = Addresses(page=(hook.url(),), ticket=(tracker.url(), manager.url()), escalation=(manager.url(),))
        run(settings, addresses)

        assert [titles(each) for each in (hook, tracker, manager)] == [
            ["degraded", "degraded"],
            ["degraded", "degraded"],
            ["degraded", "degraded", "degraded"],
        ]
        assert run(settings, addresses) == Delivered(sent=0, pending=0, dead=0)


def test_what_was_told_before_it_was_over_the_last_time_tells_nobody_now(settings: Settings, hook: Webhook) -> None:
    write(settings, "degraded", severity="ticket")
    write(settings, "degraded", severity="ticket", event="resolved")
    write(settings, "degraded", severity="page", event="reopened")
    write(settings, "degraded", severity="page", event="resolved")
    with webhook() as tracker:
        run(settings, Addresses(page=(hook.url(),), ticket=(tracker.url(),)))

        assert (len(titles(hook)), len(titles(tracker))) == (2, 2)


def test_that_it_is_over_which_a_silence_held_back_goes_to_everyone_who_was_told_of_it(
    settings: Settings, hook: Webhook
) -> None:
    write(settings, "degraded", severity="ticket")
    write(settings, "degraded", severity="page", event="resolved")
    query(settings, "UPDATE studyml.incident_events SET held_back = true WHERE event = 'resolved'")
    write(settings, "degraded", severity="page", event="resolved")
    with webhook() as tracker:
        run(settings, Addresses(page=(hook.url(),), ticket=(tracker.url(),)))

        assert (len(titles(hook)), len(titles(tracker))) == (0, 2)


def test_a_message_that_a_silence_holds_back_is_not_sent(settings: Settings, hook: Webhook) -> None:
    write(settings, "degraded", severity="page")
    query(settings, "UPDATE studyml.incident_events SET held_back = true")

    assert run(settings, Addresses(page=(hook.url(),))) == Delivered(sent=0, pending=0, dead=0)
    assert hook.asked == []


@pytest.mark.parametrize("held_back", ["ticket", "page"])
def test_that_it_is_over_is_for_those_only_who_were_told_of_it(settings: Settings, held_back: str) -> None:
    for severity in ("ticket", "page"):
        write(settings, "one", severity=severity, event="opened" if severity == "ticket" else "updated")
    write(settings, "one", severity="page", event="resolved")
    query(
        settings, "UPDATE studyml.incident_events SET held_back = true WHERE severity = %s AND event <> 'resolved'",
        held_back,
    )  # fmt: skip
    with webhook() as pager, webhook() as tracker:
        run(settings, Addresses(page=(pager.url(),), ticket=(tracker.url(),)))

        told, silent = (tracker, pager) if held_back == "page" else (pager, tracker)
        assert titles(told) == ["one", "one"]
        assert silent.asked == []
