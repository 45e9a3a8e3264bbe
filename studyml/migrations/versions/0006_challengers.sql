-- A version that passed the gates may be tried beside the champion, or wait for a person, before it serves.

ALTER TABLE studyml.retraining_runs
    DROP CONSTRAINT retraining_runs_decision_check,
    ADD CONSTRAINT retraining_runs_decision_check CHECK (decision IN ('skipped', 'promoted', 'fallback', 'rejected',
        'failed', 'abandoned', 'challenger', 'awaiting_approval'));

ALTER TABLE studyml.deployments
    DROP CONSTRAINT deployments_action_check,
    ADD CONSTRAINT deployments_action_check CHECK (action IN ('promote', 'rollback', 'retire', 'challenge'));
COMMENT ON COLUMN studyml.deployments.action IS 'promote and rollback: to_version serves from then on; challenge: to_version is tried beside from_version; retire: the trial of from_version is over.';

-- One waits at a time: a newer one takes its place.
CREATE UNIQUE INDEX one_awaiting_approval ON studyml.model_versions (status) WHERE status = 'awaiting_approval';

CREATE TABLE studyml.challenger_trials (
    as_of timestamptz NOT NULL,
    challenger text NOT NULL REFERENCES studyml.model_versions,
    champion text NOT NULL REFERENCES studyml.model_versions,
    decision text NOT NULL CHECK (decision IN ('continued', 'promoted', 'retired')),
    look integer NOT NULL CHECK (look >= 0),
    outcomes bigint NOT NULL,
    students bigint NOT NULL,
    challenger_mae double precision,
    champion_mae double precision,
    ratio double precision,
    lower_bound double precision,
    upper_bound double precision,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (as_of, challenger)
);
COMMENT ON TABLE studyml.challenger_trials IS 'The state of the trial after each night of it.';
COMMENT ON COLUMN studyml.challenger_trials.look IS 'How many of the planned looks were taken by then; between looks nothing is decided.';
COMMENT ON COLUMN studyml.challenger_trials.outcomes IS 'Sessions with an outcome that both versions had predicted in the same night.';
COMMENT ON COLUMN studyml.challenger_trials.ratio IS 'MAE of the challenger over the champion''s, on these sessions.';
COMMENT ON COLUMN studyml.challenger_trials.lower_bound IS 'One-sided 90 % lower bound of ratio; empty: there is none.';
COMMENT ON COLUMN studyml.challenger_trials.upper_bound IS 'One-sided 90 % upper bound of ratio; empty: there is none.';

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'studyml_pipeline') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON studyml.challenger_trials TO studyml_pipeline;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'studyml_ui') THEN
        GRANT SELECT ON studyml.challenger_trials TO studyml_ui;
    END IF;
END $$;
