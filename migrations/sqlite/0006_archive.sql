-- Invocations joined to the visit they worked for; histories that went to S3.

-- An invocation is known from its own first line or from its report, whichever comes first: what only the report
-- says may be missing, and SQLite takes that only in a table made anew.
CREATE TABLE invocation_joined (
    request_id      TEXT   NOT NULL PRIMARY KEY,
    function        TEXT   NOT NULL,
    version         TEXT   NOT NULL,
    digest          TEXT,                          -- of the image that ran; resolved through Lambda afterwards
    execution_arn   TEXT,                          -- this and the next four: from the worker's line
    state           TEXT,
    entered         TEXT,                          -- $$.State.EnteredTime
    iteration       BIGINT,                        -- $$.Map.Item.Index; -1 outside of a Map
    attempt         BIGINT,                        -- $$.State.RetryCount, counted from 1
    status          TEXT,                          -- this and the next four: from the report
    init_ms         REAL,                          -- initDurationMs: only a cold start has it
    duration_ms     REAL,
    max_memory_mib  BIGINT,
    at_ms           BIGINT NOT NULL                -- of the report; until that comes, of the line
) WITHOUT ROWID;
INSERT INTO invocation_joined (request_id, function, version, digest, status, init_ms, duration_ms, max_memory_mib, at_ms)
    SELECT request_id, function, version, digest, status, init_ms, duration_ms, max_memory_mib, at_ms FROM invocation;
DROP TABLE invocation;
ALTER TABLE invocation_joined RENAME TO invocation;
CREATE INDEX invocation_cold ON invocation (function, digest, init_ms, at_ms) WHERE init_ms IS NOT NULL AND digest IS NOT NULL;
CREATE INDEX invocation_by_function ON invocation (function, digest) WHERE digest IS NOT NULL AND status IS NOT NULL;
CREATE INDEX invocation_unresolved ON invocation (function, version) WHERE digest IS NULL;
CREATE INDEX invocation_by_age ON invocation (at_ms);
CREATE INDEX invocation_by_visit ON invocation (execution_arn, state, iteration) WHERE execution_arn IS NOT NULL;

ALTER TABLE execution ADD COLUMN archived BIGINT NOT NULL DEFAULT 0;  -- its history is in S3 alone, under history_key
CREATE INDEX execution_kept ON execution (arn, ended_at_ms) WHERE archived = 0 AND history_complete = 1;
