-- Undoes 0002; the views and their grants are then made again by the parts of 0001. A view of somebody's own that
-- reads one of these makes PostgreSQL refuse, with its name: nothing is dropped behind its owner's back.

DROP VIEW analytics.study_time_predictions, analytics.prediction_history, analytics.model_quality_daily,
    analytics.model_versions, analytics.freshness, analytics.unscored_sessions;

-- The older code knows no trial that is running: it will be run again.
UPDATE studyml.tuning_trials SET status = 'planned' WHERE status = 'running';
ALTER TABLE studyml.tuning_trials
    DROP CONSTRAINT tuning_trials_status_check,
    ADD CONSTRAINT tuning_trials_status_check CHECK (status IN ('planned', 'done', 'failed')),
    DROP COLUMN architecture,
    DROP COLUMN recipe,
    DROP COLUMN strategy,
    DROP COLUMN fold_maes,
    DROP COLUMN attempts;

DROP TABLE studyml.history_observations, studyml.history_states, studyml.history_expectations;

ALTER TABLE studyml.monitoring_runs DROP COLUMN interval_80_coverage, DROP COLUMN interval_90_coverage;
ALTER TABLE studyml.outcome_predictions DROP COLUMN lower_hours_90, DROP COLUMN upper_hours_90;
ALTER TABLE studyml.predictions DROP COLUMN lower_hours_90, DROP COLUMN upper_hours_90;
DO $$
DECLARE
    build record;
BEGIN
    FOR build IN SELECT tablename FROM pg_tables
        WHERE schemaname = 'studyml' AND tablename ~ '^predictions_build_[0-9]+$' LOOP
        EXECUTE format('ALTER TABLE studyml.%I DROP COLUMN lower_hours_90, DROP COLUMN upper_hours_90',
                       build.tablename);
    END LOOP;
END $$;
