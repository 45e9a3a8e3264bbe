-- Tables of the schema studyml (design section 4). All times are timestamptz, all durations hours.

CREATE TABLE studyml.nights (
    as_of timestamptz PRIMARY KEY,
    replay boolean NOT NULL,
    dag_run_id text,
    started_at timestamptz NOT NULL,
    finished_at timestamptz
);

CREATE TABLE studyml.model_versions (
    version text PRIMARY KEY CHECK (version ~ '^v_[0-9]{8}_[0-9]{6}$'),
    status text NOT NULL CHECK (status IN ('candidate', 'rejected', 'awaiting_approval', 'champion', 'challenger',
                                           'retired', 'quarantined')),
    architecture text NOT NULL,
    recipe text,
    is_fallback boolean NOT NULL DEFAULT false,
    trained_at timestamptz NOT NULL,
    as_of timestamptz NOT NULL,
    training_from timestamptz,
    training_through timestamptz,
    training_rows bigint,
    holdout_rows bigint,
    metrics jsonb NOT NULL DEFAULT '{}',
    gates jsonb NOT NULL DEFAULT '[]',
    manifest_sha256 text CHECK (manifest_sha256 ~ '^[0-9a-f]{64}$'),
    artifact_uri text,
    dag_run_id text,
    CHECK (status IN ('candidate', 'rejected') OR manifest_sha256 IS NOT NULL)
);
CREATE UNIQUE INDEX one_champion ON studyml.model_versions (status) WHERE status = 'champion';
CREATE UNIQUE INDEX one_challenger ON studyml.model_versions (status) WHERE status = 'challenger';

CREATE TABLE studyml.deployments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action text NOT NULL CHECK (action IN ('promote', 'rollback', 'retire')),
    as_of timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    actor text NOT NULL,
    from_version text REFERENCES studyml.model_versions,
    to_version text REFERENCES studyml.model_versions,
    reason text NOT NULL
);
CREATE FUNCTION studyml.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'studyml.deployments is append-only';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON studyml.deployments
    FOR EACH STATEMENT EXECUTE FUNCTION studyml.refuse_change();

CREATE TABLE studyml.incidents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('page', 'ticket')),
    status text NOT NULL CHECK (status IN ('open', 'resolved')),
    title text NOT NULL,
    model_version text REFERENCES studyml.model_versions,
    opened_as_of timestamptz NOT NULL,
    opened_at timestamptz NOT NULL,
    updated_as_of timestamptz NOT NULL,
    resolved_as_of timestamptz,
    figures jsonb NOT NULL DEFAULT '{}'
);
CREATE UNIQUE INDEX one_open_incident_per_kind ON studyml.incidents (kind) WHERE status = 'open';

CREATE TABLE studyml.incident_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id bigint NOT NULL REFERENCES studyml.incidents,
    event text NOT NULL CHECK (event IN ('opened', 'updated', 'resolved')),
    as_of timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    actor text NOT NULL,
    note text,
    message_subject text,
    message_body text
);
CREATE INDEX incident_events_by_incident ON studyml.incident_events (incident_id);

CREATE TABLE studyml.deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id bigint NOT NULL REFERENCES studyml.incident_events,
    address_fingerprint text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'sent', 'dead')),
    attempts integer NOT NULL DEFAULT 0,
    last_attempt_at timestamptz,
    sent_at timestamptz,
    last_error text,
    UNIQUE (event_id, address_fingerprint)
);

CREATE TABLE studyml.retraining_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    as_of timestamptz NOT NULL,
    reason text CHECK (reason IN ('new_labels', 'degraded', 'forced', 'first')),
    new_labels bigint NOT NULL,
    labels_needed bigint NOT NULL,
    consumed_through bigint,
    decision text CHECK (decision IN ('skipped', 'promoted', 'fallback', 'rejected', 'failed', 'abandoned')),
    reasons text[] NOT NULL DEFAULT '{}',
    note text,
    version text REFERENCES studyml.model_versions,
    incident_id bigint REFERENCES studyml.incidents,
    dag_run_id text,
    started_at timestamptz NOT NULL,
    decided_at timestamptz
);

