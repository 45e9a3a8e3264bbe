-- A trial is claimed by one worker, may be tried again, and keeps the error of each of its folds (hours).

ALTER TABLE studyml.tuning_trials
    ADD COLUMN architecture text,
    ADD COLUMN recipe text,
    ADD COLUMN strategy text CHECK (strategy IN ('grid', 'random')),
    ADD COLUMN fold_maes double precision[],
    ADD COLUMN attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    DROP CONSTRAINT tuning_trials_status_check,
    ADD CONSTRAINT tuning_trials_status_check CHECK (status IN ('planned', 'running', 'done', 'failed'));
