-- A block also says of its jobs how they ended, and lists fewer of them in a part. Those that were made before do not:
-- they are made again.
DROP TABLE text_gram;
DELETE FROM text_part;
DELETE FROM text_block;
DELETE FROM text_queue;
-- Where each trigram stands, and what a job has beside its text: the numbers of jobs in their block, a Roaring bitmap.
-- Of a large one only its size stands with the small ones.
CREATE TABLE text_gram (
    block BIGINT NOT NULL,
    gram  BIGINT NOT NULL,                       -- three characters of 21 bits each, or below zero
    bytes BIGINT NOT NULL,
    slots BYTEA  NOT NULL,                       -- empty: it is large
    PRIMARY KEY (block, gram)
);
CREATE TABLE text_gram_large (
    block BIGINT NOT NULL,
    gram  BIGINT NOT NULL,
    slots BYTEA  NOT NULL,
    PRIMARY KEY (block, gram)
);
-- Neither can be compressed.
ALTER TABLE text_gram ALTER COLUMN slots SET STORAGE EXTERNAL;
ALTER TABLE text_gram_large ALTER COLUMN slots SET STORAGE EXTERNAL;
-- Whether the job's text is in a block, or waits for it, all the same.
ALTER TABLE text_queue ADD COLUMN text_known INTEGER NOT NULL DEFAULT 0;
INSERT INTO text_queue (job_id) SELECT id FROM job ORDER BY id;
CREATE FUNCTION text_queue_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO text_queue (job_id, text_known) VALUES (new.id, 1);
    RETURN NULL;
END $$;
CREATE TRIGGER text_queue_end AFTER UPDATE OF status, error, failed_state ON job FOR EACH ROW
    WHEN ((new.status <> old.status AND new.status NOT IN ('queued', 'running'))
        OR (new.error IS NOT NULL AND new.error IS DISTINCT FROM old.error)
        OR (new.failed_state IS NOT NULL AND new.failed_state IS DISTINCT FROM old.failed_state))
    EXECUTE FUNCTION text_queue_end();
