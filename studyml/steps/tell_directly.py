"""Messages without the outbox: where our database cannot keep what was told, a file of this machine does."""

import fcntl
import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from studyml.alerting.message import Message
from studyml.alerting.messenger import send
from studyml.settings import Settings

_logger = logging.getLogger("studyml")

#: Tasks of one run that fail for want of the database fail within minutes of each other.
QUIET = timedelta(hours=1)


def tell_directly(settings: Settings, message: Message, *, run: str, now: datetime) -> None:
    """Send the message to whom pages go, unless one about the same ``run`` was accepted within the last hour.

    Tasks that fail at once wait for each other. A machine that cannot write its cache sends each message.
    """
    with _told(settings.artifact_cache / "told_without_database.json", now) as told:
        if run in told:
            _logger.error("The message about the failed task is not sent: one about this run was, at %s.", told[run])
            return
        _logger.error("The message about the failed task goes out without the outbox.")
        answers = [send(address, message.subject, message.body) for address in settings.alert_addresses]
        if any(answer.refusal is None or answer.accepted_by for answer in answers):
            told[run] = now.isoformat()


@contextmanager
def _told(path: Path, now: datetime) -> Iterator[dict[str, str]]:
    """When the runs of the last hour were told of (ISO 8601), for this process alone; kept at the end."""
    with ExitStack() as stack:
        try:
            path = path.expanduser()
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.open("a+", encoding="utf-8"))
            fcntl.flock(file, fcntl.LOCK_EX)
        except (OSError, RuntimeError) as error:  # a user without a home is a RuntimeError
            _logger.warning("what is told is not noted, and may be told again: %s", error)
            yield {}
            return
        file.seek(0)
        told = _recent(file.read(), now)
        yield told
        file.truncate(0)
        file.write(json.dumps(told))


def _recent(text: str, now: datetime) -> dict[str, str]:
    try:
        told = {run: (now - datetime.fromisoformat(at), at) for run, at in json.loads(text or "{}").items()}
    except ValueError:
        return {}  # its writer was killed
    return {run: at for run, (ago, at) in told.items() if timedelta(0) <= ago < QUIET}
