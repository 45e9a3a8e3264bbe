"""Challengers that serve beside the champion, and candidates that wait for a person's approval."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).parent


def upgrade() -> None:
    """New values of a decision and of an action, and the nightly state of a trial."""
    _execute("0006_challengers.sql")


def downgrade() -> None:
    """Back to what was before; the states of trials are lost, and a version on trial or waiting ends rejected."""
    _execute("0006_downgrade.sql")


def _execute(name: str) -> None:
    # The driver's own cursor, on Alembic's transaction: SQLAlchemy would read a percent sign as a placeholder.
    cursor = op.get_bind().connection.cursor()
    cursor.execute((_FOLDER / name).read_text(encoding="utf-8"))
    cursor.close()
