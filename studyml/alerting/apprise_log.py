"""What Apprise says in its log alone, where the address stands, too: what it left out, and why a call failed."""

import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# They log addresses or their paths, and a path is often the secret.
_TALKATIVE = ("urllib3", "requests")
#: An answer by HTTP or SMTP, as Apprise and smtplib write it.
_ANSWER = re.compile(r"(?:error[=:] ?|refused: |\()([45]\d\d)\b")
#: What else went wrong, in words that give nothing away.
_CAUSES = (
    (re.compile("certificate", re.IGNORECASE), "its certificate is not trusted"),
    (re.compile("timed out|timeout", re.IGNORECASE), "it did not answer in time"),
    (re.compile("connection refused", re.IGNORECASE), "nobody listens there"),
    (re.compile("name or service not known|name resolution|no address", re.IGNORECASE), "its host is not known"),
    (re.compile("unexpectedly closed|aborted|reset by peer", re.IGNORECASE), "it closed the connection"),
)
#: Below a warning Apprise also logs what it sends: of that only what an exception said.
_EXCEPTION = "Socket Exception"


class _Ears(logging.Filter):
    """Keeps what is logged for the thread that listens, and lets none of it go anywhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.of_thread = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        heard = getattr(self.of_thread, "heard", None)
        if heard is not None:
            heard.append(record)
        return False


@contextmanager
def listening() -> Iterator[list[logging.LogRecord]]:
    """All that Apprise logs in this thread meanwhile."""
    ears = _ears()
    heard: list[logging.LogRecord] = []
    ears.of_thread.heard = heard
    try:
        yield heard
    finally:
        ears.of_thread.heard = None


def _ears() -> _Ears:
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.DEBUG)
    found = next((each for each in logger.filters if isinstance(each, _Ears)), None)
    if found is None:
        logger.addFilter(found := _Ears())
    return found


def warns(heard: Sequence[logging.LogRecord]) -> bool:
    """Whether anything was a warning."""
    return any(record.levelno >= logging.WARNING for record in heard)


def cause(heard: Sequence[logging.LogRecord]) -> str:
    """Why a call failed, in a few words of our own; empty where that is not known.

    >>> record = logging.LogRecord("", logging.WARNING, "", 0, "SMTP recipient %s was refused: %s", ("a@b", 550), None)
    >>> cause([record])
    'it answered 550'
    """
    told = (each for each in heard if each.levelno >= logging.WARNING or str(each.msg).startswith(_EXCEPTION))
    texts = [record.getMessage() for record in told]
    for text in texts:
        if answered := _ANSWER.search(text):
            return f"it answered {answered[1]}"
    return next((words for form, words in _CAUSES if any(map(form.search, texts))), "")
