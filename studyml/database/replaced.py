"""What a night had served before it was scored again (table ``replaced_predictions``)."""

from datetime import datetime

from psycopg2.extensions import connection as Connection

_COLUMNS = (
    "as_of, session_id, model_version, predicted_hours, lower_hours, upper_hours, lower_hours_90, upper_hours_90,"
    " scored_at"
)


def keep_replaced(connection: Connection, *, as_of: datetime, run_id: int, now: datetime) -> None:
    """Keep the served rows of a night whose place the rows of ``run_id`` take ``now``. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO studyml.replaced_predictions ({_COLUMNS}, replaced_by, visible_from, replaced_at)"
            f" SELECT {_COLUMNS}, %s, (SELECT max(finished_at) FROM studyml.scoring_runs"
            " WHERE as_of = %s AND status = 'complete'), %s FROM studyml.predictions WHERE as_of = %s AND served",
            (run_id, as_of, now, as_of),
        )


def drop_old_replaced(connection: Connection, *, before: datetime) -> None:
    """Delete what nights older than ``before`` had served before they were scored again. The caller commits."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM studyml.replaced_predictions WHERE as_of < %s", (before,))
