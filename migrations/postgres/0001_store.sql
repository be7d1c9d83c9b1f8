-- What migrations/sqlite holds up to 0003, in PostgreSQL's words.
-- Moments are milliseconds since 1970-01-01T00:00:00Z; JSON is text; flags are 0 or 1.
-- COLLATE "C": keys are ordered by their bytes, as in SQLite, whatever the database's language.

CREATE TABLE job (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,  -- UUID version 7: sorts by submission
    pipeline        TEXT    NOT NULL,
    title           TEXT    NOT NULL,
    source          TEXT    NOT NULL,              -- without credentials or query
    input           TEXT    NOT NULL,
    status          TEXT COLLATE "C" NOT NULL,
    submitted_at_ms BIGINT  NOT NULL,
    started_at_ms   BIGINT,
    ended_at_ms     BIGINT,
    error           TEXT,
    failed_state    TEXT,
    rerun_count     BIGINT  NOT NULL DEFAULT 0,
    execution_arn   TEXT COLLATE "C"               -- the newest
);
CREATE INDEX job_by_status ON job (status, id);

-- How many jobs there are of each status: a page shows them all, and counting would scan. A connection counts
-- in rows of its own, so that no two transactions ever wait for each other here; a count is their sum.
CREATE TABLE job_count (
    status  TEXT COLLATE "C" NOT NULL,
    backend BIGINT NOT NULL,                       -- the process that serves the connection
    count   BIGINT NOT NULL,
    PRIMARY KEY (status, backend)
) WITH (fillfactor = 50);
CREATE FUNCTION job_count_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_count (status, backend, count)
        SELECT status, pg_backend_pid(), COUNT(*) FROM new_job GROUP BY status ORDER BY status
        ON CONFLICT (status, backend) DO UPDATE SET count = job_count.count + excluded.count;
    RETURN NULL;
END $$;
CREATE FUNCTION job_count_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_count (status, backend, count)
        SELECT status, pg_backend_pid(), SUM(change)
        FROM (SELECT status, 1 AS change FROM new_job UNION ALL SELECT status, -1 FROM old_job) AS changed
        GROUP BY status HAVING SUM(change) <> 0 ORDER BY status
        ON CONFLICT (status, backend) DO UPDATE SET count = job_count.count + excluded.count;
    RETURN NULL;
END $$;
CREATE FUNCTION job_count_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_count (status, backend, count)
        SELECT status, pg_backend_pid(), -COUNT(*) FROM old_job GROUP BY status ORDER BY status
        ON CONFLICT (status, backend) DO UPDATE SET count = job_count.count + excluded.count;
    RETURN NULL;
END $$;
CREATE TRIGGER job_count_insert AFTER INSERT ON job
    REFERENCING NEW TABLE AS new_job FOR EACH STATEMENT EXECUTE FUNCTION job_count_insert();
CREATE TRIGGER job_count_update AFTER UPDATE ON job
    REFERENCING OLD TABLE AS old_job NEW TABLE AS new_job FOR EACH STATEMENT EXECUTE FUNCTION job_count_update();
CREATE TRIGGER job_count_delete AFTER DELETE ON job
    REFERENCING OLD TABLE AS old_job FOR EACH STATEMENT EXECUTE FUNCTION job_count_delete();

-- Calls to Step Functions that were promised and not yet acknowledged.
CREATE TABLE outbox (
    id            BIGINT  NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    job_id        TEXT COLLATE "C" NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    command       TEXT    NOT NULL,                -- start, redrive, stop
    target        TEXT    NOT NULL,                -- start: the execution's name; else its ARN
    redrive_count BIGINT  NOT NULL DEFAULT 0,      -- redrive: the count it had when this was asked for
    attempts      BIGINT  NOT NULL DEFAULT 0,
    due_at_ms     BIGINT  NOT NULL
);
CREATE INDEX outbox_by_due ON outbox (due_at_ms);
CREATE INDEX outbox_by_job ON outbox (job_id, id);

