-- The views of 0001, made again, are for whoever could read them then.

DO $$
DECLARE
    reader text;
BEGIN
    FOREACH reader IN ARRAY ARRAY['studyml_analyst', 'studyml_ui', 'studyml_pipeline'] LOOP
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = reader) THEN
            EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO %I', reader);
        END IF;
    END LOOP;
END $$;
