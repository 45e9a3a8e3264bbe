-- Least-privileged roles. A migrating user who may not create or grant is told what is left to do, and the
-- migration goes on: the tables work for their owner without any role.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['studyml_pipeline', 'studyml_analyst', 'studyml_ui'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
                -- LOGIN without a password: nobody gets in until an administrator sets one.
                EXECUTE format('CREATE ROLE %I LOGIN', wanted);
            END IF;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'studyml: role % was not created, the migrating user may not create roles: ask an administrator, then run the grants in docs/operations.md', wanted;
        END;
    END LOOP;
END $$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'studyml_analyst') THEN
        GRANT USAGE ON SCHEMA analytics TO studyml_analyst;
        GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO studyml_analyst;
        -- In this database alone: two databases of one server that are migrated at once would write the same row.
        BEGIN
            EXECUTE format('ALTER ROLE studyml_analyst IN DATABASE %I SET statement_timeout = %L', current_database(), '60s');
            EXECUTE format('ALTER ROLE studyml_analyst IN DATABASE %I SET idle_in_transaction_session_timeout = %L', current_database(), '60s');
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE 'studyml: the statement timeout of role studyml_analyst was not set: ask an administrator';
        END;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'studyml_ui') THEN
        GRANT USAGE ON SCHEMA studyml, analytics TO studyml_ui;
        GRANT SELECT ON ALL TABLES IN SCHEMA studyml, analytics TO studyml_ui;
    END IF;
    -- Where the pipeline itself migrates (a backtest's database), it owns everything: it must not revoke from itself.
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'studyml_pipeline' AND rolname <> current_user) THEN
        GRANT USAGE, CREATE ON SCHEMA studyml TO studyml_pipeline;
        GRANT USAGE ON SCHEMA analytics TO studyml_pipeline;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA studyml TO studyml_pipeline;
        GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO studyml_pipeline;
        REVOKE UPDATE, DELETE ON studyml.deployments FROM studyml_pipeline;
        REVOKE INSERT, UPDATE, DELETE ON studyml.alembic_version FROM studyml_pipeline;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA studyml TO studyml_pipeline;
        -- Attaching a night's partition takes the owner of the parent, and the views' owner must still read it.
        BEGIN
            EXECUTE format('GRANT SELECT ON studyml.predictions TO %I WITH GRANT OPTION', current_user);
            ALTER TABLE studyml.predictions OWNER TO studyml_pipeline;
            EXECUTE format('GRANT SELECT ON studyml.predictions TO %I', current_user);
            GRANT SELECT ON studyml.predictions TO studyml_ui;
        EXCEPTION WHEN insufficient_privilege OR undefined_object THEN
            RAISE NOTICE 'studyml: studyml.predictions still belongs to the migrating user: run the pipeline as this user, or give the table to studyml_pipeline';
        END;
    END IF;
END $$;
