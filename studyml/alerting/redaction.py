"""What a text for people must not hold: secrets, and the personal data that an error may quote."""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote

MASK = "…"

#: Shorter parts of an address are words such as "hook", not secrets.
_SECRET_LENGTH = 8
#: A shorter password may stand in any text: it is masked only where its place says what it is.
_SHORTEST_PASSWORD = 4
# Words that every message or many an address is made of: to mask them hides nothing and spoils the text.
_COMMON = frozenset(
    {
        *("studyml", "localhost", "services", "webhooks", "workflows", "password", "alerting", "predictions"),
        *("airflow", "postgres", "postgresql"),
    }
)
# Of a path: what messages are about. As a password each of them is one all the same.
_TOPICS = frozenset(
    {
        *("confirmed", "database", "degraded", "escalation", "escalations", "incident", "incidents", "messages"),
        *("monitoring", "outcomes", "platform", "retraining", "sessions", "students", "subjects", "suspected"),
        *("studyml_alerts", "studyml_maintenance", "studyml_nightly", "studyml_retrain", "studyml_score"),
    }
)
_HOST = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}|\d+(?:\.\d+){3}")
#: Addresses that are no receiver's: only what is secret in them is masked.
_PLAIN_SCHEMES = "https?|postgres|postgresql|s3|file|redis|rediss|amqp|amqps|smtp|smtps"
_SECRET_NAME = (
    r"(?<![\w-])[\w-]{0,40}?"
    r"(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|signature|credential)[\w-]{0,40}"
)
#: In quotes, to the end of the text where none closes them; a backslash keeps what follows it.
_QUOTED = r"'(?:[^'\\]|\\.)*(?:'|$)|\"(?:[^\"\\]|\\.)*(?:\"|$)"

_PATTERNS = (
    # User and password in an address of any kind; a password may hold a slash or an at sign.
    (re.compile(r"://[^/\s@:]{0,200}:\S{0,500}@"), f"://{MASK}@"),
    (re.compile(r"://[^/\s@]{1,500}@"), f"://{MASK}@"),
    # A receiver's address is a secret as a whole: slack://…, tgram://…
    (re.compile(rf"(?i)\b(?!(?:{_PLAIN_SCHEMES})://)([a-z][a-z0-9+]{{1,20}})://[^\s\"'<>]+"), rf"\g<1>://{MASK}"),
    # Slack's, Discord's and Telegram's: whoever knows the path may write.
    (
        re.compile(
            r"(?i)(https://(?:hooks\.slack[\w.-]*/|discord(?:app)?\.com/api/webhooks/|api\.telegram\.org/bot))\S+"
        ),
        rf"\g<1>{MASK}",
    ),
    # By name, as keyword, in a query or in JSON; by form: keys of AWS, the header of a login.
    (re.compile(rf"(?is)({_SECRET_NAME}=)({_QUOTED}|(?:\\.|[^\s&;,'\"])+)"), rf"\g<1>{MASK}"),
    (re.compile(rf"(?is)([\"']{_SECRET_NAME}[\"']\s*:\s*)({_QUOTED})"), rf"\g<1>{MASK}"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), MASK),
    (re.compile(r"(?i)\b(bearer|basic) (?=\S*[\d=])[\w.~+/=-]{8,}"), rf"\g<1> {MASK}"),
    # PostgreSQL quotes the values of a row that it refuses, with their line breaks.
    (
        re.compile(
            r"([Kk]ey \([^\n]{0,300}?\)=)\((?:.*?\)(?= (?:already|is not|is still|conflicts))|.*\)|.*)", re.DOTALL
        ),
        rf"\g<1>({MASK})",
    ),
    (re.compile(r"(row contains )\((?:.*\)|.*$)", re.DOTALL), rf"\g<1>({MASK})"),
    (re.compile(r'(COPY [^:\n]{0,300}: )"(?:.*"|.*$)', re.DOTALL), rf'\g<1>"{MASK}"'),
    (re.compile(r'(invalid input (?:syntax|value) for [^:\n]{0,100}: )"(?:.*"|.*$)', re.DOTALL), rf'\g<1>"{MASK}"'),
    (re.compile(r"(?<![\w.+-])[\w.+-]{1,64}(?:@|%40)(?:localhost\b|[\w-]{1,63}(?:\.[\w-]{1,63})+)"), MASK),
)


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text without ``secrets``, logins in addresses, e-mail addresses and row values that PostgreSQL quotes.

    Nor what no PostgreSQL stores and no mail carries: a zero byte, half of a surrogate pair as in a file name's bytes.

    >>> redact("ann@example.org: POST json://127.0.0.1/T0K3NPATH failed", ["T0K3NPATH"])
    '…: POST json://… failed'
    """
    text = text.encode("utf-8", "replace").decode().replace("\0", "")
    for secret in sorted({secret for secret in secrets if secret}, key=len, reverse=True):
        text = _without(text, secret)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _without(text: str, secret: str) -> str:
    """A short one may be part of any word: of it only whole words are masked."""
    if len(secret) >= _SECRET_LENGTH:
        return text.replace(secret, MASK)
    return re.sub(rf"(?<![^\W_]){re.escape(secret)}(?![^\W_])", MASK, text)


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
    # The second is that of a password with a slash or an at sign in it.
    for form in (r"://[^/\s:@]*:([^/\s@]+)@", r"://[^/\s:@]*:([^\s?]+)@"):
        for found in re.finditer(form, address):
            yield from (each for each in _spellings(found[1]) if len(each) >= _SHORTEST_PASSWORD)


def _spellings(secret: str) -> Iterator[str]:
    plain = unquote(secret)
    if plain not in _COMMON:
        escaped = quote(plain, safe="")
        yield from {secret, plain, escaped, re.sub("%..", lambda found: found[0].lower(), escaped), quote_plus(plain)}
