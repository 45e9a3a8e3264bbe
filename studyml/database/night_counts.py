"""What one night found: outcomes, refused rows, and predictions, for judging whether the data are as they should be."""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg2.extensions import connection as Connection

from studyml.contract import TABLES

#: The warning about a category that a version was not trained on (features/definition.py): unusual, not impossible.
_UNSEEN = "% is not a category that the model knows"

#: A killed process leaves its scoring as it was: nobody knows whether it still runs.
_SCORING = {
    None: "its scoring has not begun",
    "running": "its scoring has begun and not ended: it runs still, failed or was killed",
}


@dataclass(frozen=True)
class NightCounts:
    """Counts of one night: first observations, rows quarantined for the first time, and planned sessions.

    ``removed`` of the ``labelled`` sessions of the last 30 days lost their outcome; ``planned_before`` is the most
    that was planned in a scoring of the week before.
    """

    outcomes: int
    quarantined: int
    planned: int
    refused: int
    impossible: int
    labelled: int = 0
    removed: int = 0
    planned_before: int = 0


def night_counts(connection: Connection, as_of: datetime, *, days: float = 1) -> NightCounts:
    """Count what the night of ``as_of`` planned, refused, and scored in spite of an input.

    What is observed, removed, or quarantined for the first time, is counted over the nights of the last ``days``.
    """
    after = as_of - timedelta(days=days)
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, {"as_of": as_of, "after": after, "unseen": _UNSEEN})
        return NightCounts(*(int(count) for count in cursor.fetchone() or (0,) * 8))


# A retraining reads every session again: an input that went wrong refuses old ones, and those are no new rows.
_NEW_ROW = """first_as_of > %(after)s AND first_as_of <= %(as_of)s AND NOT CASE
        WHEN source <> 'study_sessions' OR column_name IN ('actual_duration', 'session_date')
            OR row_id !~ '^-?[0-9]{1,18}$' THEN false
        ELSE EXISTS (SELECT FROM studyml.outcomes o WHERE o.session_id = q.row_id::bigint
            AND o.observed_at <= %(after)s) END"""

# Outcomes arrive in order of observed_at, and nothing is observed after the newest night: the count reads the end only.
_COUNTS = f"""
SELECT
    (SELECT count(*) FROM studyml.outcomes WHERE outcome_id > coalesce((SELECT outcome_id FROM studyml.outcomes
        WHERE observed_at <= %(after)s ORDER BY outcome_id DESC LIMIT 1), 0)
        AND observed_at > %(after)s AND observed_at <= %(as_of)s AND revision = 1),
    (SELECT count(DISTINCT (source, row_id)) FROM studyml.quarantined_rows q WHERE {_NEW_ROW}),
    (SELECT coalesce(max(planned), 0) FROM studyml.scoring_runs WHERE as_of = %(as_of)s AND status = 'complete'),
    (SELECT count(*) FROM studyml.refused_sessions WHERE as_of = %(as_of)s),
    (SELECT count(*) FROM studyml.predictions WHERE as_of = %(as_of)s AND served AND EXISTS (
        SELECT FROM unnest(input_warnings) AS warning WHERE warning NOT LIKE %(unseen)s)),
    (SELECT count(*) FROM studyml.outcomes WHERE revision = 1 AND observed_at <= %(as_of)s
        AND session_date > %(as_of)s - interval '30 days' AND session_date <= %(as_of)s),
    (SELECT count(DISTINCT session_id) FROM studyml.outcomes WHERE revision > 1 AND actual_hours IS NULL
        AND observed_at > %(after)s AND observed_at <= %(as_of)s
        AND session_date > %(as_of)s - interval '30 days'),
    (SELECT coalesce(max(planned), 0) FROM studyml.scoring_runs WHERE as_of < %(as_of)s AND status = 'complete'
        AND as_of > %(as_of)s - interval '7 days')
"""


def reasons_found(connection: Connection, as_of: datetime, *, days: int = 1) -> list[str]:
    """Where and why rows that ``night_counts`` counts could not be used, the most frequent first, without their values.

    Such as "study_sessions.actual_duration: actual_duration is more than 24 (10 rows)".
    """
    counts: Counter[str] = Counter()
    with connection.cursor() as cursor:
        cursor.execute(_REASONS, {"as_of": as_of, "after": as_of - timedelta(days=days), "unseen": _UNSEEN})
        for source, name, reason, count in cursor.fetchall():
            counts[f"{_place(source, name)}: {without_value(reason)}"] += count
    return [f"{words} ({count} rows)" for words, count in counts.most_common()]


def _place(source: str, name: str | None) -> str:
    """The column as its owners know it: a session is also refused for what its student's or topic's row holds."""
    if name is None:
        return source
    owners = ("students", "topics") if source == "study_sessions" else ()
    tables = [table for table in owners if name in {each.name for each in TABLES[table]} - _KEYS]
    return f"{tables[0] if tables else source}.{name}"


_KEYS = {"id", *(each.name for each in TABLES["study_sessions"])}


def without_value(reason: str) -> str:
    """The reason for which a row was refused, without the value that it names (contract.reason_words).

    >>> without_value("actual_duration is 24.5 hours, more than 24")
    'actual_duration is more than 24'
    >>> without_value("student_id 17 has no row in students that could be used")
    'student_id has no row in students that could be used'
    """
    return _VALUE.sub(r"\1\2 ", reason)


_VALUE = re.compile(r"^(\w+)( is)? .*?(?:, (?=not above|more than)| (?=has no row))")

_REASONS = f"""
SELECT source, column_name, reason, count(*) FROM studyml.quarantined_rows q WHERE {_NEW_ROW} GROUP BY 1, 2, 3
UNION ALL SELECT 'planned sessions', NULL, reason, count(*) FROM studyml.refused_sessions
    WHERE as_of = %(as_of)s GROUP BY 3
UNION ALL SELECT 'planned sessions', NULL, warning, count(*)
    FROM studyml.predictions, unnest(input_warnings) AS warning
    WHERE as_of = %(as_of)s AND served AND warning NOT LIKE %(unseen)s GROUP BY 3
"""


def newest_label(connection: Connection, as_of: datetime) -> datetime | None:
    """The newest night up to ``as_of`` that observed a label for the first time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT observed_at FROM studyml.outcomes WHERE revision = 1 AND observed_at <= %s"
            " ORDER BY outcome_id DESC LIMIT 1",
            (as_of,),
        )
        row = cursor.fetchone()
    return None if row is None else row[0]


def unfinished_night(connection: Connection) -> tuple[datetime, datetime, str] | None:
    """The newest night, if nothing was predicted since: as_of, its first start, what is known of its scoring."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n.as_of, n.first_started_at, (SELECT status FROM studyml.scoring_runs s WHERE s.as_of = n.as_of"
            " ORDER BY id DESC LIMIT 1) FROM studyml.nights n WHERE NOT n.replay AND NOT EXISTS (SELECT"
            " FROM studyml.scoring_runs s WHERE s.as_of >= n.as_of AND s.status = 'complete')"
            " AND n.as_of = (SELECT max(as_of) FROM studyml.nights WHERE NOT replay)"
        )
        row = cursor.fetchone()
    if row is None:
        return None
    return row[0], row[1], _SCORING.get(row[2]) or f"its scoring is {row[2]}"
