"""Rows that were refused, each kept once with its reason (table ``quarantined_rows``)."""

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values

_IN_MEMORY_BYTES = 1 << 24
_SEEN_AGAIN = (
    "ON CONFLICT (source, row_id, column_name, reason) DO UPDATE SET row_values = excluded.row_values,"
    " first_as_of = least(q.first_as_of, excluded.first_as_of),"
    " last_as_of = greatest(q.last_as_of, excluded.last_as_of)"
)


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
            f" (source, row_id, column_name, reason, row_values, first_as_of, last_as_of) VALUES %s {_SEEN_AGAIN}",
            [(*row, as_of, as_of) for row in listed],
            page_size=1000,
        )
    return len(listed)


def record_refused(source: Connection, own: Connection, as_of: datetime) -> int:
    """Record what an import left in ``pg_temp.refused`` of the source's connection; return how many rows.

    Through COPY and a file, since the two may be on different servers and a whole file may be refused.
    """
    columns = "source, row_id, column_name, reason, row_values"
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as file:
        with source.cursor() as cursor:
            cursor.copy_expert(f"COPY (SELECT {columns} FROM refused) TO STDOUT", file)
        file.seek(0)
        with own.cursor() as cursor:
            cursor.execute(
                "CREATE TEMP TABLE arrived (source text, row_id text, column_name text, reason text, row_values jsonb)"
                " ON COMMIT DROP"
            )
            cursor.copy_expert(f"COPY arrived ({columns}) FROM STDIN", file)
            cursor.execute(
                f"INSERT INTO studyml.quarantined_rows AS q ({columns}, first_as_of, last_as_of)"
                f" SELECT {columns}, %(as_of)s, %(as_of)s FROM arrived {_SEEN_AGAIN}",
                {"as_of": as_of},
            )
            return int(cursor.rowcount)


def count_quarantined(connection: Connection) -> dict[str, int]:
    """Quarantined rows by table, whether an import or a night refused them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT regexp_replace(source, '[.]csv$', ''), count(DISTINCT row_id) FROM studyml.quarantined_rows"
            " GROUP BY 1 ORDER BY 1"
        )
        return {str(table): int(count) for table, count in cursor.fetchall()}
