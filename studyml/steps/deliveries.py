"""The outbox for the commands: what waits or was given up, and another try for it."""

from datetime import datetime

from studyml.alerting.deliveries import Delivery, list_deliveries, retry, retry_all
from studyml.alerting.messenger import fingerprint, scheme
from studyml.settings import Settings
from studyml.steps.opening import own_database
from studyml.steps.recipients import recipients


def deliveries(settings: Settings, *, now: datetime, every: bool = False) -> list[tuple[Delivery, str | None]]:
    """What waits and what was given up of late, or ``every`` delivery, newest first.

    With the kind of each one's address, such as slack, where it is configured.
    """
    with own_database(settings) as connection:
        found = list_deliveries(connection, now=now, every=every)
    kinds = _kinds(settings)
    return [(delivery, kinds.get(delivery.address)) for delivery in found]


def retry_deliveries(settings: Settings, delivery_id: int | None, *, now: datetime) -> int:
    """Make one message due again, or all (None) that wait or were given up of late; return how many.

    Raises RegistryError where the one does not wait and was not given up, or its address is not configured.
    """
    addresses = _kinds(settings)
    with own_database(settings) as connection:
        if delivery_id is None:
            count = retry_all(connection, addresses=addresses, now=now)
        else:
            retry(connection, delivery_id, addresses=addresses, now=now)
            count = 1
        connection.commit()
    return count


def _kinds(settings: Settings) -> dict[str, str]:
    return {fingerprint(address): scheme(address) for address in recipients(settings).all()}
