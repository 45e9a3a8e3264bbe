-- The 90 % interval beside the 80 % one (lower_hours, upper_hours), and how many outcomes each of them held.
-- Columns without a default: no row is rewritten, and rows of before hold NULL.

ALTER TABLE studyml.predictions ADD COLUMN lower_hours_90 double precision, ADD COLUMN upper_hours_90 double precision;

-- A night that is being scored right now has its rows in a table of its own, attached when it is complete.
DO $$
DECLARE
    build record;
BEGIN
    FOR build IN SELECT tablename FROM pg_tables
        WHERE schemaname = 'studyml' AND tablename ~ '^predictions_build_[0-9]+$' LOOP
        EXECUTE format('ALTER TABLE studyml.%I ADD COLUMN lower_hours_90 double precision,'
                       ' ADD COLUMN upper_hours_90 double precision', build.tablename);
    END LOOP;
END $$;

ALTER TABLE studyml.outcome_predictions
    ADD COLUMN lower_hours_90 double precision, ADD COLUMN upper_hours_90 double precision;

ALTER TABLE studyml.monitoring_runs
    ADD COLUMN interval_80_coverage double precision, ADD COLUMN interval_90_coverage double precision;
