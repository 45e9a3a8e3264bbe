"""Is everything in place? Each check is a line with a cure; ``--night`` also asks when the last night finished."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from studyml.alerting.deliveries import DEAD_IS_NEWS, undelivered
from studyml.alerting.messenger import complaint, fingerprint, scheme
from studyml.database.nights import last_finished_at
from studyml.database.predictions import newest_scored_night
from studyml.errors import RegistryError, StudymlError
from studyml.registry.store import require_writable
from studyml.registry.versions import champion
from studyml.settings import Settings
from studyml.steps.opening import artifact_store, own_database, read_source
from studyml.steps.recipients import recipients, setting_of
from studyml.steps.serving import open_version
from studyml.steps.watch_nights import NIGHT_DUE_HOURS


@dataclass(frozen=True)
class Check:
    """One check: whether it passed, and what was found in words."""

    name: str
    passed: bool
    found: str


def doctor(settings: Settings, *, now: datetime, night: bool = False) -> list[Check]:
    """Run the checks in order; with ``night`` only that a night finished within NIGHT_DUE_HOURS."""
    if night:
        return [_check("night", lambda: _night(settings, now))]
    return [
        _check("database", lambda: _database(settings)),
        _check("source", lambda: _source(settings)),
        _check("artifacts", lambda: _artifacts(settings)),
        _check("champion", lambda: _champion(settings)),
        _check("predictions", lambda: _predictions(settings, now)),
        _check("alerts", lambda: _alerts(settings, now)),
    ]


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except StudymlError as error:
        return Check(name, False, str(error))


def _database(settings: Settings) -> str:
    with own_database(settings):
        return "reachable and migrated"


def _source(settings: Settings) -> str:
    read_source(settings, lambda _: None)
    return f"students, topics and study_sessions are in schema {settings.source_schema}"


def _artifacts(settings: Settings) -> str:
    require_writable(artifact_store(settings))
    return f"{settings.artifact_root} can be written"


def _champion(settings: Settings) -> str:
    with own_database(settings) as connection:
        present = champion(connection)
    if present is None:
        raise RegistryError("no version serves yet: run 'studyml retrain', the first publishes one.")
    open_version(settings, present)
    return f"{present.version} ({'fallback' if present.is_fallback else present.architecture}) is whole"


def _predictions(settings: Settings, now: datetime) -> str:
    with own_database(settings) as connection:
        found = newest_scored_night(connection)
    if found is None:
        raise RegistryError("no night was scored yet: run 'studyml night'.")
    return f"newest night {found[0]:%Y-%m-%d %H:%M} UTC, {_hours(now - found[0]):.0f} h old"


def _alerts(settings: Settings, now: datetime) -> str:
    addresses = recipients(settings).all()
    if not settings.alert_addresses:
        raise StudymlError("STUDYML_ALERT_URLS is not set: nobody is paged.")
    for address in addresses:
        if (wrong := complaint(address)) is not None:
            raise StudymlError(
                f"An address of {setting_of(settings, address)} ({fingerprint(address)}, {scheme(address)}) {wrong}:"
                " correct it, or messages do not reach everybody."
            )
    with own_database(settings) as connection:
        waiting, dead = undelivered(connection, now=now)
    if waiting or dead:
        given_up = f" and {dead} were given up in the last {DEAD_IS_NEWS.days} days" if dead else ""
        messages = "1 message" if waiting == 1 else f"{waiting} messages"
        raise StudymlError(
            f"{messages} could not be delivered yet{given_up}: run 'studyml alerts test' to see why, and"
            " 'studyml alerts deliveries' to see which."
        )
    return f"{len(addresses)} addresses, nothing waits"


def _night(settings: Settings, now: datetime) -> str:
    with own_database(settings) as connection:
        found = last_finished_at(connection)
    if found is None:
        raise RegistryError("no night has finished yet: start studyml_nightly or run 'studyml night'.")
    age = _hours(now - found[1])
    words = f"the night of {found[0]:%Y-%m-%d %H:%M} UTC finished {age:.1f} h ago"
    if age > NIGHT_DUE_HOURS:
        raise RegistryError(f"{words}, more than {NIGHT_DUE_HOURS} h: see 'A night did not run' in the runbook.")
    return words


def _hours(span: timedelta) -> float:
    return span.total_seconds() / 3600
