"""How many of the sessions that should have a label by now have one, by the night whose prediction stood for them."""

from datetime import datetime, timedelta
from typing import Any

from studyml.database.connection import Connection
from studyml.database.nights import nights_of_window
from studyml.database.source import count_dated_by_night
from studyml.monitoring.ledger import label_counts
from studyml.settings import Settings
from studyml.steps.opening import read_source


def label_coverage(
    settings: Settings, connection: Connection, *, as_of: datetime, window_days: int
) -> list[dict[str, Any]]:
    """The sessions dated in the ``window_days`` up to ``as_of``, by the newest night before each, oldest first.

    A row is {"prediction_date": the night (ISO 8601, UTC; None: no night was before), "sessions": how many,
    "labelled": how many of them had an outcome at ``as_of``}; nights without a session are left out. The sums over all
    rows are the numbers that ``coverage`` is the ratio of: a label whose session was deleted since is still counted
    where it is recorded, so a row may have more labels than sessions.
    """
    after = as_of - timedelta(days=window_days)
    nights = nights_of_window(connection, after=after, before=as_of)
    sessions = read_source(
        settings,
        lambda source: count_dated_by_night(source, settings.source_schema, nights=nights, after=after, through=as_of),
    )
    labelled = label_counts(connection, nights=nights, after=after, as_of=as_of)
    dates = [None, *(night.isoformat() for night in nights)]
    return [
        {"prediction_date": date, "sessions": there, "labelled": have}
        for date, there, have in zip(dates, sessions, labelled, strict=True)
        if there or have
    ]
