-- Undoes 0003; the views and their grants are then made again by the parts of 0001 and 0002. A view of somebody's own
-- that reads one of these makes PostgreSQL refuse, with its name: nothing is dropped behind its owner's back.

DROP VIEW analytics.study_time_predictions, analytics.prediction_history, analytics.model_quality_daily,
    analytics.model_versions, analytics.freshness, analytics.unscored_sessions;

DROP TABLE studyml.observations, studyml.unlabelled_sessions, studyml.silences;
DROP INDEX studyml.outcomes_corrections;
ALTER INDEX studyml.outcomes_by_session_date RESET (autosummarize);
ALTER INDEX studyml.outcome_predictions_by_session_date RESET (autosummarize);

ALTER TABLE studyml.deliveries DROP COLUMN next_attempt_at;

-- The older code knows neither: what happened then stays readable as an update.
UPDATE studyml.incident_events SET event = 'updated' WHERE event IN ('acknowledged', 'escalated', 'reopened');
ALTER TABLE studyml.incident_events
    DROP COLUMN severity,
    DROP CONSTRAINT incident_events_event_check,
    ADD CONSTRAINT incident_events_event_check CHECK (event IN ('opened', 'updated', 'resolved'));
DROP INDEX studyml.incidents_by_kind;
ALTER TABLE studyml.incidents
    DROP COLUMN acknowledged_by,
    DROP COLUMN acknowledged_at,
    DROP COLUMN escalated_at,
    DROP COLUMN resolved_at,
    DROP COLUMN times_reopened;

ALTER TABLE studyml.monitoring_runs DROP CONSTRAINT monitoring_runs_verdict_check;
UPDATE studyml.monitoring_runs SET verdict = 'degraded' WHERE verdict IN ('suspected', 'confirmed');
ALTER TABLE studyml.monitoring_runs
    ADD CONSTRAINT monitoring_runs_verdict_check
        CHECK (verdict IN ('healthy', 'degraded', 'insufficient_data', 'error')),
    DROP COLUMN rolling_mae_lower,
    DROP COLUMN rolling_mae_upper,
    DROP COLUMN rolling_bias,
    DROP COLUMN ratio,
    DROP COLUMN error_ratio,
    DROP COLUMN error_ratio_limit,
    DROP COLUMN error_ratio_n,
    DROP COLUMN error_ratio_days,
    DROP COLUMN coverage_by_date,
    DROP COLUMN estimated_mae,
    DROP COLUMN worst_slices;
