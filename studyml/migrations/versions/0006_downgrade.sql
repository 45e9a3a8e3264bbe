-- Undoes 0006. The older code knows neither a trial nor a version that waits: such a one ends rejected.

DROP TABLE studyml.challenger_trials;
DROP INDEX studyml.one_awaiting_approval;

UPDATE studyml.model_versions SET status = 'rejected' WHERE status IN ('challenger', 'awaiting_approval');
UPDATE studyml.retraining_runs SET decision = 'rejected' WHERE decision IN ('challenger', 'awaiting_approval');
ALTER TABLE studyml.retraining_runs
    DROP CONSTRAINT retraining_runs_decision_check,
    ADD CONSTRAINT retraining_runs_decision_check
        CHECK (decision IN ('skipped', 'promoted', 'fallback', 'rejected', 'failed', 'abandoned'));

-- The log says which champion was live at a time: entries of trials would be taken for champions, so they go.
ALTER TABLE studyml.deployments DISABLE TRIGGER append_only;
DELETE FROM studyml.deployments WHERE action = 'challenge' OR (action = 'retire' AND to_version IS NULL);
ALTER TABLE studyml.deployments ENABLE TRIGGER append_only;
ALTER TABLE studyml.deployments
    DROP CONSTRAINT deployments_action_check,
    ADD CONSTRAINT deployments_action_check CHECK (action IN ('promote', 'rollback', 'retire'));
COMMENT ON COLUMN studyml.deployments.action IS NULL;
