-- Submitting once, by priority and within limits; bulk operations; lineage; adopted jobs; retention; search.

ALTER TABLE job ADD COLUMN idempotency_key TEXT COLLATE "C";             -- of the request that made it
ALTER TABLE job ADD COLUMN request_digest TEXT;              -- of that request, to tell a repetition from a mistake
ALTER TABLE job ADD COLUMN priority BIGINT NOT NULL DEFAULT 5;
ALTER TABLE job ADD COLUMN adopted BIGINT NOT NULL DEFAULT 0;  -- started outside Gantry
CREATE UNIQUE INDEX job_by_idempotency_key ON job (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX job_by_pipeline ON job (pipeline, id);
CREATE INDEX job_by_pipeline_status ON job (pipeline, status, id);
CREATE INDEX job_by_error ON job (error, id) WHERE error IS NOT NULL;
CREATE INDEX job_by_failed_state ON job (failed_state, id) WHERE failed_state IS NOT NULL;

-- Counts by pipeline, too: a limit of what runs at once is a pipeline's.
DROP TABLE job_count;
CREATE TABLE job_count (
    pipeline TEXT COLLATE "C" NOT NULL,
    status   TEXT COLLATE "C" NOT NULL,
    backend  BIGINT NOT NULL,                    -- the process that serves the connection
    count    BIGINT NOT NULL,
    PRIMARY KEY (pipeline, status, backend)
) WITH (fillfactor = 50);
INSERT INTO job_count (pipeline, status, backend, count)
    SELECT pipeline, status, 0, COUNT(*) FROM job GROUP BY pipeline, status;
CREATE OR REPLACE FUNCTION job_count_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_count (pipeline, status, backend, count)
        SELECT pipeline, status, pg_backend_pid(), COUNT(*) FROM new_job GROUP BY pipeline, status ORDER BY pipeline, status
        ON CONFLICT (pipeline, status, backend) DO UPDATE SET count = job_count.count + excluded.count;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION job_count_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_count (pipeline, status, backend, count)
        SELECT pipeline, status, pg_backend_pid(), SUM(change)
        FROM (SELECT pipeline, status, 1 AS change FROM new_job
              UNION ALL SELECT pipeline, status, -1 FROM old_job) AS changed
        GROUP BY pipeline, status HAVING SUM(change) <> 0 ORDER BY pipeline, status
        ON CONFLICT (pipeline, status, backend) DO UPDATE SET count = job_count.count + excluded.count;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION job_count_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_count (pipeline, status, backend, count)
        SELECT pipeline, status, pg_backend_pid(), -COUNT(*) FROM old_job GROUP BY pipeline, status ORDER BY pipeline, status
        ON CONFLICT (pipeline, status, backend) DO UPDATE SET count = job_count.count + excluded.count;
    RETURN NULL;
END $$;

-- Search: every three characters of title and source.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX job_by_text ON job USING gin ((title || ' ' || source) gin_trgm_ops);

-- What the dispatcher sorts by; both are the job's.
ALTER TABLE outbox ADD COLUMN pipeline TEXT COLLATE "C" NOT NULL DEFAULT 'media';
ALTER TABLE outbox ADD COLUMN priority BIGINT NOT NULL DEFAULT 5;
CREATE INDEX outbox_by_turn ON outbox (pipeline, command, priority DESC, id);

ALTER TABLE execution ADD COLUMN ended_in TEXT;              -- the Fail state that ended it
ALTER TABLE execution ADD COLUMN resumes_from TEXT;          -- where a redrive would go on
-- Histories that were read before are read again for these two.
UPDATE execution SET history_complete = 0 WHERE status IN ('FAILED', 'TIMED_OUT', 'ABORTED');

-- What was asked of a job, by whom and why.
CREATE TABLE lineage (
    id            BIGINT NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    job_id        TEXT COLLATE "C" NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    at_ms         BIGINT NOT NULL,
    kind          TEXT   NOT NULL,
    actor         TEXT   NOT NULL,
    reason        TEXT   NOT NULL,
    bulk_id       TEXT,
    number        BIGINT NOT NULL,               -- of the execution that it started, redrove or stopped
    changes       TEXT                           -- of the input, as JSON
);
CREATE INDEX lineage_by_job ON lineage (job_id, id);
INSERT INTO lineage (job_id, at_ms, kind, actor, reason, number)
    SELECT id, submitted_at_ms, 'submitted', '', '', 1 FROM job ORDER BY id;

-- One thing done to many jobs.
CREATE TABLE bulk (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- UUID version 7
    kind            TEXT   NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,             -- making: its items are being written
    title           TEXT   NOT NULL,
    actor           TEXT   NOT NULL,
    reason          TEXT   NOT NULL,
    canary          BIGINT NOT NULL,
    pace_per_minute BIGINT,
    note            TEXT,
    pipeline        TEXT,                        -- of jobs that are submitted
    priority        BIGINT,
    created_at_ms   BIGINT NOT NULL,
    started_at_ms   BIGINT,
    ended_at_ms     BIGINT,
    due_at_ms       BIGINT NOT NULL DEFAULT 0    -- when somebody is to look at it next
);
CREATE INDEX bulk_running ON bulk (due_at_ms) WHERE state = 'running';
CREATE TABLE bulk_item (
    bulk_id  TEXT COLLATE "C" NOT NULL REFERENCES bulk (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    job_id   TEXT,
    title    TEXT   NOT NULL,
    action   TEXT   NOT NULL,                    -- submit, redrive, restart, stop
    state    TEXT COLLATE "C" NOT NULL,
    reason   TEXT,                               -- why it is not eligible, or what its job failed with
    before   TEXT,                               -- what its job had failed with
    input    TEXT,                               -- the new one, where there is one
    changes  TEXT,
    PRIMARY KEY (bulk_id, position)
);
CREATE INDEX bulk_item_by_state ON bulk_item (bulk_id, state, position);

-- What a person has set for a pipeline.
CREATE TABLE pipeline_setting (
    pipeline        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    concurrency_max BIGINT,                      -- executions that run at once; none: no limit but AWS's
    retain_days     BIGINT                       -- histories older than this go to S3; none: they stay
);
ALTER TABLE execution ADD COLUMN history_key TEXT;           -- the object in S3 that its history went to
