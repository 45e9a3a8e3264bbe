"""One message to one address, through Apprise. An address holds a secret: it never reaches a log."""

import hashlib
import html
import logging
import re
import threading
import time
from collections.abc import Callable
from typing import Any

#: How long a receiver may take to answer, and to be connected with, unless its address says (rto=, cto=). One that
#: takes a message and answers too late gets it again: Apprise's own four seconds are too few.
READ_SECONDS, CONNECT_SECONDS = 20.0, 10.0
#: The whole of a call, whatever the receiver does: some kinds of address ask more than once.
GIVE_UP_SECONDS = 45.0
#: Longer subjects are cut by services, each in its own way.
SUBJECT_LENGTH = 119

# They log addresses or their paths, and a path is often the secret.
_TALKATIVE = ("apprise", "urllib3", "requests")

_logger = logging.getLogger("studyml")


def fingerprint(address: str) -> str:
    """A name for an address that gives nothing of it away."""
    return hashlib.sha256(address.encode()).hexdigest()[:12]


def scheme(address: str) -> str:
    """The kind of an address, such as slack or mailtos; nothing else of it.

    >>> scheme("slack://token"), scheme("token-without-a-scheme")
    ('slack', 'no scheme')
    """
    found = re.match(r"([a-z][a-z0-9+]{0,20})://", address, re.IGNORECASE)
    return found[1] if found else "no scheme"


def one_line(subject: str) -> str:
    r"""The subject as services take it: one line, under 120 characters.

    >>> one_line("studyml: a task\n failed")
    'studyml: a task failed'
    """
    words = " ".join(subject.split())
    return words if len(words) <= SUBJECT_LENGTH else words[: SUBJECT_LENGTH - 1] + "…"


def is_known(address: str) -> bool:
    """Whether Apprise can make something of an address; nothing is sent."""
    import apprise

    _hush()
    return apprise.Apprise.instantiate(address, suppress_exceptions=True) is not None


def send(address: str, subject: str, body: str, *, recovery: bool = False) -> str | None:
    """Hand one message to Apprise; None where it was accepted, else in words why not.

    ``recovery`` says that a message is good news: a service that pages closes its alert with it. An address that needs
    longer than GIVE_UP_SECONDS has not accepted it.
    """
    import apprise

    _hush()
    # Apprise's own limit of a whole call leaves a thread behind that keeps the process from ending: ours does not.
    asset = apprise.AppriseAsset(app_id="studyml", app_desc="studyml", service_timeout=0)
    messenger = apprise.Apprise(asset=asset)
    service = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    if not isinstance(service, apprise.NotifyBase):
        return _refused(address, "is not one that Apprise knows")
    _be_patient(service, address)
    messenger.add(service)
    # Services that page open an alert for a failure only: Apprise's default type is a note to them.
    kind = apprise.NotifyType.SUCCESS if recovery else apprise.NotifyType.FAILURE
    body, written_as = _written_for(service, body)
    text = {"title": one_line(subject), "body": body, "body_format": written_as, "notify_type": kind}
    started = time.monotonic()
    accepted = _within_limit(lambda: bool(messenger.notify(**text)))
    if accepted:
        return None
    seconds = time.monotonic() - started
    # Apprise tells why in its log only, where the address stands, too.
    return _refused(address, f"did not accept the message (after {seconds:.1f} s)")


def _refused(address: str, why: str) -> str:
    _logger.error("alert address %s (%s) %s", fingerprint(address), scheme(address), why)
    return why


def _written_for(service: Any, body: str) -> tuple[str, str]:
    """The body and its format for Apprise: plain text, for a mail in HTML as HTML.

    Apprise itself would write each space of a text so that no line breaks at it.
    """
    import apprise
    from apprise.plugins.email.base import NotifyEmail

    text, markup = apprise.NotifyFormat.TEXT, apprise.NotifyFormat.HTML
    if not isinstance(service, NotifyEmail) or service.resolve_format(text) != markup:
        return body, text
    return html.escape(body).replace("\n", "<br/>\n"), markup


def _be_patient(service: Any, address: str) -> None:
    """Give a receiver time; kinds that Apprise gives more (mail connects in 15 s) keep it."""
    if not re.search(r"[?&]rto=", address, re.IGNORECASE):
        service.socket_read_timeout = max(service.socket_read_timeout, READ_SECONDS)
    if not re.search(r"[?&]cto=", address, re.IGNORECASE):
        service.socket_connect_timeout = max(service.socket_connect_timeout, CONNECT_SECONDS)


def _hush() -> None:
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _within_limit(call: Callable[[], bool]) -> bool:
    """What the call returned, or False after GIVE_UP_SECONDS: it may then still succeed, unnoticed."""
    returned: list[bool] = []
    thread = threading.Thread(target=lambda: returned.append(call()), daemon=True)
    thread.start()
    thread.join(GIVE_UP_SECONDS)
    return True in returned
