"""Which receivers of an address have a message that others of it refused."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A new column; what is not delivered yet is tried for all receivers once more."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(
        "ALTER TABLE studyml.deliveries ADD COLUMN accepted_by text[] NOT NULL DEFAULT '{}';"
        "COMMENT ON COLUMN studyml.deliveries.accepted_by IS"
        " 'Fingerprints of the receivers of the address that have it already: another try passes over them.';"
    )
    cursor.close()


def downgrade() -> None:
    """Back to 0007."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute("ALTER TABLE studyml.deliveries DROP COLUMN accepted_by;")
    cursor.close()
