"""When a night was begun first: what a late one is counted from, however often it is begun again."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A new column; nights of before were begun first when they were begun last."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(
        "ALTER TABLE studyml.nights ADD COLUMN first_started_at timestamptz;"
        "UPDATE studyml.nights SET first_started_at = started_at;"
        "ALTER TABLE studyml.nights ALTER COLUMN first_started_at SET NOT NULL;"
        "COMMENT ON COLUMN studyml.nights.first_started_at IS"
        " 'What a late night is counted from: one that is begun again is no less late.';"
    )
    cursor.close()


def downgrade() -> None:
    """Back to 0006."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute("ALTER TABLE studyml.nights DROP COLUMN first_started_at;")
    cursor.close()
