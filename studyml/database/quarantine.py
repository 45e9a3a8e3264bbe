"""Rows that were refused, each kept once with its reason (table ``quarantined_rows``)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values


@dataclass(frozen=True)
class QuarantinedRow:
    """One refused row: where it came from, its id there, the column at fault, why, and its values."""

    source: str
    row_id: str
    column_name: str
    reason: str
    values: dict[str, Any] | None = None


def record_quarantined(connection: Connection, rows: Iterable[QuarantinedRow], as_of: datetime) -> int:
    """Record each row once per (source, row, column, reason) with its first and last as_of; return how many."""
    unique = {(row.source, row.row_id, row.column_name, row.reason): row.values for row in rows}
    listed = [(*key, json.dumps(values) if values else None) for key, values in unique.items()]
    with connection.cursor() as cursor:
        execute_values(
            cursor,
            "INSERT INTO studyml.quarantined_rows AS q"
            " (source, row_id, column_name, reason, row_values, first_as_of, last_as_of) VALUES %s"
            " ON CONFLICT (source, row_id, column_name, reason) DO UPDATE SET"
            " first_as_of = least(q.first_as_of, excluded.first_as_of),"
            " last_as_of = greatest(q.last_as_of, excluded.last_as_of)",
            [(*row, as_of, as_of) for row in listed],
            page_size=1000,
        )
    return len(listed)


def count_quarantined(connection: Connection, as_of: datetime | None = None) -> dict[str, int]:
    """Quarantined rows by source; only those still seen at ``as_of`` where it is given."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT source, count(DISTINCT row_id) FROM studyml.quarantined_rows"
            " WHERE %(as_of)s::timestamptz IS NULL OR first_as_of <= %(as_of)s GROUP BY source ORDER BY source",
            {"as_of": as_of},
        )
        return {str(source): int(count) for source, count in cursor.fetchall()}
