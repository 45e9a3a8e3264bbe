-- What analysts read: views only, no personal data, a comment on every column.

DO $$ BEGIN IF to_regnamespace('analytics') IS NULL THEN CREATE SCHEMA analytics; END IF; END $$;

CREATE VIEW analytics.study_time_predictions AS
SELECT p.session_id, p.student_id, p.topic_id, t.subject, p.session_date, p.predicted_hours, p.lower_hours,
       p.upper_hours, p.model_version, v.is_fallback, p.input_warnings, p.scored_at, p.as_of
FROM studyml.predictions p
JOIN studyml.model_versions v ON v.version = p.model_version
LEFT JOIN studyml.topic_subjects t ON t.topic_id = p.topic_id
WHERE p.served AND p.as_of = (SELECT max(as_of) FROM studyml.scoring_runs WHERE status = 'complete');
COMMENT ON VIEW analytics.study_time_predictions IS 'The newest complete night: one row per planned session.';
COMMENT ON COLUMN analytics.study_time_predictions.session_id IS 'Id of the planned session in the study app.';
COMMENT ON COLUMN analytics.study_time_predictions.student_id IS 'Id of its student.';
COMMENT ON COLUMN analytics.study_time_predictions.topic_id IS 'Id of its topic.';
COMMENT ON COLUMN analytics.study_time_predictions.subject IS 'Subject of the topic, as of the newest scoring.';
COMMENT ON COLUMN analytics.study_time_predictions.session_date IS 'When the session is planned, with time zone.';
COMMENT ON COLUMN analytics.study_time_predictions.predicted_hours IS 'Predicted length, hours, 0.1 to 24.';
COMMENT ON COLUMN analytics.study_time_predictions.lower_hours IS 'Lower end of the 80 % interval, hours; empty without labels.';
COMMENT ON COLUMN analytics.study_time_predictions.upper_hours IS 'Upper end of the 80 % interval, hours; empty without labels.';
COMMENT ON COLUMN analytics.study_time_predictions.model_version IS 'Version that made the prediction.';
COMMENT ON COLUMN analytics.study_time_predictions.is_fallback IS 'True: a naive predictor, since no network has passed the gates.';
COMMENT ON COLUMN analytics.study_time_predictions.input_warnings IS 'Inputs that were impossible or unseen and were treated as missing.';
COMMENT ON COLUMN analytics.study_time_predictions.scored_at IS 'When the row was computed.';
COMMENT ON COLUMN analytics.study_time_predictions.as_of IS 'The night that the prediction belongs to.';

CREATE VIEW analytics.prediction_history AS
SELECT p.as_of, p.session_id, p.student_id, p.topic_id, p.session_date, p.role, p.served, p.model_version,
       p.predicted_hours, p.lower_hours, p.upper_hours, p.scored_at
FROM studyml.predictions p;
COMMENT ON VIEW analytics.prediction_history IS 'Every kept prediction of every night; filter on as_of, it is the partition key.';
COMMENT ON COLUMN analytics.prediction_history.as_of IS 'The night.';
COMMENT ON COLUMN analytics.prediction_history.session_id IS 'Id of the session.';
COMMENT ON COLUMN analytics.prediction_history.student_id IS 'Id of its student.';
COMMENT ON COLUMN analytics.prediction_history.topic_id IS 'Id of its topic.';
COMMENT ON COLUMN analytics.prediction_history.session_date IS 'When the session was planned, that night.';
COMMENT ON COLUMN analytics.prediction_history.role IS 'champion or challenger.';
COMMENT ON COLUMN analytics.prediction_history.served IS 'True on the row that was served for the session.';
COMMENT ON COLUMN analytics.prediction_history.model_version IS 'Version that made the prediction.';
COMMENT ON COLUMN analytics.prediction_history.predicted_hours IS 'Predicted length, hours.';
COMMENT ON COLUMN analytics.prediction_history.lower_hours IS 'Lower end of the 80 % interval, hours.';
COMMENT ON COLUMN analytics.prediction_history.upper_hours IS 'Upper end of the 80 % interval, hours.';
COMMENT ON COLUMN analytics.prediction_history.scored_at IS 'When the row was computed.';

CREATE VIEW analytics.model_quality_daily AS
SELECT m.as_of, m.scope, m.verdict, m.n, m.rolling_mae, m.rolling_rmse, m.baseline_mae, m.threshold, m.expected_mae,
       m.coverage, m.window_days
