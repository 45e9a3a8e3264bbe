"""When a night finished first and its heartbeat was heard; which messages a silence holds back."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """New columns; nights of before finished first when they finished last, and their heartbeats were heard."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(
        "ALTER TABLE studyml.nights ADD COLUMN first_finished_at timestamptz, ADD COLUMN heartbeat_at timestamptz;"
        "UPDATE studyml.nights SET first_finished_at = finished_at, heartbeat_at = finished_at;"
        "COMMENT ON COLUMN studyml.nights.first_finished_at IS"
        " 'What a missing night is counted from: a night run again does not make it later.';"
        "COMMENT ON COLUMN studyml.nights.heartbeat_at IS 'When STUDYML_HEARTBEAT_URL answered for this night.';"
        "ALTER TABLE studyml.incident_events ADD COLUMN held_back boolean NOT NULL DEFAULT false;"
        "COMMENT ON COLUMN studyml.incident_events.held_back IS"
        " 'Its message was not sent, since its kind was silenced.';"
    )
    cursor.close()


def downgrade() -> None:
    """Back to 0003, which sends every message there is: those held back are taken out."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(
        "UPDATE studyml.incident_events SET message_subject = NULL, message_body = NULL, severity = NULL"
        " WHERE held_back;"
        "ALTER TABLE studyml.incident_events DROP COLUMN held_back;"
        "ALTER TABLE studyml.nights DROP COLUMN first_finished_at, DROP COLUMN heartbeat_at;"
    )
    cursor.close()
