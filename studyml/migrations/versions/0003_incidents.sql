-- An incident is opened, updated, acknowledged, escalated, resolved, and reopened within a cool-off.

ALTER TABLE studyml.incidents
    ADD COLUMN acknowledged_by text,
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN escalated_at timestamptz,
    ADD COLUMN resolved_at timestamptz,
    ADD COLUMN times_reopened integer NOT NULL DEFAULT 0;
CREATE INDEX incidents_by_kind ON studyml.incidents (kind, id);

ALTER TABLE studyml.incident_events DROP CONSTRAINT incident_events_event_check;
ALTER TABLE studyml.incident_events
    ADD CONSTRAINT incident_events_event_check
        CHECK (event IN ('opened', 'updated', 'acknowledged', 'escalated', 'resolved', 'reopened')),
    ADD COLUMN severity text CHECK (severity IN ('page', 'ticket', 'escalation'));
-- Messages of before went to the addresses that page.
UPDATE studyml.incident_events SET severity = 'page' WHERE message_body IS NOT NULL;
COMMENT ON COLUMN studyml.incident_events.severity IS 'Whom its message is for: page (STUDYML_ALERT_URLS), ticket (STUDYML_TICKET_URLS) or escalation (STUDYML_ESCALATION_URLS).';

ALTER TABLE studyml.deliveries ADD COLUMN next_attempt_at timestamptz;
COMMENT ON COLUMN studyml.deliveries.next_attempt_at IS 'Not tried again before; empty: at once.';

CREATE TABLE studyml.silences (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    actor text NOT NULL,
    note text NOT NULL,
    CHECK (ends_at > starts_at)
);
COMMENT ON TABLE studyml.silences IS 'While one is in force, incidents of its kind are recorded and no message is sent about them.';

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'studyml_pipeline') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON studyml.silences TO studyml_pipeline;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA studyml TO studyml_pipeline;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'studyml_ui') THEN
        GRANT SELECT ON studyml.silences TO studyml_ui;
    END IF;
END $$;
