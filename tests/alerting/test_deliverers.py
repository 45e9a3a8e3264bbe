"""Several deliverers at once, and deliverers that die in the middle."""

import signal
import threading
import time
from collections.abc import Callable

import psycopg2
import pytest

from studyml.settings import Settings
from tests.alerting.messages import Round, deliverer, statuses, titles, write
from tests.alerting.receivers import Webhook, webhook
from tests.scoring.world import query, scalar

#: After the receiver has the message, before the database knows.
DIE_UNMARKED = "outbox._mark = lambda *_: os.kill(os.getpid(), 9)"


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_deliverer_that_is_killed_while_it_sends_leaves_its_message_for_the_next(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, "one")
    hook.hanging.set()
    process = deliverer(settings, hook.url())
    assert eventually(lambda: bool(hook.asked))
    process.send_signal(signal.SIGKILL)
    process.wait()
    hook.hanging.clear()

    assert eventually(lambda: round_(hook.url()).sent == 1)
    assert titles(hook) == ["one"]


def test_one_that_is_killed_after_sending_and_before_marking_makes_the_next_send_again_and_lose_nothing(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, "one", "two")
    assert deliverer(settings, hook.url(), DIE_UNMARKED).wait() == -signal.SIGKILL
    assert titles(hook) == ["one"]
    assert statuses(settings) == [("pending", 0), ("pending", 0)]

    assert eventually(lambda: round_(hook.url()).pending == 0)
    assert titles(hook) == ["one", "one", "two"]


def test_one_that_loses_its_database_while_it_sends_leaves_the_message_pending(
    settings: Settings, hook: Webhook, round_: Round
) -> None:
    write(settings, "one")
    hook.hanging.set()
    failures: list[type[BaseException]] = []

    def deliver_once() -> None:
        try:
            round_(hook.url(options="?rto=3"))
        except psycopg2.Error as error:
            failures.append(type(error))

    thread = threading.Thread(target=deliver_once)
    thread.start()
    assert eventually(lambda: bool(hook.asked))
    query(
        settings,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    thread.join()
    hook.hanging.clear()

    assert len(failures) == 1
    assert round_(hook.url()).sent == 1


@pytest.mark.parametrize("failing", [False, True])
def test_deliverers_at_once_send_nothing_twice(settings: Settings, hook: Webhook, round_: Round, failing: bool) -> None:
    """Also with an address that fails, and messages that become due because another was accepted."""
    texts = [f"message {number}" for number in range(12)]
    write(settings, *texts)
    hook.status = 500
    round_(hook.url())
    hook.status = 200
    with webhook() as bad:
        bad.status = 500
        addresses = (hook.url(), bad.url()) if failing else (hook.url(),)
        threads = [threading.Thread(target=round_, args=addresses) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(titles(hook)) == sorted(texts)
    assert scalar(settings, "SELECT count(*) FROM studyml.deliveries WHERE status = 'sent'") == 12


def test_what_one_deliverer_is_sending_holds_up_no_other(settings: Settings, hook: Webhook, round_: Round) -> None:
    write(settings, "one")
    with webhook() as slow:
        slow.hanging.set()
        thread = threading.Thread(target=round_, args=(slow.url(), hook.url()))
        thread.start()
        assert eventually(lambda: bool(slow.asked) or bool(hook.asked))
        write(settings, "two")

        assert eventually(lambda: round_(hook.url()).pending <= 2 and "two" in titles(hook), 5)
        slow.released.set()
        thread.join()
    assert sorted(titles(hook)) == ["one", "two"]
