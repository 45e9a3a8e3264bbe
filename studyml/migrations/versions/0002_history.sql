-- Histories of students, subjects and topics (docs in studyml/features/history.py): what was observed, the sums that
-- the newest night left, and the yardstick of each night. Everything here follows from studyml.outcomes.

CREATE TABLE studyml.history_observations (
    session_id bigint NOT NULL,
    revision integer NOT NULL,
    outcome_id bigint NOT NULL,
    student_id bigint NOT NULL,
    topic_id bigint NOT NULL,
    subject_key bigint NOT NULL,
    as_of timestamptz NOT NULL,
    ratio double precision NOT NULL,
    expected double precision NOT NULL,
    log_estimate double precision NOT NULL,
    log_focus double precision NOT NULL,
    log_difficulty double precision NOT NULL,
    student_position integer NOT NULL,
    student_subject_position integer NOT NULL,
    student_topic_position integer NOT NULL,
    topic_position integer NOT NULL,
    PRIMARY KEY (session_id, revision)
);
-- For the last observations of a student.
CREATE INDEX history_observations_by_student ON studyml.history_observations (student_id, as_of, outcome_id);
COMMENT ON TABLE studyml.history_observations IS 'Each revision of an outcome as the histories count it, with what the session looked like when it was first observed.';
COMMENT ON COLUMN studyml.history_observations.as_of IS 'The night from which on it counts.';
COMMENT ON COLUMN studyml.history_observations.subject_key IS 'A number for the subject: the first 8 bytes of the SHA-256 of its text, 0 without one.';
COMMENT ON COLUMN studyml.history_observations.ratio IS 'log(actual / estimate), log(actual) without an estimate, NaN where the label was removed.';
COMMENT ON COLUMN studyml.history_observations.expected IS 'The ratio that was expected when the session was first observed.';
COMMENT ON COLUMN studyml.history_observations.log_estimate IS 'log(estimated_base_time in hours), NaN where missing.';
COMMENT ON COLUMN studyml.history_observations.log_focus IS 'log(avg_focus_duration / 60 minutes), NaN where missing.';
COMMENT ON COLUMN studyml.history_observations.log_difficulty IS 'log(difficulty_level / 5), NaN where missing.';
COMMENT ON COLUMN studyml.history_observations.student_position IS 'How many sessions of the student were first observed up to this one.';

-- A row for each key, changed in place (room in the page, no index on what changes); a past night's state is folded
-- from the observations.
CREATE TABLE studyml.history_states (
    kind smallint NOT NULL CHECK (kind BETWEEN 0 AND 3),
    first_key bigint NOT NULL,
    second_key bigint NOT NULL,
    as_of timestamptz NOT NULL,
    outcomes double precision NOT NULL,
    position double precision NOT NULL,
    sum_ratio double precision NOT NULL,
    sum_residual double precision NOT NULL,
    recent_weight double precision NOT NULL,
    recent_ratio double precision NOT NULL,
    recent_residual double precision NOT NULL,
    PRIMARY KEY (kind, first_key, second_key)
) WITH (fillfactor = 80);
COMMENT ON TABLE studyml.history_states IS 'The history of each student (kind 0), student and subject (1), student and topic (2) and topic (3) after the newest night that changed it.';
COMMENT ON COLUMN studyml.history_states.as_of IS 'The night that changed it last.';
COMMENT ON COLUMN studyml.history_states.outcomes IS 'Outcomes that stand.';
COMMENT ON COLUMN studyml.history_states.position IS 'Sessions first observed, ever.';
COMMENT ON COLUMN studyml.history_states.recent_weight IS 'Sum of 0.5^(age / 10 observations) over the outcomes that stand.';

CREATE TABLE studyml.history_expectations (
    as_of timestamptz PRIMARY KEY,
    through_outcome_id bigint NOT NULL,
    matrix double precision[] NOT NULL,
    vector double precision[] NOT NULL
);
COMMENT ON TABLE studyml.history_expectations IS 'The sums of the ridge regression after each night, and how far the ledger of outcomes has been read.';
COMMENT ON COLUMN studyml.history_expectations.through_outcome_id IS 'Outcomes up to this one are in the histories.';

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'studyml_pipeline') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON studyml.history_observations, studyml.history_states,
            studyml.history_expectations TO studyml_pipeline;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'studyml_ui') THEN
        GRANT SELECT ON studyml.history_observations, studyml.history_states, studyml.history_expectations
            TO studyml_ui;
    END IF;
END $$;
