-- Jobs, what is still to be done for them, their executions and what was read about those.
-- Moments are milliseconds since 1970-01-01T00:00:00Z; JSON is text.

CREATE TABLE job (
    id              TEXT    NOT NULL PRIMARY KEY,  -- UUID version 7: sorts by submission
    pipeline        TEXT    NOT NULL,
    title           TEXT    NOT NULL,
    source          TEXT    NOT NULL,              -- without credentials or query
    input           TEXT    NOT NULL,
    status          TEXT    NOT NULL,
    submitted_at_ms BIGINT  NOT NULL,
    started_at_ms   BIGINT,
    ended_at_ms     BIGINT,
    error           TEXT,
    failed_state    TEXT,
    rerun_count     BIGINT  NOT NULL DEFAULT 0,
    execution_arn   TEXT                           -- the newest
);
CREATE INDEX job_by_status ON job (status, id);

-- How many jobs there are of each status: a page shows them all, and counting would scan.
CREATE TABLE job_count (
    status TEXT   NOT NULL PRIMARY KEY,
    count  BIGINT NOT NULL
);
CREATE TRIGGER job_count_insert AFTER INSERT ON job BEGIN
    INSERT INTO job_count (status, count) VALUES (new.status, 1)
        ON CONFLICT (status) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER job_count_update AFTER UPDATE OF status ON job WHEN old.status <> new.status BEGIN
    UPDATE job_count SET count = count - 1 WHERE status = old.status;
    INSERT INTO job_count (status, count) VALUES (new.status, 1)
        ON CONFLICT (status) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER job_count_delete AFTER DELETE ON job BEGIN
    UPDATE job_count SET count = count - 1 WHERE status = old.status;
END;

-- Calls to Step Functions that were promised and not yet acknowledged.
CREATE TABLE outbox (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id        TEXT    NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    command       TEXT    NOT NULL,                -- start, redrive, stop
    target        TEXT    NOT NULL,                -- start: the execution's name; else its ARN
    redrive_count BIGINT  NOT NULL DEFAULT 0,      -- redrive: the count it had when this was asked for
    attempts      BIGINT  NOT NULL DEFAULT 0,
    due_at_ms     BIGINT  NOT NULL
);
CREATE INDEX outbox_by_due ON outbox (due_at_ms);
CREATE INDEX outbox_by_job ON outbox (job_id, id);

CREATE TABLE execution (
    arn                TEXT   NOT NULL PRIMARY KEY,
    job_id             TEXT   NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    name               TEXT   NOT NULL,
    number             BIGINT NOT NULL,            -- 1 for a job's first, counted up by restarts
    status             TEXT   NOT NULL,
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
    history_complete   BOOLEAN NOT NULL DEFAULT FALSE,  -- read up to the event that ended it
    artifacts_read     BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX execution_by_job ON execution (job_id, number);
CREATE INDEX execution_unfinished ON execution (status, heard_at_ms) WHERE status IN ('RUNNING', 'PENDING_REDRIVE');
CREATE INDEX execution_unexplained ON execution (arn)
    WHERE redrive_status IS NULL AND status IN ('FAILED', 'TIMED_OUT', 'ABORTED');
CREATE INDEX execution_unread ON execution (history_read_at_ms) WHERE NOT history_complete;
CREATE INDEX execution_unlisted ON execution (arn) WHERE NOT artifacts_read;

CREATE TABLE history_event (
    execution_arn TEXT   NOT NULL REFERENCES execution (arn) ON DELETE CASCADE,
    id            BIGINT NOT NULL,
    event         TEXT   NOT NULL,                 -- in GetExecutionHistory's wire format
    PRIMARY KEY (execution_arn, id)
) WITHOUT ROWID;

-- The newest progress line of each unit of work.
CREATE TABLE progress (
    execution_arn TEXT   NOT NULL,
    state         TEXT   NOT NULL,
    entered       TEXT   NOT NULL,                 -- $$.State.EnteredTime
    iteration     BIGINT NOT NULL,                 -- $$.Map.Item.Index; -1 outside of a Map
    label         TEXT,
    unit          TEXT   NOT NULL,
    done          BIGINT NOT NULL,
    total         BIGINT,
    at_ms         BIGINT NOT NULL,
    PRIMARY KEY (execution_arn, state, entered, iteration)
) WITHOUT ROWID;

CREATE TABLE artifact (
    job_id   TEXT   NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    key      TEXT   NOT NULL,
    artifact TEXT   NOT NULL,
    PRIMARY KEY (job_id, position)
) WITHOUT ROWID;

-- Multipart uploads of browsers that have not become a job yet: aborted when the server finds them at start.
CREATE TABLE upload (
    key           TEXT   NOT NULL PRIMARY KEY,
    upload_id     TEXT   NOT NULL,
    started_at_ms BIGINT NOT NULL
);
