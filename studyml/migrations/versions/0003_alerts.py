"""Verdicts beyond chance, drift, incidents with a life of their own, an outbox with backoff, a flat observation."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).parent


def upgrade() -> None:
    """Columns and tables first, then the view over them."""
    for part in ("monitoring", "incidents", "ledger", "views"):
        _execute(f"0003_{part}.sql")


def downgrade() -> None:
    """Back to 0002; what the new columns and tables hold is lost, everything else stays."""
    for name in ("0003_downgrade.sql", "0001_views.sql", "0002_views.sql", "0002_downgrade_grants.sql"):
        _execute(name)


def _execute(name: str) -> None:
    # The driver's own cursor, on Alembic's transaction: SQLAlchemy would read a percent sign as a placeholder.
    cursor = op.get_bind().connection.cursor()
    cursor.execute((_FOLDER / name).read_text(encoding="utf-8"))
    cursor.close()
