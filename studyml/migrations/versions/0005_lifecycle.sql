-- Which version was live, what it was made of, and what it had said before a night was scored again.

ALTER TABLE studyml.model_versions ADD COLUMN lineage jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN studyml.model_versions.lineage IS 'Snapshot, code version, settings, seed, library versions and DAG run that it was made of.';

CREATE TABLE studyml.replaced_predictions (
    session_id bigint NOT NULL,
    replaced_by bigint NOT NULL,
    as_of timestamptz NOT NULL,
    model_version text NOT NULL,
    predicted_hours double precision NOT NULL,
    lower_hours double precision,
    upper_hours double precision,
    lower_hours_90 double precision,
    upper_hours_90 double precision,
    scored_at timestamptz NOT NULL,
    visible_from timestamptz,
    replaced_at timestamptz NOT NULL,
    PRIMARY KEY (session_id, replaced_by)
);
COMMENT ON TABLE studyml.replaced_predictions IS 'Served predictions of nights that were scored again: what was readable until then.';
COMMENT ON COLUMN studyml.replaced_predictions.replaced_by IS 'The scoring run whose rows took their place.';

CREATE VIEW analytics.deployments AS
SELECT d.id, d.recorded_at, d.action, d.from_version, d.to_version, d.actor, d.reason, d.as_of
FROM studyml.deployments d WHERE d.action IN ('promote', 'rollback');
COMMENT ON VIEW analytics.deployments IS 'Every change of the version that serves, who made it and why; never rewritten.';
COMMENT ON COLUMN analytics.deployments.id IS 'The order of the changes.';
COMMENT ON COLUMN analytics.deployments.recorded_at IS 'When it took effect.';
COMMENT ON COLUMN analytics.deployments.action IS 'promote, or rollback (the version before was quarantined).';
COMMENT ON COLUMN analytics.deployments.from_version IS 'Version that served until then; empty where none did.';
COMMENT ON COLUMN analytics.deployments.to_version IS 'Version that serves from then on.';
COMMENT ON COLUMN analytics.deployments.actor IS 'Who did it: studyml for a retraining, else a user.';
COMMENT ON COLUMN analytics.deployments.reason IS 'Why.';
COMMENT ON COLUMN analytics.deployments.as_of IS 'The night that it belongs to.';

CREATE VIEW analytics.served_predictions AS
SELECT p.as_of, p.session_id, p.model_version, p.predicted_hours, p.lower_hours, p.upper_hours, p.lower_hours_90,
       p.upper_hours_90, p.scored_at,
       (SELECT max(r.finished_at) FROM studyml.scoring_runs r WHERE r.as_of = p.as_of AND r.status = 'complete')
           AS visible_from,
       NULL::timestamptz AS replaced_at
FROM studyml.predictions p
WHERE p.served
UNION ALL
SELECT p.as_of, p.session_id, p.model_version, p.predicted_hours, p.lower_hours, p.upper_hours, p.lower_hours_90,
       p.upper_hours_90, p.scored_at, p.visible_from, p.replaced_at
FROM studyml.replaced_predictions p;
COMMENT ON VIEW analytics.served_predictions IS 'Every prediction that was ever served, with the time in which it could be read; filter on session_id.';
COMMENT ON COLUMN analytics.served_predictions.as_of IS 'The night.';
COMMENT ON COLUMN analytics.served_predictions.session_id IS 'Id of the session.';
COMMENT ON COLUMN analytics.served_predictions.model_version IS 'Version that made the prediction.';
COMMENT ON COLUMN analytics.served_predictions.predicted_hours IS 'Predicted length, hours.';
COMMENT ON COLUMN analytics.served_predictions.lower_hours IS 'Lower end of the 80 % interval, hours.';
COMMENT ON COLUMN analytics.served_predictions.upper_hours IS 'Upper end of the 80 % interval, hours.';
COMMENT ON COLUMN analytics.served_predictions.lower_hours_90 IS 'Lower end of the 90 % interval, hours.';
COMMENT ON COLUMN analytics.served_predictions.upper_hours_90 IS 'Upper end of the 90 % interval, hours.';
COMMENT ON COLUMN analytics.served_predictions.scored_at IS 'When the row was computed.';
COMMENT ON COLUMN analytics.served_predictions.visible_from IS 'When it was published.';
COMMENT ON COLUMN analytics.served_predictions.replaced_at IS 'When its night was scored again and other rows took its place; empty: it stands.';

DO $$
DECLARE
    reader text;
BEGIN
    FOREACH reader IN ARRAY ARRAY['studyml_analyst', 'studyml_ui', 'studyml_pipeline'] LOOP
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = reader) THEN
            EXECUTE format('GRANT SELECT ON analytics.deployments, analytics.served_predictions TO %I', reader);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'studyml_pipeline') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON studyml.replaced_predictions TO studyml_pipeline;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'studyml_ui') THEN
        GRANT SELECT ON studyml.replaced_predictions TO studyml_ui;
    END IF;
END $$;