FROM studyml.monitoring_runs m;
COMMENT ON VIEW analytics.model_quality_daily IS 'Quality of the served predictions (scope served) and of each version, night by night.';
COMMENT ON COLUMN analytics.model_quality_daily.as_of IS 'The night.';
COMMENT ON COLUMN analytics.model_quality_daily.scope IS 'served, or a version.';
COMMENT ON COLUMN analytics.model_quality_daily.verdict IS 'healthy, degraded, insufficient_data or error.';
COMMENT ON COLUMN analytics.model_quality_daily.n IS 'Outcomes in the window.';
COMMENT ON COLUMN analytics.model_quality_daily.rolling_mae IS 'Mean absolute error over the window, hours.';
COMMENT ON COLUMN analytics.model_quality_daily.rolling_rmse IS 'Root mean squared error over the window, hours.';
COMMENT ON COLUMN analytics.model_quality_daily.baseline_mae IS 'Baseline MAE that night, hours.';
COMMENT ON COLUMN analytics.model_quality_daily.threshold IS 'Degraded above this MAE, hours.';
COMMENT ON COLUMN analytics.model_quality_daily.expected_mae IS 'The champion''s own MAE on its holdout, hours.';
COMMENT ON COLUMN analytics.model_quality_daily.coverage IS 'Share of the window''s sessions that have an outcome by now, 0 to 1.';
COMMENT ON COLUMN analytics.model_quality_daily.window_days IS 'Length of the window, days.';

CREATE VIEW analytics.model_versions AS
SELECT v.version, v.status, v.architecture, v.recipe, v.is_fallback, v.trained_at, v.training_from, v.training_through,
       v.training_rows, v.holdout_rows, (v.metrics ->> 'mae')::double precision AS holdout_mae,
       (v.metrics ->> 'rmse')::double precision AS holdout_rmse
FROM studyml.model_versions v;
COMMENT ON VIEW analytics.model_versions IS 'Every version that was ever trained, and what became of it.';
COMMENT ON COLUMN analytics.model_versions.version IS 'v_YYYYMMDD_HHMMSS, UTC.';
COMMENT ON COLUMN analytics.model_versions.status IS 'candidate, rejected, awaiting_approval, champion, challenger, retired or quarantined.';
COMMENT ON COLUMN analytics.model_versions.architecture IS 'Network architecture, or naive for a fallback.';
COMMENT ON COLUMN analytics.model_versions.recipe IS 'Training recipe; for a fallback the naive predictor.';
COMMENT ON COLUMN analytics.model_versions.is_fallback IS 'True for a naive predictor published as a version.';
COMMENT ON COLUMN analytics.model_versions.trained_at IS 'When it was trained.';
COMMENT ON COLUMN analytics.model_versions.training_from IS 'Date of the oldest training session.';
COMMENT ON COLUMN analytics.model_versions.training_through IS 'Date of the newest training session.';
COMMENT ON COLUMN analytics.model_versions.training_rows IS 'Labelled sessions it was trained on.';
COMMENT ON COLUMN analytics.model_versions.holdout_rows IS 'Newest labelled sessions held out to judge it.';
COMMENT ON COLUMN analytics.model_versions.holdout_mae IS 'MAE on the holdout, hours.';
COMMENT ON COLUMN analytics.model_versions.holdout_rmse IS 'RMSE on the holdout, hours.';

CREATE VIEW analytics.freshness AS
SELECT s.as_of, s.finished_at AS scored_at, extract(epoch FROM now() - s.as_of) / 3600 AS age_hours,
       s.planned, s.written, s.refused, s.versions
FROM studyml.scoring_runs s
WHERE s.status = 'complete'
ORDER BY s.as_of DESC, s.id DESC
LIMIT 1;
COMMENT ON VIEW analytics.freshness IS 'One row: the newest complete night of predictions; no row before the first.';
COMMENT ON COLUMN analytics.freshness.as_of IS 'The newest complete night.';
COMMENT ON COLUMN analytics.freshness.scored_at IS 'When its predictions became visible.';
COMMENT ON COLUMN analytics.freshness.age_hours IS 'Age of the night now, hours.';
COMMENT ON COLUMN analytics.freshness.planned IS 'Planned sessions that night.';
COMMENT ON COLUMN analytics.freshness.written IS 'Planned sessions with a prediction.';
COMMENT ON COLUMN analytics.freshness.refused IS 'Planned sessions without one: see unscored_sessions.';
COMMENT ON COLUMN analytics.freshness.versions IS 'Versions that scored it.';

CREATE VIEW analytics.unscored_sessions AS
SELECT r.session_id, r.reason, r.as_of
FROM studyml.refused_sessions r
WHERE r.as_of = (SELECT max(as_of) FROM studyml.scoring_runs WHERE status = 'complete');
COMMENT ON VIEW analytics.unscored_sessions IS 'Planned sessions of the newest complete night that could not be scored.';
COMMENT ON COLUMN analytics.unscored_sessions.session_id IS 'Id of the session.';
COMMENT ON COLUMN analytics.unscored_sessions.reason IS 'Why it has no prediction.';
COMMENT ON COLUMN analytics.unscored_sessions.as_of IS 'The night.';
