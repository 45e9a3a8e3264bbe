-- The new columns at the view's end: what reads it by name or by place goes on as before.

CREATE OR REPLACE VIEW analytics.model_quality_daily AS
SELECT m.as_of, m.scope, m.verdict, m.n, m.rolling_mae, m.rolling_rmse, m.baseline_mae, m.threshold, m.expected_mae,
       m.coverage, m.window_days, m.interval_80_coverage, m.interval_90_coverage, m.rolling_mae_lower,
       m.rolling_mae_upper, m.rolling_bias, m.ratio, m.error_ratio, m.error_ratio_limit, m.estimated_mae
FROM studyml.monitoring_runs m;
COMMENT ON COLUMN analytics.model_quality_daily.verdict IS 'healthy, suspected (the guide''s rule), confirmed (beyond chance as well), insufficient_data or error.';
COMMENT ON COLUMN analytics.model_quality_daily.rolling_mae_lower IS 'Lower end of the 95 % confidence interval of rolling_mae, hours.';
COMMENT ON COLUMN analytics.model_quality_daily.rolling_mae_upper IS 'Upper end of the 95 % confidence interval of rolling_mae, hours.';
COMMENT ON COLUMN analytics.model_quality_daily.rolling_bias IS 'Mean of actual less predicted hours: above 0 sessions took longer than predicted.';
COMMENT ON COLUMN analytics.model_quality_daily.ratio IS 'rolling_mae over baseline_mae; the guide''s rule asks for more than 1.2.';
COMMENT ON COLUMN analytics.model_quality_daily.error_ratio IS 'Mean relative error over the one the version had when it was tested; 1 is as expected.';
COMMENT ON COLUMN analytics.model_quality_daily.error_ratio_limit IS 'What error_ratio must exceed to be beyond chance.';
COMMENT ON COLUMN analytics.model_quality_daily.estimated_mae IS 'An estimate, before labels arrive: the expected MAE of this night''s predictions, hours.';
