"""Send a test message, to see that alerts arrive before one is needed."""

from datetime import datetime

from studyml.alerting.message import trial_message
from studyml.alerting.messenger import complaint, fingerprint, scheme, send
from studyml.errors import DeliveryError, SettingsError
from studyml.settings import Settings
from studyml.steps.recipients import recipients, setting_of


def send_test(settings: Settings, *, now: datetime) -> int:
    """Send to every address, of pages and of tickets, once, and return how many.

    Raises DeliveryError naming those that did not accept it, SettingsError where there is none, or none to page.
    """
    addresses = recipients(settings).all()
    if not addresses:
        raise SettingsError(
            "STUDYML_ALERT_URLS is not set: set it to Apprise addresses, such as slack://… and mailtos://… in a row."
        )
    message = trial_message(now)
    refusals = {
        address: send(address, message.subject, message.body).refusal or complaint(address) for address in addresses
    }
    failed = {address: why for address, why in refusals.items() if why is not None}
    if failed:
        named = ", ".join(f"{fingerprint(address)} ({scheme(address)}) {why}" for address, why in failed.items())
        places = " and ".join(dict.fromkeys(setting_of(settings, address) for address in failed))
        raise DeliveryError(f"{len(failed)} of {len(addresses)} alert addresses failed: {named}; correct {places}.")
    if not settings.alert_addresses:
        raise SettingsError(
            f"{len(addresses)} addresses accepted it, but STUDYML_ALERT_URLS is not set: nobody is paged."
        )
    return len(addresses)
