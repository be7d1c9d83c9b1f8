-- Blocks also say where four letters and digits stand that are part of a number or an id. Those that were made before do
-- not: they are made again. Numbers of blocks go on, as servers keep what they read of them.
DROP TABLE text_gram_large;
TRUNCATE text_gram, text_part, text_block, text_queue CONTINUE IDENTITY;
-- What a block says of its jobs' texts: a server of an earlier version, which says less, cannot make one any more.
ALTER TABLE text_block ADD COLUMN layout INTEGER NOT NULL;
-- What is in many jobs is kept in pieces, by slots in the block: a page of it needs one of them.
CREATE TABLE text_gram_large (
    block BIGINT NOT NULL,
    gram  BIGINT NOT NULL,
    piece BIGINT NOT NULL,                       -- below zero: it is all of the set
    slots BYTEA  NOT NULL,
    PRIMARY KEY (block, gram, piece)
);
ALTER TABLE text_gram_large ALTER COLUMN slots SET STORAGE EXTERNAL;
INSERT INTO text_queue (job_id) SELECT id FROM job ORDER BY id;
