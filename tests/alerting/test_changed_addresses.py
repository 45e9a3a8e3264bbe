"""Addresses come and go: nothing owed is lost, and nobody is told old news."""

from studyml.alerting.outbox import Delivered
from studyml.settings import Settings
from tests.alerting.messages import Round, titles, write
from tests.alerting.receivers import Webhook, webhook


def test_a_changed_address_gets_what_the_old_one_was_owed_and_no_old_news(settings: Settings, round_: Round) -> None:
    with webhook() as old, webhook() as new:
        write(settings, "told")
        round_(old.url())
        write(settings, "owed")
        old.status = 500
        round_(old.url())

        assert round_(new.url()) == Delivered(sent=1, pending=0, dead=0)
        assert titles(new) == ["owed"]


def test_what_a_removed_address_was_owed_goes_to_the_new_one_though_another_has_had_it(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    with webhook() as old, webhook() as new:
        write(settings, "one")
        old.status = 500
        round_(hook.url(), old.url())

        assert round_(hook.url(), new.url()) == Delivered(sent=1, pending=0, dead=0)
        assert (titles(hook), titles(new)) == (["one"], ["one"])


def test_an_address_that_is_added_gets_what_comes_from_now_on(settings: Settings, round_: Round) -> None:
    with webhook() as first, webhook() as second:
        write(settings, "before")
        round_(first.url())
        write(settings, "after")

        round_(first.url(), second.url())

        assert titles(first) == ["before", "after"]
        assert titles(second) == ["after"]


def test_a_run_without_addresses_loses_nothing(settings: Settings, hook: Webhook, round_: Round) -> None:
    write(settings, "one")
    hook.status = 500
    round_(hook.url())

    assert round_() == Delivered(sent=0, pending=1, dead=0)
    hook.status = 200
    assert round_(hook.url(), minutes=1).sent == 1


def test_an_address_that_was_away_for_a_run_is_still_owed_its_message(settings: Settings, round_: Round) -> None:
    with webhook() as first, webhook() as second:
        write(settings, "one")
        first.status = second.status = 500
        round_(first.url())
        round_(second.url())
        first.status = 200

        assert round_(first.url()).sent == 1
        assert titles(first) == ["one"]


def test_what_happened_before_any_address_was_configured_is_told_to_the_first(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, "one")
    round_()

    assert round_(hook.url()).sent == 1
