"""Another try comes later and later, at last none; an address that is back gets all at once."""

import re
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.alerting.outbox import GIVE_UP_AFTER, LONGEST_WAIT, Delivered, backoff
from studyml.settings import Settings
from tests.alerting.messages import Round, statuses, titles, write
from tests.alerting.receivers import Webhook, free_port, webhook
from tests.conftest import NOW
from tests.scoring.world import query, scalar


def due(settings: Settings) -> datetime:
    found: datetime = scalar(settings, "SELECT next_attempt_at FROM studyml.deliveries")
    return found


@given(attempts=st.integers(1, 10**6))
def test_a_wait_doubles_until_it_is_six_hours(attempts: int) -> None:
    assert backoff(1) == timedelta(minutes=1)
    assert backoff(attempts) <= backoff(attempts + 1) == min(2 * backoff(attempts), LONGEST_WAIT)
    assert timedelta(hours=6) == LONGEST_WAIT


def test_a_failing_receiver_is_not_asked_before_the_wait_is_over(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, "one")
    hook.status = 500
    asked_after = [minutes for minutes in range(20) if _asks(hook, round_, minutes)]

    assert asked_after == [0, 1, 3, 7, 15]
    assert due(settings) == NOW + timedelta(minutes=31)
    hook.status = 200
    assert round_(hook.url(), minutes=30.9).sent == 0
    assert round_(hook.url(), minutes=31).sent == 1
    assert titles(hook) == ["one"]
    assert statuses(settings) == [("sent", 6)]


def _asks(hook: Webhook, round_: Round, minutes: float) -> bool:
    before = len(hook.asked)
    round_(hook.url(), minutes=minutes)
    return len(hook.asked) > before


def test_a_new_message_does_not_wait_for_an_old_ones_next_try_and_takes_it_along(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, "old")
    hook.status = 500
    for minutes in (0, 1, 3, 7):
        round_(hook.url(), minutes=minutes)
    hook.status = 200
    write(settings, "new")

    assert round_(hook.url(), minutes=8) == Delivered(sent=2, pending=0, dead=0)
    assert titles(hook) == ["new", "old"]


def test_what_waits_for_one_address_is_not_due_because_another_accepts(settings: Settings, round_: Round) -> None:
    write(settings, "one")
    with webhook() as good, webhook() as bad:
        bad.status = 500
        round_(bad.url(), good.url())
        write(settings, "two")
        round_(bad.url(), good.url())
        assert len(bad.asked) == 2
        bad.status = 200

        round_(bad.url(), good.url(), minutes=0.9)
        assert titles(bad) == []
        assert titles(good) == ["one", "two"]


def test_an_address_that_refused_connections_is_asked_again_when_its_wait_is_over(
    settings: Settings, round_: Round
) -> None:
    port = free_port()
    write(settings, "one")
    round_(f"json://127.0.0.1:{port}/hook")
    with webhook(port) as back:
        assert round_(back.url()).sent == 0
        assert round_(back.url(), minutes=1).sent == 1


def test_after_two_weeks_a_message_is_given_up_and_counted_once(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, "one")
    hook.status = 500
    round_(hook.url())
    late = GIVE_UP_AFTER.days + 1

    assert round_(hook.url(), days=late) == Delivered(sent=0, pending=0, dead=1)
    assert round_(hook.url(), days=late) == Delivered(sent=0, pending=0, dead=0)


def test_a_dead_letter_stays_in_the_table_with_the_reason(settings: Settings, hook: Webhook, round_: Round) -> None:
    write(settings, "one")
    hook.status = 500
    round_(hook.url())
    round_(hook.url(), days=GIVE_UP_AFTER.days)

    ((*row, error),) = query(settings, "SELECT status, attempts, next_attempt_at, last_error FROM studyml.deliveries")
    assert row == ["dead", 1, None]
    assert re.fullmatch(r"json address did not accept the message \(it answered 500, after \d\.\d s\)", error)


@pytest.mark.parametrize("days", [GIVE_UP_AFTER.days - 0.01, GIVE_UP_AFTER.days])
def test_it_is_tried_until_then(settings: Settings, hook: Webhook, round_: Round, days: float) -> None:
    write(settings, "one")
    hook.status = 500
    round_(hook.url())
    hook.status = 200

    assert round_(hook.url(), days=days).sent == (days < GIVE_UP_AFTER.days)
