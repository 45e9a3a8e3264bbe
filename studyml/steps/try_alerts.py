"""Send a test message, to see that alerts arrive before one is needed."""

from datetime import datetime

from studyml.alerting.message import trial_message
from studyml.alerting.outbox import fingerprint, scheme, send
from studyml.errors import DeliveryError, SettingsError
from studyml.settings import Settings


def send_test(settings: Settings, *, now: datetime) -> int:
    """Send to every alert address and return how many; raises DeliveryError naming those that did not accept it."""
    addresses = settings.alert_addresses
    if not addresses:
        raise SettingsError(
            "STUDYML_ALERT_URLS is not set: set it to Apprise addresses, such as slack://… and mailtos://… in a row."
        )
    message = trial_message(now)
    failed = [address for address in addresses if not send(address, message.subject, message.body)]
    if failed:
        named = ", ".join(f"{fingerprint(address)} ({scheme(address)})" for address in failed)
        raise DeliveryError(
            f"{len(failed)} of {len(addresses)} alert addresses did not accept the message: {named}; correct them in"
            " STUDYML_ALERT_URLS."
        )
    return len(addresses)