CREATE TABLE studyml.scoring_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    as_of timestamptz NOT NULL,
    versions text[] NOT NULL,
    planned bigint NOT NULL,
    written bigint,
    refused bigint,
    status text NOT NULL CHECK (status IN ('running', 'complete', 'failed')),
    dag_run_id text,
    started_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE INDEX scoring_runs_by_night ON studyml.scoring_runs (as_of) WHERE status = 'complete';

CREATE TABLE studyml.predictions (
    as_of timestamptz NOT NULL,
    session_id bigint NOT NULL,
    student_id bigint NOT NULL,
    topic_id bigint NOT NULL,
    session_date timestamptz NOT NULL,
    role text NOT NULL CHECK (role IN ('champion', 'challenger')),
    model_version text NOT NULL,
    served boolean NOT NULL,
    predicted_hours double precision NOT NULL,
    lower_hours double precision,
    upper_hours double precision,
    input_warnings text[] NOT NULL,
    scored_at timestamptz NOT NULL,
    PRIMARY KEY (as_of, session_id, role)
) PARTITION BY LIST (as_of);

CREATE TABLE studyml.refused_sessions (
    as_of timestamptz NOT NULL,
    session_id bigint NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (as_of, session_id)
);

CREATE TABLE studyml.topic_subjects (
    topic_id bigint PRIMARY KEY,
    subject text
);

CREATE TABLE studyml.outcomes (
    session_id bigint NOT NULL,
    revision integer NOT NULL,
    outcome_id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    session_date timestamptz NOT NULL,
    actual_hours double precision CHECK (actual_hours > 0 AND actual_hours <= 24),
    observed_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (session_id, revision)
);
CREATE INDEX outcomes_by_session_date ON studyml.outcomes USING brin (session_date);

CREATE TABLE studyml.outcome_predictions (
    session_id bigint NOT NULL,
    revision integer NOT NULL,
    role text NOT NULL,
    as_of timestamptz NOT NULL,
    model_version text NOT NULL,
    served boolean NOT NULL,
    session_date timestamptz NOT NULL,
    observed_at timestamptz NOT NULL,
    predicted_hours double precision NOT NULL,
    lower_hours double precision,
    upper_hours double precision,
    actual_hours double precision,
    error_hours double precision GENERATED ALWAYS AS (actual_hours - predicted_hours) STORED,
    PRIMARY KEY (session_id, revision, role),
    FOREIGN KEY (session_id, revision) REFERENCES studyml.outcomes
);
CREATE INDEX outcome_predictions_by_session_date ON studyml.outcome_predictions USING brin (session_date);

CREATE TABLE studyml.monitoring_runs (
    as_of timestamptz NOT NULL,
    scope text NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('healthy', 'degraded', 'insufficient_data', 'error')),
    n bigint NOT NULL,
    rolling_mae double precision,
    rolling_rmse double precision,
    baseline_mae double precision NOT NULL,
    threshold double precision NOT NULL,
    expected_mae double precision,
    coverage double precision,
    window_days integer NOT NULL,
    drift jsonb,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (as_of, scope)
);

CREATE TABLE studyml.quarantined_rows (
    source text NOT NULL,
    row_id text NOT NULL,
    column_name text NOT NULL,
    reason text NOT NULL,
    row_values jsonb,
    first_as_of timestamptz NOT NULL,
    last_as_of timestamptz NOT NULL,
    PRIMARY KEY (source, row_id, column_name, reason)
);

CREATE TABLE studyml.tuning_trials (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    search_id text NOT NULL,
    trial integer NOT NULL,
    as_of timestamptz NOT NULL,
    parameters jsonb NOT NULL,
    seed bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('planned', 'done', 'failed')),
    validation_mae double precision,
    validation_rmse double precision,
    epochs integer,
    seconds double precision,
    error text,
    UNIQUE (search_id, trial)
);
