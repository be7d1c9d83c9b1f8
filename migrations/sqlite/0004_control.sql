-- Submitting once, by priority and within limits; bulk operations; lineage; adopted jobs; retention; search.

ALTER TABLE job ADD COLUMN idempotency_key TEXT;             -- of the request that made it
ALTER TABLE job ADD COLUMN request_digest TEXT;              -- of that request, to tell a repetition from a mistake
ALTER TABLE job ADD COLUMN priority BIGINT NOT NULL DEFAULT 5;
ALTER TABLE job ADD COLUMN adopted BIGINT NOT NULL DEFAULT 0;  -- started outside Gantry
ALTER TABLE job ADD COLUMN place BIGINT;                     -- in the order of making; what the search finds
CREATE UNIQUE INDEX job_by_idempotency_key ON job (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX job_by_pipeline ON job (pipeline, id);
CREATE INDEX job_by_pipeline_status ON job (pipeline, status, id);
CREATE INDEX job_by_error ON job (error, id) WHERE error IS NOT NULL;
CREATE INDEX job_by_failed_state ON job (failed_state, id) WHERE failed_state IS NOT NULL;

-- Counts by pipeline, too: a limit of what runs at once is a pipeline's.
DROP TRIGGER job_count_insert;
DROP TRIGGER job_count_update;
DROP TRIGGER job_count_delete;
DROP TABLE job_count;
CREATE TABLE job_count (
    pipeline TEXT   NOT NULL,
    status   TEXT   NOT NULL,
    count    BIGINT NOT NULL,
    PRIMARY KEY (pipeline, status)
) WITHOUT ROWID;
INSERT INTO job_count (pipeline, status, count) SELECT pipeline, status, COUNT(*) FROM job GROUP BY pipeline, status;
CREATE TRIGGER job_count_insert AFTER INSERT ON job BEGIN
    INSERT INTO job_count (pipeline, status, count) VALUES (new.pipeline, new.status, 1)
        ON CONFLICT (pipeline, status) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER job_count_update AFTER UPDATE OF status ON job WHEN old.status <> new.status BEGIN
    UPDATE job_count SET count = count - 1 WHERE pipeline = old.pipeline AND status = old.status;
    INSERT INTO job_count (pipeline, status, count) VALUES (new.pipeline, new.status, 1)
        ON CONFLICT (pipeline, status) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER job_count_delete AFTER DELETE ON job BEGIN
    UPDATE job_count SET count = count - 1 WHERE pipeline = old.pipeline AND status = old.status;
END;

-- Search: every three characters of title and source. By `place`, for a rowid may change when a database is vacuumed.
UPDATE job SET place = (SELECT COUNT(*) FROM job AS older WHERE older.id <= job.id);
CREATE UNIQUE INDEX job_by_place ON job (place);
CREATE VIRTUAL TABLE job_text USING fts5(title, source, tokenize = 'trigram');
INSERT INTO job_text (rowid, title, source) SELECT place, title, source FROM job ORDER BY place;
CREATE TRIGGER job_text_insert AFTER INSERT ON job BEGIN
    UPDATE job SET place = (SELECT COALESCE(MAX(place), 0) + 1 FROM job) WHERE id = new.id;
    INSERT INTO job_text (rowid, title, source) SELECT place, title, source FROM job WHERE id = new.id;
END;
CREATE TRIGGER job_text_delete AFTER DELETE ON job BEGIN
    DELETE FROM job_text WHERE rowid = old.place;
END;

-- What the dispatcher sorts by; both are the job's.
ALTER TABLE outbox ADD COLUMN pipeline TEXT NOT NULL DEFAULT 'media';
ALTER TABLE outbox ADD COLUMN priority BIGINT NOT NULL DEFAULT 5;
CREATE INDEX outbox_by_turn ON outbox (pipeline, command, priority DESC, id);

ALTER TABLE execution ADD COLUMN ended_in TEXT;              -- the Fail state that ended it
ALTER TABLE execution ADD COLUMN resumes_from TEXT;          -- where a redrive would go on
-- Histories that were read before are read again for these two.
UPDATE execution SET history_complete = 0 WHERE status IN ('FAILED', 'TIMED_OUT', 'ABORTED');

-- What was asked of a job, by whom and why.
CREATE TABLE lineage (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id        TEXT   NOT NULL REFERENCES job (id) ON DELETE CASCADE,
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
    id              TEXT   NOT NULL PRIMARY KEY, -- UUID version 7
    kind            TEXT   NOT NULL,
    state           TEXT   NOT NULL,             -- making: its items are being written
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
    bulk_id  TEXT   NOT NULL REFERENCES bulk (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    job_id   TEXT,
    title    TEXT   NOT NULL,
    action   TEXT   NOT NULL,                    -- submit, redrive, restart, stop
    state    TEXT   NOT NULL,
    reason   TEXT,                               -- why it is not eligible, or what its job failed with
    before   TEXT,                               -- what its job had failed with
    input    TEXT,                               -- the new one, where there is one
    changes  TEXT,
    PRIMARY KEY (bulk_id, position)
) WITHOUT ROWID;
CREATE INDEX bulk_item_by_state ON bulk_item (bulk_id, state, position);

-- What a person has set for a pipeline.
CREATE TABLE pipeline_setting (
    pipeline        TEXT   NOT NULL PRIMARY KEY,
    concurrency_max BIGINT,                      -- executions that run at once; none: no limit but AWS's
    retain_days     BIGINT                       -- histories older than this go to S3; none: they stay
);
ALTER TABLE execution ADD COLUMN history_key TEXT;           -- the object in S3 that its history went to
