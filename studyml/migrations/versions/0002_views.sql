-- The views of 0001 with the new columns at their end: what reads them by name or by place goes on as before.

CREATE OR REPLACE VIEW analytics.study_time_predictions AS
SELECT p.session_id, p.student_id, p.topic_id, t.subject, p.session_date, p.predicted_hours, p.lower_hours,
       p.upper_hours, p.model_version, v.is_fallback, p.input_warnings, p.scored_at, p.as_of, p.lower_hours_90,
       p.upper_hours_90
FROM studyml.predictions p
JOIN studyml.model_versions v ON v.version = p.model_version
LEFT JOIN studyml.topic_subjects t ON t.topic_id = p.topic_id
WHERE p.served AND p.as_of = (SELECT max(as_of) FROM studyml.scoring_runs WHERE status = 'complete');
COMMENT ON COLUMN analytics.study_time_predictions.lower_hours_90 IS 'Lower end of the 90 % interval, hours; empty without labels.';
COMMENT ON COLUMN analytics.study_time_predictions.upper_hours_90 IS 'Upper end of the 90 % interval, hours; empty without labels.';

CREATE OR REPLACE VIEW analytics.prediction_history AS
SELECT p.as_of, p.session_id, p.student_id, p.topic_id, p.session_date, p.role, p.served, p.model_version,
       p.predicted_hours, p.lower_hours, p.upper_hours, p.scored_at, p.lower_hours_90, p.upper_hours_90
FROM studyml.predictions p;
COMMENT ON COLUMN analytics.prediction_history.lower_hours_90 IS 'Lower end of the 90 % interval, hours.';
COMMENT ON COLUMN analytics.prediction_history.upper_hours_90 IS 'Upper end of the 90 % interval, hours.';

CREATE OR REPLACE VIEW analytics.model_quality_daily AS
SELECT m.as_of, m.scope, m.verdict, m.n, m.rolling_mae, m.rolling_rmse, m.baseline_mae, m.threshold, m.expected_mae,
       m.coverage, m.window_days, m.interval_80_coverage, m.interval_90_coverage
FROM studyml.monitoring_runs m;
COMMENT ON COLUMN analytics.model_quality_daily.interval_80_coverage IS 'Share of the outcomes inside the 80 % interval of their prediction, 0 to 1; 0.8 is meant.';
COMMENT ON COLUMN analytics.model_quality_daily.interval_90_coverage IS 'Share of the outcomes inside the 90 % interval of their prediction, 0 to 1; 0.9 is meant.';
