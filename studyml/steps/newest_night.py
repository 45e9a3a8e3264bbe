"""Which night is the newest, and whether the versions that serve now have scored it."""

from datetime import datetime

from studyml.database.predictions import newest_scored_night
from studyml.registry.trials import challenger
from studyml.registry.versions import champion
from studyml.settings import Settings
from studyml.steps.opening import own_database


def newest_night(settings: Settings) -> datetime | None:
    """as_of of the newest night with complete predictions, None before the first."""
    with own_database(settings) as connection:
        found = newest_scored_night(connection)
    return None if found is None else found[0]


def already_scored(settings: Settings, *, as_of: datetime) -> bool:
    """Whether ``as_of`` is the newest scored night, and the present champion and challenger scored it."""
    with own_database(settings) as connection:
        found = newest_scored_night(connection)
        serving = [each.version for each in (champion(connection), challenger(connection)) if each is not None]
    return found == (as_of, tuple(serving))
