"""What a text for people must not hold: secrets, and the personal data that an error may quote."""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote

MASK = "…"

#: Shorter parts of an address are words such as "hook", not secrets.
_SECRET_LENGTH = 8
# Words that every message or many an address is made of: to mask them hides nothing and spoils the text.
_COMMON = frozenset(
    {"studyml", "localhost", "services", "webhooks", "workflows", "password", "alerting", "predictions"}
)
# Of a path: what messages are about. As a password each of them is one all the same.
_TOPICS = frozenset(
    {
        *("confirmed", "database", "degraded", "escalation", "escalations", "incident", "incidents", "messages"),
        *("monitoring", "outcomes", "platform", "retraining", "sessions", "students", "subjects", "suspected"),
    }
)
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")

_PATTERNS = (
    # User and password in an address of any kind.
    (re.compile(r"://[^/\s@]+@"), f"://{MASK}@"),
    # Slack's, Discord's and such: whoever knows the path may write.
    (re.compile(r"(?i)(https://(?:hooks\.slack[\w.-]*|discord(?:app)?\.com/api/webhooks)/)\S+"), rf"\g<1>{MASK}"),
    # PostgreSQL quotes the values of a row that it refuses.
    (re.compile(r"(Key \([^)\n]*\)=)\(.*?\)"), rf"\g<1>({MASK})"),
    (re.compile(r"(row contains )\(.*\)"), rf"\g<1>({MASK})"),
    (re.compile(r'(COPY [^:\n]*: )".*"'), rf'\g<1>"{MASK}"'),
    (re.compile(r'(invalid input (?:syntax|value) for [^:\n]*: )".*"'), rf'\g<1>"{MASK}"'),
    (re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"), MASK),
)


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text without ``secrets``, logins in addresses, e-mail addresses and row values that PostgreSQL quotes.

    >>> redact("ann@example.org: POST json://127.0.0.1/T0K3NPATH failed", ["T0K3NPATH"])
    '…: POST json://127.0.0.1/… failed'
    """
    for secret in sorted({secret for secret in secrets if secret}, key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def address_secrets(address: str) -> Iterator[str]:
    """What of a receiver's address nobody may read: the whole of one with a path, its password, what may be a token.

    Not hosts, nor channels that are written as such (``/#channel``): messages may name them.
    """
    _, _, rest = address.partition("://")
    if "/" in rest.rstrip("/"):
        yield from (address, rest)
    yield from _password(address)
    for part in re.split(r"[/?&=:@,]", re.sub(r"/#[^/?&]*", "", address)):
        if len(part) >= _SECRET_LENGTH and part not in _TOPICS and not _HOST.fullmatch(part):
            yield from _spellings(part)


def database_secrets(address: str) -> Iterator[str]:
    """The password in a database's address; the rest may be named."""
    yield from _password(address)
    for found in re.finditer(r"[?&](?:ssl)?password=([^&\s]+)", address):
        yield from _spellings(found[1])


def _password(address: str) -> Iterator[str]:
    found = re.search(r"://[^/\s:@]*:([^/\s@]+)@", address)
    if found:
        yield from _spellings(found[1])


def _spellings(secret: str) -> Iterator[str]:
    plain = unquote(secret)
    if plain not in _COMMON:
        yield from {secret, plain, quote(plain, safe="")}
