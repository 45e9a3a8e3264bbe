"""The 90 % interval and its coverage, what is remembered of past outcomes, and resumable tuning trials."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).parent


def upgrade() -> None:
    """Columns and tables first, then the views over them; what is new in a table or a view has its grants already."""
    for part in ("intervals", "history", "trials", "views"):
        _execute(f"0002_{part}.sql")


def downgrade() -> None:
    """Back to 0001; what the new columns and tables hold is lost, everything else stays."""
    for name in ("0002_downgrade.sql", "0001_views.sql", "0002_downgrade_grants.sql"):
        _execute(name)


def _execute(name: str) -> None:
    # The driver's own cursor, on Alembic's transaction: SQLAlchemy would read a percent sign as a placeholder.
    cursor = op.get_bind().connection.cursor()
    cursor.execute((_FOLDER / name).read_text(encoding="utf-8"))
    cursor.close()
