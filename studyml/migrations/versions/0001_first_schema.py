"""The schemas studyml (ours) and analytics (the analysts' views), and their roles."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SQL = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Tables first, then the views over them, then who may use them."""
    # The driver's own cursor, on Alembic's transaction: SQLAlchemy would read a percent sign as a placeholder.
    cursor = op.get_bind().connection.cursor()
    for part in ("tables", "views", "roles"):
        cursor.execute(_SQL.with_name(f"0001_{part}.sql").read_text(encoding="utf-8"))
    cursor.close()


def downgrade() -> None:
    """Remove everything; the roles stay, since other databases of the server may use them."""
    op.get_bind().connection.cursor().execute(
        "DROP SCHEMA IF EXISTS analytics CASCADE;"
        "DO $$ DECLARE t record; BEGIN"
        "  FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'studyml' AND tablename <> 'alembic_version'"
        "  LOOP EXECUTE format('DROP TABLE IF EXISTS studyml.%I CASCADE', t.tablename); END LOOP; END $$;"
        "DROP FUNCTION IF EXISTS studyml.refuse_change();"
    )
