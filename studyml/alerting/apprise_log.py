"""What Apprise says in its log alone, where the address stands, too: what it left out, and why a call failed."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# They log addresses or their paths, and a path is often the secret.
_TALKATIVE = ("apprise", "urllib3", "requests")
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


def hush() -> None:
    """Let nothing of what they log reach anybody."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def listening() -> Iterator[list[logging.LogRecord]]:
    """All that Apprise logs meanwhile; it goes nowhere else."""
    hush()
    heard: list[logging.LogRecord] = []

    def keep(record: logging.LogRecord) -> bool:
        heard.append(record)
        return False

    logger = logging.getLogger("apprise")
    logger.addFilter(keep)
    logger.setLevel(logging.DEBUG)
    try:
        yield heard
    finally:
        logger.removeFilter(keep)
        hush()


def warns(heard: Sequence[logging.LogRecord]) -> bool:
    """Whether anything was a warning."""
    return any(record.levelno >= logging.WARNING for record in heard)


def cause(heard: Sequence[logging.LogRecord]) -> str:
    """Why a call failed, in a few words of our own; empty where that is not known.

    >>> record = logging.LogRecord("", logging.DEBUG, "", 0, "SMTP recipient %s was refused: %s", ("a@b", 550), None)
    >>> cause([record])
    'it answered 550'
    """
    texts = [record.getMessage() for record in heard]
    for text in texts:
        if answered := _ANSWER.search(text):
            return f"it answered {answered[1]}"
    return next((words for form, words in _CAUSES if any(map(form.search, texts))), "")
