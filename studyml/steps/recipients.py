"""Who gets messages, and what no text for people may hold, both from the settings."""

from studyml.alerting.outbox import Addresses
from studyml.alerting.redaction import address_secrets, database_secrets, redact
from studyml.settings import Settings


def recipients(settings: Settings) -> Addresses:
    """The addresses of each severity."""
    return Addresses(
        page=settings.alert_addresses,
        ticket=settings.ticket_addresses,
        escalation=settings.escalation_addresses,
    )


def setting_of(settings: Settings, address: str) -> str:
    """The setting that an address comes from, the first where several hold it."""
    if address in settings.alert_addresses:
        return "STUDYML_ALERT_URLS"
    return "STUDYML_TICKET_URLS" if address in settings.ticket_addresses else "STUDYML_ESCALATION_URLS"


def secrets(settings: Settings) -> frozenset[str]:
    """Passwords of the databases, and what is secret in the addresses of messages and heartbeat."""
    found = {secret for address in (settings.database, settings.source) for secret in database_secrets(address)}
    for address in (*recipients(settings).all(), settings.heartbeat_url.get_secret_value()):
        found.update(address_secrets(address))
    return frozenset(found)


def redacted(settings: Settings, text: str) -> str:
    """The text as it may be stored, sent or logged."""
    return redact(text, secrets(settings))
