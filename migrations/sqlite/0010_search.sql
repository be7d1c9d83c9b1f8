-- A block also says of its jobs how they ended, and lists fewer of them in a part. Those that were made before do not:
-- they are made again.
DROP TABLE text_gram;
DELETE FROM text_part;
DELETE FROM text_block;
DELETE FROM text_queue;
-- Where each trigram stands, and what a job has beside its text: the numbers of jobs in their block, a Roaring bitmap.
-- Small ones lie in the tree itself, where one step finds them; of a large one only its size does.
CREATE TABLE text_gram (
    block BIGINT NOT NULL,
    gram  BIGINT NOT NULL,                       -- three characters of 21 bits each, or below zero
    bytes BIGINT NOT NULL,
    slots BLOB   NOT NULL,                       -- empty: it is large
    PRIMARY KEY (block, gram)
) WITHOUT ROWID;
CREATE TABLE text_gram_large (
    block BIGINT NOT NULL,
    gram  BIGINT NOT NULL,
    slots BLOB   NOT NULL,
    PRIMARY KEY (block, gram)
);
-- Whether the job's text is in a block, or waits for it, all the same.
ALTER TABLE text_queue ADD COLUMN text_known INTEGER NOT NULL DEFAULT 0;
INSERT INTO text_queue (job_id) SELECT id FROM job ORDER BY id;
CREATE TRIGGER text_queue_end AFTER UPDATE OF status, error, failed_state ON job
    WHEN (new.status <> old.status AND new.status NOT IN ('queued', 'running'))
        OR (new.error IS NOT NULL AND new.error IS NOT old.error)
        OR (new.failed_state IS NOT NULL AND new.failed_state IS NOT old.failed_state) BEGIN
    INSERT INTO text_queue (job_id, text_known) VALUES (new.id, 1);
END;
