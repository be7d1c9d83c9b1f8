-- The order in which commands are taken; what a canary has seen; where an execution failed.

-- What the dispatcher takes: stops first, then the rest of a pipeline in its order.
DROP INDEX outbox_by_turn;
CREATE INDEX outbox_stops ON outbox (priority DESC, id) WHERE command = 'stop';
CREATE INDEX outbox_by_turn ON outbox (pipeline, priority DESC, id) WHERE command <> 'stop';

-- Manifests are there of what succeeded alone.
DROP INDEX execution_unlisted;
CREATE INDEX execution_unlisted ON execution (arn) WHERE artifacts_read = 0 AND status = 'SUCCEEDED';

-- The server through which an upload comes: another one must not take it for left behind.
ALTER TABLE upload ADD COLUMN server TEXT;

-- An execution knows in which state its error arose, as its job does: a redrive that does not come about leaves it so.
ALTER TABLE execution ADD COLUMN failed_state TEXT;
UPDATE execution SET failed_state = job.failed_state FROM job WHERE job.execution_arn = execution.arn AND job.failed_state IS NOT NULL;

-- Whether a canary's verdict took a failed item into account, or a person who let the operation go on did.
ALTER TABLE bulk_item ADD COLUMN seen BIGINT NOT NULL DEFAULT 0;
CREATE INDEX bulk_item_begun ON bulk_item (job_id) WHERE state = 'begun';
CREATE INDEX bulk_item_unseen ON bulk_item (bulk_id, position) WHERE state = 'failed' AND seen = 0;