CREATE TABLE execution (
    arn                TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    job_id             TEXT COLLATE "C" NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    name               TEXT   NOT NULL,
    number             BIGINT NOT NULL,            -- 1 for a job's first, counted up by restarts
    status             TEXT COLLATE "C" NOT NULL,
    started_at_ms      BIGINT NOT NULL,
    ended_at_ms        BIGINT,
    redrive_count      BIGINT NOT NULL DEFAULT 0,
    redrive_status     TEXT,                       -- DescribeExecution's redriveStatus and its reason
    redrive_reason     TEXT,
    error              TEXT,
    cause              TEXT,
    definition         TEXT,                       -- the state machine's, as this execution runs it
    heard_at_ms        BIGINT NOT NULL,            -- when AWS last told anything about it
    history_read_at_ms BIGINT NOT NULL DEFAULT 0,
    history_complete   BIGINT NOT NULL DEFAULT 0,  -- read up to the event that ended it
    artifacts_read     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX execution_by_job ON execution (job_id, number);
CREATE INDEX execution_unfinished ON execution (status, heard_at_ms) WHERE status IN ('RUNNING', 'PENDING_REDRIVE');
CREATE INDEX execution_unexplained ON execution (arn)
    WHERE redrive_status IS NULL AND status IN ('FAILED', 'TIMED_OUT', 'ABORTED');
CREATE INDEX execution_unread ON execution (history_read_at_ms) WHERE history_complete = 0;
CREATE INDEX execution_unlisted ON execution (arn) WHERE artifacts_read = 0;

CREATE TABLE history_event (
    execution_arn TEXT COLLATE "C" NOT NULL REFERENCES execution (arn) ON DELETE CASCADE,
    id            BIGINT NOT NULL,
    event         TEXT   NOT NULL,                 -- in GetExecutionHistory's wire format
    PRIMARY KEY (execution_arn, id)
);

-- The newest progress line of each unit of work.
CREATE TABLE progress (
    execution_arn TEXT COLLATE "C" NOT NULL,
    state         TEXT COLLATE "C" NOT NULL,
    entered       TEXT COLLATE "C" NOT NULL,       -- $$.State.EnteredTime
    iteration     BIGINT NOT NULL,                 -- $$.Map.Item.Index; -1 outside of a Map
    label         TEXT,
    unit          TEXT   NOT NULL,
    done          BIGINT NOT NULL,
    total         BIGINT,
    at_ms         BIGINT NOT NULL,
    PRIMARY KEY (execution_arn, state, entered, iteration)
);

CREATE TABLE artifact (
    job_id   TEXT COLLATE "C" NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    key      TEXT   NOT NULL,
    artifact TEXT   NOT NULL,
    PRIMARY KEY (job_id, position)
);

-- Multipart uploads of browsers that have not become a job yet: aborted when the server finds them at start.
CREATE TABLE upload (
    key           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    upload_id     TEXT   NOT NULL,
    started_at_ms BIGINT NOT NULL
);

-- Invocations as Lambda's platform.report tells them.
CREATE TABLE invocation (
    request_id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    function        TEXT COLLATE "C" NOT NULL,
    version         TEXT COLLATE "C" NOT NULL,
    digest          TEXT COLLATE "C",              -- of the image that ran; resolved through Lambda afterwards
    status          TEXT   NOT NULL,
    init_ms         DOUBLE PRECISION,              -- initDurationMs: only a cold start has it
    duration_ms     DOUBLE PRECISION NOT NULL,
    max_memory_mib  BIGINT,
    at_ms           BIGINT NOT NULL
);
CREATE INDEX invocation_cold ON invocation (function, digest, init_ms, at_ms) WHERE init_ms IS NOT NULL AND digest IS NOT NULL;
CREATE INDEX invocation_by_function ON invocation (function, digest) WHERE digest IS NOT NULL;
CREATE INDEX invocation_unresolved ON invocation (function, version) WHERE digest IS NULL;
CREATE INDEX invocation_by_age ON invocation (at_ms);

-- A published version's image never changes, so what Lambda said once stays true after the version is deleted.
CREATE TABLE function_version (
    function TEXT COLLATE "C" NOT NULL,
    version  TEXT COLLATE "C" NOT NULL,
    digest   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (function, version)
);

-- How far the telemetry stream was read.
CREATE TABLE shard_checkpoint (
    stream   TEXT COLLATE "C" NOT NULL,
    shard    TEXT COLLATE "C" NOT NULL,
    sequence TEXT NOT NULL,
    PRIMARY KEY (stream, shard)
);

-- The elements of a JSON array as rows, under the name and the one column of it that SQLite's has: so a statement
-- is handed a whole batch in one parameter, in the same words on both databases.
-- STRICT keeps it from being drawn into the statement, ROWS 1 has each element looked up by an index.
CREATE FUNCTION json_each(items TEXT) RETURNS TABLE (value JSONB) LANGUAGE sql IMMUTABLE STRICT ROWS 1 AS
    'SELECT jsonb_array_elements(CAST(items AS JSONB))';
