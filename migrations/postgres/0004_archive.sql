-- Invocations joined to the visit they worked for; histories that went to S3.

-- An invocation is known from its own first line or from its report, whichever comes first.
ALTER TABLE invocation ALTER COLUMN status DROP NOT NULL;
ALTER TABLE invocation ALTER COLUMN duration_ms DROP NOT NULL;
ALTER TABLE invocation ADD COLUMN execution_arn TEXT COLLATE "C";  -- this and the next four: from the worker's line
ALTER TABLE invocation ADD COLUMN state TEXT COLLATE "C";
ALTER TABLE invocation ADD COLUMN entered TEXT COLLATE "C";        -- $$.State.EnteredTime
ALTER TABLE invocation ADD COLUMN iteration BIGINT;                -- $$.Map.Item.Index; -1 outside of a Map
ALTER TABLE invocation ADD COLUMN attempt BIGINT;                  -- $$.State.RetryCount, counted from 1
DROP INDEX invocation_by_function;
CREATE INDEX invocation_by_function ON invocation (function, digest) WHERE digest IS NOT NULL AND status IS NOT NULL;
CREATE INDEX invocation_by_visit ON invocation (execution_arn, state, iteration) WHERE execution_arn IS NOT NULL;

ALTER TABLE execution ADD COLUMN archived BIGINT NOT NULL DEFAULT 0;  -- its history is in S3 alone, under history_key
CREATE INDEX execution_kept ON execution (arn, ended_at_ms) WHERE archived = 0 AND history_complete = 1;
