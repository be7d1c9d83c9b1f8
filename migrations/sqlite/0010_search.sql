-- A block also says of its jobs how they ended, and lists fewer of them in a part. Those that were made before do not:
-- they are made again.
DELETE FROM text_gram;
DELETE FROM text_part;
DELETE FROM text_block;
DELETE FROM text_queue;
-- Whether the job's text is in a block, or waits for it, all the same.
ALTER TABLE text_queue ADD COLUMN text_known INTEGER NOT NULL DEFAULT 0;
INSERT INTO text_queue (job_id) SELECT id FROM job ORDER BY id;
CREATE TRIGGER text_queue_end AFTER UPDATE OF status, error, failed_state ON job
    WHEN (new.status <> old.status AND new.status NOT IN ('queued', 'running'))
        OR (new.error IS NOT NULL AND new.error IS NOT old.error)
        OR (new.failed_state IS NOT NULL AND new.failed_state IS NOT old.failed_state) BEGIN
    INSERT INTO text_queue (job_id, text_known) VALUES (new.id, 1);
END;
