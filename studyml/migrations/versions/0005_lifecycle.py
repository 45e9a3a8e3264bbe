"""What each version was made of, what each session was served at any time, and the log of deployments for analysts."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).parent


def upgrade() -> None:
    """A column, a table, and two views over them."""
    _execute("0005_lifecycle.sql")


def downgrade() -> None:
    """Back to 0003; what the new column and table hold is lost, everything else stays."""
    _execute("0005_downgrade.sql")


def _execute(name: str) -> None:
    # The driver's own cursor, on Alembic's transaction: SQLAlchemy would read a percent sign as a placeholder.
    cursor = op.get_bind().connection.cursor()
    cursor.execute((_FOLDER / name).read_text(encoding="utf-8"))
    cursor.close()
