"""One message to one address, through Apprise. An address holds a secret: it never reaches a log."""

import hashlib
import html
import logging
import re
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from studyml.alerting.apprise_log import cause, listening, warns

#: How long a receiver may take to answer, and to be connected with, unless its address says (rto=, cto=). One that
#: takes a message and answers too late gets it again: Apprise's own four seconds are too few.
READ_SECONDS, CONNECT_SECONDS = 20.0, 10.0
#: The whole of a call, whatever the receiver does: some kinds of address ask more than once.
GIVE_UP_SECONDS = 45.0
#: Longer subjects are cut by services, each in its own way.
SUBJECT_LENGTH = 119

_UNKNOWN = "is not one that Apprise knows"

_logger = logging.getLogger("studyml")


@dataclass(frozen=True)
class Answer:
    """What became of a message: ``refusal`` is None where all of an address accepted it, else in words why not.

    ``accepted_by`` are fingerprints of those receivers of an address that have it, where Apprise tells them apart.
    """

    refusal: str | None
    accepted_by: frozenset[str] = frozenset()


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


def complaint(address: str) -> str | None:
    """What is wrong with an address, in words that give nothing of it away; nothing is sent."""
    import apprise

    with listening() as heard:
        service = apprise.Apprise.instantiate(address, suppress_exceptions=True)
    if service is None:
        return _UNKNOWN
    # Of those in a mail's to= Apprise passes over in silence what is no address.
    mails = parse_qsl(address.partition("?")[2].replace("+", "%2B")) if scheme(address).startswith("mailto") else []
    receivers = [each for name, value in mails if name in ("to", "cc", "bcc") for each in _receivers(value)]
    if warns(heard) or any("@" not in each for each in receivers):
        return "has a part that Apprise leaves out, such as a receiver that is none"
    return None


def _receivers(text: str) -> list[str]:
    """Those of a mail, between commas, semicolons or spaces, without their names.

    >>> _receivers('"Lee, Ann" <ann@example.org>, Bob Roe <bob@example.org>;eve')
    ['ann@example.org', 'bob@example.org', 'eve']
    """
    unnamed = re.sub(r"[^,;<>]*<([^<>]*)>", r"\1", re.sub(r'"[^"]*"', "", text))
    return re.findall(r"[^\s,;]+", unnamed)


def send(address: str, subject: str, body: str, *, recovery: bool = False, accepted_by: Collection[str] = ()) -> Answer:
    """Hand one message to Apprise, but for the receivers of an address that have it: ``accepted_by``.

    ``recovery`` says that a message is good news: a service that pages closes its alert with it. An address that needs
    longer than GIVE_UP_SECONDS has not accepted it.
    """
    import apprise

    # Apprise's own limit of a whole call leaves a thread behind that keeps the process from ending: ours does not.
    asset = apprise.AppriseAsset(app_id="studyml", app_desc="studyml", service_timeout=0)
    messenger = apprise.Apprise(asset=asset)
    with listening():
        service = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    if not isinstance(service, apprise.NotifyBase):
        return Answer(_refused(address, _UNKNOWN))
    _be_patient(service, address)
    accepted = set(accepted_by)
    _tell_apart(service, address, accepted)
    messenger.add(service)
    # Services that page open an alert for a failure only: Apprise's default type is a note to them.
    kind = apprise.NotifyType.SUCCESS if recovery else apprise.NotifyType.FAILURE
    body, written_as = _written_for(service, body)
    text = {"title": one_line(subject), "body": body, "body_format": written_as, "notify_type": kind}
    started = time.monotonic()
    failed_for = _within_limit(lambda: bool(messenger.notify(**text)))
    if failed_for is None:
        return Answer(None, frozenset(accepted))
    why = ", ".join(filter(None, [failed_for, f"after {time.monotonic() - started:.1f} s"]))
    some = "was not accepted by all receivers" if accepted else "did not accept the message"
    return Answer(_refused(address, f"{some} ({why})"), frozenset(accepted))


def _tell_apart(service: Any, address: str, accepted: set[str]) -> None:
    """Let Apprise pass over the receivers of an address that ``accepted`` the message, and add those that do now.

    It remembers them by itself for the length of one call only, and retries are ours.
    """
    from apprise.plugins.email.base import NotifyEmail

    if isinstance(service, NotifyEmail):
        # Each gets a mail of its own: of several in one, one that is refused would have it sent to all again.
        known = {mail for _, mail in service.targets}
        copies = [mail for mail in sorted({*service.cc, *service.bcc}) if mail not in known]
        service.targets = [*service.targets, *((service.names.get(mail, False), mail) for mail in copies)]
        service.cc, service.bcc = set(), set()

    def name(key: Any, per_message: bool) -> str:
        return fingerprint(f"{address} {service._slot(key, per_message)!r}")

    def mark(key: Any, per_message: bool = False) -> None:
        if type(key) is not object:  # Apprise's mark of a whole message, which no other process knows again
            accepted.add(name(key, per_message))

    service.is_delivered = lambda key, per_message=False: name(key, per_message) in accepted
    service.mark_delivered = mark


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


def _within_limit(call: Callable[[], bool]) -> str | None:
    """Why the call failed, as far as that is known, None where it did not.

    After GIVE_UP_SECONDS it has failed; it may then still succeed, unnoticed.
    """
    returned: list[str | None] = []

    def listen() -> None:
        with listening() as heard:
            succeeded = call()
        returned.append(None if succeeded else cause(heard))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    thread.join(GIVE_UP_SECONDS)
    if returned:
        return returned[0]
    return "it did not answer in time" if thread.is_alive() else ""
