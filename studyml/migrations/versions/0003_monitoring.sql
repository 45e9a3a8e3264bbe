-- Verdicts that tell chance from change, with the bounds they rest on, and drift.

ALTER TABLE studyml.monitoring_runs DROP CONSTRAINT monitoring_runs_verdict_check;
-- What was called degraded is the guide's rule alone.
UPDATE studyml.monitoring_runs SET verdict = 'suspected' WHERE verdict = 'degraded';
ALTER TABLE studyml.monitoring_runs
    ADD CONSTRAINT monitoring_runs_verdict_check
        CHECK (verdict IN ('healthy', 'suspected', 'confirmed', 'insufficient_data', 'error')),
    ADD COLUMN rolling_mae_lower double precision,
    ADD COLUMN rolling_mae_upper double precision,
    ADD COLUMN rolling_bias double precision,
    ADD COLUMN ratio double precision,
    ADD COLUMN error_ratio double precision,
    ADD COLUMN error_ratio_limit double precision,
    ADD COLUMN error_ratio_n bigint,
    ADD COLUMN error_ratio_days integer,
    ADD COLUMN coverage_by_date jsonb,
    ADD COLUMN estimated_mae double precision,
    ADD COLUMN worst_slices jsonb;
COMMENT ON COLUMN studyml.monitoring_runs.rolling_bias IS 'Mean of actual - predicted hours: above 0 sessions took longer than predicted.';
COMMENT ON COLUMN studyml.monitoring_runs.ratio IS 'rolling_mae / baseline_mae.';
COMMENT ON COLUMN studyml.monitoring_runs.error_ratio IS 'Mean relative error of the version over the one it had out of fold; 1 is as expected.';
COMMENT ON COLUMN studyml.monitoring_runs.error_ratio_limit IS 'What error_ratio must exceed to be beyond chance.';
COMMENT ON COLUMN studyml.monitoring_runs.error_ratio_n IS 'Outcomes of the version that error_ratio is the mean of.';
COMMENT ON COLUMN studyml.monitoring_runs.error_ratio_days IS 'Length of the window that decided, days.';
COMMENT ON COLUMN studyml.monitoring_runs.estimated_mae IS 'An estimate, before labels: the expected MAE of the predictions of this night, hours.';
