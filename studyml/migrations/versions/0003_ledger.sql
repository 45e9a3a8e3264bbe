-- How far the source has been compared with the ledger, so that a night reads what is new and not what is old.

CREATE TABLE studyml.observations (
    as_of timestamptz PRIMARY KEY,
    seen_through bigint NOT NULL,
    compared_all boolean NOT NULL,
    recorded_at timestamptz NOT NULL
);
COMMENT ON TABLE studyml.observations IS 'The nights that compared the source with the ledger.';
COMMENT ON COLUMN studyml.observations.seen_through IS 'The highest session id that the source had then.';

CREATE TABLE studyml.unlabelled_sessions (
    session_id bigint PRIMARY KEY
);
COMMENT ON TABLE studyml.unlabelled_sessions IS 'Sessions whose date was reached without an outcome: their labels may still arrive.';

-- Corrections are few: a window of the ledger is held against those observed since, not against all that ever was.
CREATE INDEX outcomes_corrections ON studyml.outcomes (observed_at) INCLUDE (session_id, revision) WHERE revision > 1;

-- Without it the newest pages are not in the index until the table has grown by a fifth, and every window reads them all.
ALTER INDEX studyml.outcomes_by_session_date SET (autosummarize = on);
ALTER INDEX studyml.outcome_predictions_by_session_date SET (autosummarize = on);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'studyml_pipeline') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON studyml.observations, studyml.unlabelled_sessions TO studyml_pipeline;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'studyml_ui') THEN
        GRANT SELECT ON studyml.observations, studyml.unlabelled_sessions TO studyml_ui;
    END IF;
END $$;
